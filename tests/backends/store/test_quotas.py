"""Limits as they are kept, and which of them hold (contract §4.2)."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilonova.domain.quota import Limits
from kilonova.store.database import Database, Transaction
from kilonova.store.quotas import (
    get_class_limits,
    get_limits,
    lock_project,
    remove_limits,
    set_class_limits,
    set_limits,
    sum_user_limits,
)
from kilonova.store.schema import journal
from kilonova.store.schema_quota import quota_class_limits, quota_limits
from tests.backends.store.worlds import asked

_DEFAULTS = {"cores": 20, "ram": 512, "instances": 10}
_SOME = st.dictionaries(st.sampled_from(sorted(_DEFAULTS)), st.integers(-1, 2**31 - 1))


def _limits(database: Database, project_id: str = "p1", user_id: str | None = None) -> Limits:
    with database.read() as connection:
        return get_limits(connection, _DEFAULTS, project_id, user_id)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_SOME, _SOME, _SOME, _SOME)
def test_a_users_limit_comes_first_then_the_projects_then_the_classes_then_the_default(
    database: Database,
    of_user: dict[str, int],
    of_project: dict[str, int],
    of_class: dict[str, int],
    of_other: dict[str, int],
) -> None:
    with database.transaction() as tx:
        tx.connection.execute(quota_limits.delete())
        tx.connection.execute(quota_class_limits.delete())
        set_limits(tx, "p1", of_user, request=asked(), user_id="u1")
        set_limits(tx, "p1", of_project, request=asked())
        set_limits(tx, "p2", of_other, request=asked())
        set_class_limits(tx, "default", of_class, request=asked())
        set_class_limits(tx, "gold", of_other, request=asked())
    project = {**_DEFAULTS, **of_class, **of_project}
    assert _limits(database).project == project
    assert _limits(database, user_id="u1").effective == {**project, **of_user}
    assert (_limits(database, user_id="u1").user is None) == (not of_user)
    assert _limits(database, user_id="u2").effective == project
    assert _limits(database, "p3").effective == {**_DEFAULTS, **of_class}
    with database.read() as connection:
        assert get_class_limits(connection, _DEFAULTS, "gold") == {**_DEFAULTS, **of_other}


def test_what_is_not_named_stays_and_what_is_named_again_changes(database: Database) -> None:
    with database.transaction() as tx:
        set_limits(tx, "p1", {"cores": 1, "ram": 2}, request=asked())
        set_limits(tx, "p1", {"cores": 3}, request=asked())
    assert _limits(database).project == {"cores": 3, "ram": 2, "instances": 10}


@pytest.mark.parametrize("user_id, left", [("u1", {"u2"}), (None, set())])
def test_limits_are_taken_back_from_a_user_or_from_everybody(
    database: Database, user_id: str | None, left: set[str]
) -> None:
    with database.transaction() as tx:
        for each in ("u1", "u2"):
            set_limits(tx, "p1", {"cores": 1}, request=asked(), user_id=each)
        remove_limits(tx, "p1", request=asked(), user_id=user_id)
    with database.read() as connection:
        assert set(connection.scalars(sa.select(quota_limits.c.user_id))) == left


def test_what_users_were_given_is_added_up_without_those_who_have_no_limit(database: Database) -> None:
    with database.transaction() as tx:
        for user_id, cores in (("u1", 5), ("u2", 7), ("u3", -1)):
            set_limits(tx, "p1", {"cores": cores}, request=asked(), user_id=user_id)
        set_limits(tx, "p1", {"cores": 100}, request=asked())
    with database.read() as connection:
        assert sum_user_limits(connection, "p1") == {"cores": 12}


def test_a_change_of_limits_is_in_the_journal(database: Database) -> None:
    with database.transaction() as tx:
        set_limits(tx, "p1", {"cores": 1}, request=asked(), user_id="u1")
        remove_limits(tx, "p1", request=asked())
        set_class_limits(tx, "default", {"ram": 1}, request=asked())
    with database.read() as connection:
        columns = journal.c
        rows = connection.execute(
            sa.select(columns.kind, columns.key, columns.operation, columns.snapshot_json).order_by(columns.id)
        ).all()
    assert [tuple(row[:3]) for row in rows] == [
        ("quota", "p1", "update"),
        ("quota", "p1", "delete"),
        ("quota_class", "default", "update"),
    ]
    assert json.loads(rows[0][3]) == {"project_id": "p1", "user_id": "u1", "limits": {"cores": 1}}


def test_who_sets_the_same_limits_at_once_follow_one_another(database: Database) -> None:
    def work(limit: int) -> None:
        def change(tx: Transaction) -> None:
            lock_project(tx, "p1")
            set_limits(tx, "p1", {"cores": limit, "ram": limit}, request=asked())

        database.run(change)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(16)))
    found = _limits(database).project
    assert found["cores"] == found["ram"]
