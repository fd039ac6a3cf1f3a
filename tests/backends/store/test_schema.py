"""The schema however it came about, and databases that are refused."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from kilonova.domain.errors import StoreUnusable
from kilonova.network.embedded import FlatNetwork
from kilonova.store import revisions
from kilonova.store.database import Database
from kilonova.store.schema import REVISIONS, journal_head, metadata, schema_version
from kilonova.store.schema_network import addresses
from tests.backends.store.worlds import NOW, draft


@pytest.fixture
def empty(empty_url: str) -> Iterator[sa.Engine]:
    """An engine on a database without any table."""
    engine = sa.create_engine(empty_url, poolclass=sa.NullPool)
    yield engine
    present = sa.MetaData()
    present.reflect(engine)
    present.drop_all(engine)
    engine.dispose()


def shape(engine: sa.Engine) -> dict[str, Any]:
    """All that the database says of its tables, in an order of its own."""
    inspector = sa.inspect(engine)
    return {
        table: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"], str(column["default"]))
                for column in inspector.get_columns(table)
            ],
            "primary": inspector.get_pk_constraint(table),
            "unique": _sorted(inspector.get_unique_constraints(table)),
            "foreign": _sorted(inspector.get_foreign_keys(table)),
            "indexes": _sorted(inspector.get_indexes(table)),
            "checks": _sorted(inspector.get_check_constraints(table)),
            "options": {
                name: value
                for name, value in inspector.get_table_options(table).items()
                if "auto_increment" not in name
            },
        }
        for table in inspector.get_table_names()
    }


def _sorted(found: list[Any]) -> list[str]:
    return sorted(str(dict(sorted(one.items()))) for one in found)


def test_migrating_from_nothing_makes_what_a_fresh_database_has(empty: sa.Engine, shared: Database) -> None:
    with empty.begin() as connection:
        revisions.migrate(connection)
        assert connection.scalars(sa.select(journal_head.c.seq)).all() == [0]
        assert revisions.current_revision(connection, "it") == REVISIONS[-1]
    fresh = sa.create_engine(shared.url, poolclass=sa.NullPool)
    migrated = shape(empty)
    assert migrated == shape(fresh)
    assert migrated.keys() == metadata.tables.keys()


def test_the_code_knows_the_revisions_that_there_are() -> None:
    script = ScriptDirectory.from_config(revisions.alembic_config())
    assert [one.revision for one in script.walk_revisions()][::-1] == list(REVISIONS)


def test_a_migrated_database_opens_and_keeps_what_it_has(empty: sa.Engine, empty_url: str) -> None:
    with empty.begin() as connection:
        revisions.migrate(connection)
        connection.execute(journal_head.update().values(seq=7))
    database = Database(empty_url)
    database.open()
    with database.read() as connection:
        assert connection.scalars(sa.select(journal_head.c.seq)).all() == [7]
    database.close()


def test_an_older_database_is_migrated_when_it_is_opened(empty: sa.Engine, empty_url: str) -> None:
    with empty.begin() as connection:
        revisions.migrate(connection, REVISIONS[0])
        connection.execute(journal_head.update().values(seq=7))
    database = Database(empty_url)
    database.open()
    with database.read() as connection:
        assert revisions.current_revision(connection, "it") == REVISIONS[-1]
        assert connection.scalars(sa.select(journal_head.c.seq)).all() == [7]
    database.close()


@pytest.mark.parametrize("revision", ["0065", "0066", "0067", "0068", "0069", "0070"])
def test_a_migration_that_was_cut_off_before_it_was_noted_is_done_again(
    empty: sa.Engine, empty_url: str, revision: str
) -> None:
    """MariaDB changes tables at once, whatever the transaction: a kill in between leaves what was done until then."""
    before = REVISIONS[REVISIONS.index(revision) - 1]
    with empty.begin() as connection:
        revisions.migrate(connection, revision)
        connection.execute(schema_version.update().values(version_num=before))
    database = Database(empty_url)
    database.open()
    with database.read() as connection:
        assert revisions.current_revision(connection, "it") == REVISIONS[-1]
    database.close()


def test_an_addresses_table_that_was_made_and_not_filled_is_filled(empty: sa.Engine, empty_url: str) -> None:
    with empty.begin() as connection:
        revisions.migrate(connection, "0066")
        was = sa.MetaData()
        was.reflect(connection, only=("ports",))
        port = {"id": "p1", "project_id": "p", "name": "", "description": "", "mac": "m2", "is_kept": False}
        connection.execute(was.tables["ports"].insert().values(**port, address="10.77.128.9", created_at=NOW))
        addresses.create(connection)
    database = Database(empty_url)
    database.open()
    with database.read() as connection:
        assert connection.scalars(sa.select(addresses.c.address)).all() == ["10.77.128.9"]
    database.close()


def test_addresses_that_were_given_are_known_as_taken_after_the_migration(empty: sa.Engine, empty_url: str) -> None:
    nics = [
        '[{"mac":"m1","address":"10.77.0.17"},{"mac":"m2","address":"10.77.128.9","port_id":"p1","is_reserved":true}]',
        '[{"mac":"m3","address":"10.77.0.17","port_id":"p3"}]',
        "[{}]",
    ]
    with empty.begin() as connection:
        revisions.migrate(connection, "0066")
        was = sa.MetaData()
        was.reflect(connection, only=("instances", "ports"))
        known = [column.name for column in was.tables["instances"].columns]
        for number, text in enumerate(nics, 1):
            row = draft(id=number, generation=1, nics_json=text)._asdict()
            connection.execute(was.tables["instances"].insert().values({name: row[name] for name in known}))
        port = {"id": "p1", "project_id": "p", "name": "", "description": "", "mac": "m2", "is_kept": False}
        connection.execute(was.tables["ports"].insert().values(**port, address="10.77.128.9", created_at=NOW))
        first = connection.scalar(sa.select(was.tables["instances"].c.uuid).where(was.tables["instances"].c.id == 1))
    database = Database(empty_url)
    database.open()
    with database.read() as connection:
        found = {row.address: row.port_id for row in connection.execute(sa.select(addresses))}
    database.close()
    assert found == {"10.77.0.17": FlatNetwork.port_id(str(first), 0), "10.77.128.9": "p1"}


def test_processes_that_start_at_once_make_one_schema(empty: sa.Engine, empty_url: str) -> None:
    databases = [Database(empty_url) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(Database.open, databases))
    for database in databases:
        database.close()
    with empty.connect() as connection:
        assert connection.scalars(sa.select(journal_head.c.seq)).all() == [0]
        assert connection.scalars(sa.select(schema_version.c.version_num)).all() == [REVISIONS[-1]]


def test_a_newer_database_is_refused(empty: sa.Engine, empty_url: str) -> None:
    with empty.begin() as connection:
        revisions.create(connection)
        connection.execute(schema_version.update().values(version_num="9999"))
    database = Database(empty_url)
    with pytest.raises(StoreUnusable, match=r"was written by a newer Kilonova \(revision 9999\); .* up to \d{4}"):
        database.open()
    database.close()


def test_a_database_that_is_too_old_is_refused(
    empty_url: str, empty: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(empty_url)
    monkeypatch.setattr(revisions, "_OLDEST", dict.fromkeys(("sqlite", "postgresql", "mariadb"), (99, 9)))
    with pytest.raises(StoreUnusable, match=r"runs on version [\d.]+; Kilonova needs 99\.9 or newer"):
        database.open()
    database.close()


def test_somebody_elses_tables_are_refused(empty: sa.Engine, empty_url: str) -> None:
    with empty.begin() as connection:
        connection.execute(sa.text("CREATE TABLE instances (id INTEGER)"))
    database = Database(empty_url)
    with pytest.raises(StoreUnusable, match="has tables that are not Kilonova's"):
        database.open()
    database.close()


def test_a_half_made_schema_is_completed(empty: sa.Engine, empty_url: str) -> None:
    """MariaDB makes tables one by one, whatever the transaction: a kill in between leaves some."""
    with empty.begin() as connection:
        schema_version.create(connection)
        metadata.tables["services"].create(connection)
    database = Database(empty_url)
    database.open()
    with database.read() as connection:
        assert connection.scalars(sa.select(journal_head.c.seq)).all() == [0]
        assert revisions.current_revision(connection, "it") == REVISIONS[-1]
    database.close()
