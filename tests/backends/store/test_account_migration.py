"""Accounts of an older database, after it was migrated."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pytest
import sqlalchemy as sa

from kilonova.domain.accounts import Grant
from kilonova.store import revisions
from kilonova.store.database import Database
from kilonova.store.identity import StoredIdentity

BEFORE = "0003"
ROWS: Final[Mapping[str, Sequence[Mapping[str, Any]]]] = {
    "id_domains": [{"id": "default", "name": "Default", "description": "", "enabled": True}],
    "id_projects": [{"id": "p1", "domain_id": "default", "name": "demo", "description": "", "enabled": True}],
    "id_users": [{"id": "u1", "domain_id": "default", "name": "ada", "description": "", "enabled": True}],
    "id_roles": [{"id": name, "name": name, "description": ""} for name in ("admin", "manager", "member", "pilot")],
    "id_assignments": [{"user_id": "u1", "project_id": "p1", "role_id": "member"}],
}


@pytest.fixture
def migrated(empty_url: str) -> Iterator[StoredIdentity]:
    """The accounts of a database that was made and filled before there were groups."""
    engine = sa.create_engine(empty_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        revisions.migrate(connection, BEFORE)
        for name, rows in ROWS.items():
            columns = [sa.column("enabled", sa.Boolean()) if key == "enabled" else sa.column(key) for key in rows[0]]
            connection.execute(sa.insert(sa.table(name, *columns)), rows)
    database = Database(empty_url)
    database.open()
    yield StoredIdentity(database)
    database.close()
    present = sa.MetaData()
    present.reflect(engine)
    present.drop_all(engine)
    engine.dispose()


def test_grants_are_kept_and_can_be_taken_back(migrated: StoredIdentity) -> None:
    grant = Grant(user_id="u1", project_id="p1", role_id="member")
    assert migrated.list_grants() == [grant]
    migrated.add_grant(grant)
    assert migrated.list_grants() == [grant]
    assert migrated.delete_grant(grant)


def test_roles_bring_the_lower_ones_that_there_are(migrated: StoredIdentity) -> None:
    pairs = {(one.prior_role_id, one.implied_role_id) for one in migrated.list_inferences()}
    assert pairs == {("admin", "manager"), ("manager", "member")}
    found = migrated.find_user("u1")
    assert found is not None
    assert found.extra_json is None
