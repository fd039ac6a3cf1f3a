"""Which schema a database has, and how it gets the one that this code knows.

A fresh database is made at once from the tables; an older one is migrated step by step by Alembic, which is imported
only then, for it is dear. A newer one is refused: what it holds may mean what this code does not know.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.exc import DBAPIError

from kilonova.domain.errors import StoreUnusable

# Their tables are part of the schema.
from kilonova.store import (  # noqa: F401
    schema_aggregates,
    schema_audit,
    schema_catalog,
    schema_conditions,
    schema_consoles,
    schema_feed,
    schema_identity,
    schema_network,
    schema_quota,
)
from kilonova.store.schema import REVISIONS, journal_head, metadata, schema_version

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK: Final = 0x6B696C6F6E6F7661
_OLDEST: Final = {"sqlite": (3, 35), "postgresql": (13,), "mariadb": (10, 6), "mysql": (8, 0)}
_MIGRATIONS: Final = Path(__file__).parent / "migrations"


def bring_up_to_date(engine: Engine, dialect: str) -> None:
    """Make the schema, or migrate it, or leave it when it is this code's own.

    Several processes may do so at once: one does, the others wait. Raises ``StoreUnusable``.
    """
    name = engine.url.database if dialect == "sqlite" else engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection, _alone(connection, dialect):
            _bring(connection, str(name))
            connection.commit()
    except DBAPIError as error:
        raise StoreUnusable(f"the database {name} cannot be used: {_first_line(error)}") from error


def _bring(connection: Connection, name: str) -> None:
    _check_version(connection, name)
    revision = current_revision(connection, name)
    if revision is None:
        create(connection)
    elif revision not in REVISIONS:
        raise StoreUnusable(
            f"the database {name} was written by a newer Kilonova (revision {revision}); "
            f"this one knows revisions up to {REVISIONS[-1]}"
        )
    elif revision != REVISIONS[-1]:
        migrate(connection)


def _check_version(connection: Connection, name: str) -> None:
    dialect = connection.dialect
    is_mariadb = getattr(dialect, "is_mariadb", False)
    oldest = _OLDEST["mariadb" if is_mariadb else dialect.name]
    found = (dialect.server_version_info or oldest)[: len(oldest)]
    if found < oldest:
        older, needed = (".".join(str(part) for part in version) for version in (found, oldest))
        raise StoreUnusable(f"the database {name} runs on version {older}; Kilonova needs {needed} or newer")


def current_revision(connection: Connection, name: str) -> str | None:
    """The database's schema revision, None where there is no schema yet.

    Raises ``StoreUnusable`` for tables of somebody else's.
    """
    present = set(inspect(connection).get_table_names())
    if schema_version.name in present:
        return connection.scalar(select(schema_version.c.version_num))
    if present & set(metadata.tables):
        raise StoreUnusable(f"the database {name} has tables that are not Kilonova's")
    return None


def create(connection: Connection) -> None:
    """Make every table and stamp the newest revision; carries on where a killed attempt left off.

    The version's table comes first: where tables cannot be made in a transaction, an empty one tells a half-made
    schema from somebody else's tables.
    """
    schema_version.create(connection, checkfirst=True)
    metadata.create_all(connection)
    if connection.scalar(select(journal_head.c.seq)) is None:
        connection.execute(journal_head.insert().values(id=1, seq=0))
    connection.execute(schema_version.insert().values(version_num=REVISIONS[-1]))


def migrate(connection: Connection, revision: str = "head") -> None:
    """Apply the migrations up to ``revision`` that this database has not seen."""
    from alembic import command

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def alembic_config() -> "Config":
    """Where Alembic finds the migrations."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config


@contextmanager
def _alone(connection: Connection, dialect: str) -> Iterator[None]:
    """Keep other processes from doing the same; SQLite's transaction does so by itself."""
    if dialect == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    if dialect != "mariadb":
        yield
        return
    connection.execute(text("SELECT GET_LOCK('kilonova-schema', 60)"))
    try:
        yield
    finally:
        connection.execute(text("SELECT RELEASE_LOCK('kilonova-schema')"))


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0]
