"""The same tests on every database: each test worker has databases of its own, emptied between tests."""

import os
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from kilonova.store.database import Database
from kilonova.store.schema import journal_head, metadata, schema_version
from tests.services_available import mariadb_url, postgresql_url

_NAME = f"kilonova_test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
_SERVERS: dict[str, Callable[[], str]] = {"postgresql": postgresql_url, "mariadb": mariadb_url}


@pytest.fixture(scope="session", params=["sqlite", "postgresql", "mariadb"])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def empty_url(dialect: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database without any table, gone at the end of the session."""
    yield from _fresh(dialect, "_empty", tmp_path_factory)


@pytest.fixture(scope="session")
def shared(dialect: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    for url in _fresh(dialect, "", tmp_path_factory):
        database = Database(url)
        database.open()
        yield database
        database.close()


@pytest.fixture
def database(shared: Database) -> Iterator[Database]:
    """An open database with all tables and no rows."""
    yield shared
    shared.on_journal = lambda: None
    _empty(shared)


def _fresh(dialect: str, suffix: str, paths: pytest.TempPathFactory) -> Iterator[str]:
    if dialect == "sqlite":
        yield f"sqlite:///{paths.mktemp('store') / 'state.db'}"
        return
    server = sa.make_url(_SERVERS[dialect]())
    name = _NAME + suffix
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}")
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield server.set(database=name).render_as_string(hide_password=False)
    # A server may not have noticed yet that its last session was hung up on.
    at_once = " WITH (FORCE)" if dialect == "postgresql" else ""
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name}{at_once}")


def _empty(database: Database) -> None:
    with database.transaction() as tx:
        for table in reversed(metadata.sorted_tables):
            if table is journal_head:
                zero = {"seq": 0, "row_count": 0, "byte_count": 0, "forgotten_seq": 0, "forgotten_at": None}
                tx.connection.execute(table.update().values(zero))
            elif table is not schema_version:
                tx.connection.execute(table.delete())
