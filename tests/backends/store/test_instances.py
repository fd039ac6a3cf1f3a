from collections.abc import Iterator
from contextlib import suppress

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilonova.domain.errors import Invalid
from kilonova.domain.model import Instance, Instant
from kilonova.domain.quota import Usage
from kilonova.domain.states import PowerState, TaskState, VmState
from kilonova.store.database import Database
from kilonova.store.instances import InstanceQuery, count_by_host, list_instances, project_usage
from kilonova.store.schema import instances, journal
from tests.backends.store.worlds import Story, at, changed, draft, kept, running


def found(database: Database, **query: object) -> list[str]:
    with database.read() as connection:
        return [one.display_name for one in list_instances(connection, InstanceQuery(**query))]  # type: ignore[arg-type]


def deleted(database: Database, instance: Instance) -> Instance:
    return Story(database, instance, "delete").accept(at(50)).start(at(50)).end(at(50)).instance


@pytest.fixture
def cloud(database: Database) -> dict[str, Instance]:
    """Six servers, named by what is special about them, made in this order."""
    made = {
        "plain": kept(database, running(display_name="plain", created_at=at(1))),
        "other": kept(database, running(display_name="other", created_at=at(2), project_id="p2", host="h2")),
        "error": kept(database, draft(display_name="error", created_at=at(3), vm_state=VmState.ERROR)),
        "locked": kept(database, running(display_name="locked", created_at=at(4), locked_by="owner")),
        "soft": kept(database, running(display_name="soft", created_at=at(5), vm_state=VmState.SOFT_DELETED)),
        "gone": kept(database, running(display_name="gone", created_at=at(6))),
    }
    made["gone"] = deleted(database, made["gone"])
    return made


def test_living_servers_are_listed_newest_first(database: Database, cloud: dict[str, Instance]) -> None:
    assert found(database) == ["locked", "error", "other", "plain"]
    with database.read() as connection:
        (newest,) = list_instances(connection, InstanceQuery(limit=1))
    assert newest == cloud["locked"]
    assert newest.power_state is PowerState.RUNNING


@pytest.mark.parametrize(
    "query, names",
    [
        ({"project_id": "p2"}, ["other"]),
        ({"host": "h2"}, ["other"]),
        ({"host": "nowhere"}, []),
        ({"deleted": True}, ["gone", "soft"]),
        ({"deleted": True, "soft_deleted": False}, ["gone"]),
        ({"deleted": None}, ["gone", "soft", "locked", "error", "other", "plain"]),
        ({"soft_deleted": True}, ["soft", "locked", "error", "other", "plain"]),
        ({"vm_states": frozenset({VmState.ERROR})}, ["error"]),
        ({"vm_states": frozenset()}, []),
        ({"vm_states": frozenset({VmState.SOFT_DELETED})}, []),
        ({"task_states": frozenset({TaskState.SPAWNING})}, []),
        ({"locked": True}, ["locked"]),
        ({"locked": False}, ["error", "other", "plain"]),
        ({"equals": {"host": None}}, ["error"]),
        ({"equals": {"host": {"h2", "h3"}, "vm_state": VmState.ACTIVE}}, ["other"]),
        ({"equals": {"power_state": 1, "image_ref": "img", "project_id": "p1"}}, ["locked", "plain"]),
        ({"name": "o"}, ["locked", "error", "other"]),
        ({"changes_since": at(49), "deleted": None}, ["gone"]),
        ({"changes_before": at(49), "deleted": None}, []),
        ({"sort": (("display_name", False),)}, ["error", "locked", "other", "plain"]),
        ({"sort": (("host", False), ("display_name", True))}, ["error", "plain", "locked", "other"]),
        ({"sort": (("host", True), ("created_at", False))}, ["other", "plain", "locked", "error"]),
        ({"sort": ()}, ["locked", "error", "other", "plain"]),
        ({"limit": 2}, ["locked", "error"]),
        ({"limit": 0}, []),
    ],
)
def test_filters_and_orders(
    database: Database, cloud: dict[str, Instance], query: dict[str, object], names: list[str]
) -> None:
    assert found(database, **query) == names


def test_names_are_found_by_regular_expressions(database: Database, cloud: dict[str, Instance]) -> None:
    assert found(database, name="^o") == ["other"]
    assert found(database, name="^.*lai[m-o]$") == ["plain"]
    kept(database, draft(display_name="100%", created_at=at(9)))
    assert found(database, name="0%") == ["100%"]


@pytest.mark.parametrize("pattern", ["(", "a{2,1}", "[b-a]"])
def test_a_bad_pattern_is_invalid(database: Database, cloud: dict[str, Instance], pattern: str) -> None:
    with pytest.raises(Invalid, match="is not a regular expression"):
        found(database, name=pattern)


@pytest.mark.parametrize("pattern", [r"(?P<a>x)(?P=a)", r"(?<=x)y\Z", r"\p", "x" * 70_000])
def test_a_pattern_that_only_some_regular_expressions_know_ends_in_an_answer(
    database: Database, cloud: dict[str, Instance], pattern: str
) -> None:
    with suppress(Invalid):
        assert found(database, name=pattern) == []


def test_a_pattern_that_would_keep_some_engines_busy_for_ever_is_answered(database: Database) -> None:
    kept(database, draft(display_name="a" * 200 + "b", created_at=at(1)))
    with suppress(Invalid):
        assert found(database, name="(a|a|aa)+$") == []


@pytest.mark.parametrize("query", [{"equals": {"flavour": 1}}, {"sort": (("flavour", True),)}])
def test_an_unknown_column_is_invalid(database: Database, query: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        found(database, **query)


def test_an_unknown_marker_is_invalid(database: Database, cloud: dict[str, Instance]) -> None:
    with pytest.raises(Invalid, match=r"^marker \[nope\] not found$"):
        found(database, marker="nope")
    with pytest.raises(Invalid):
        found(database, marker=cloud["other"].uuid, project_id="p1")


def test_a_marker_may_be_deleted(database: Database, cloud: dict[str, Instance]) -> None:
    assert found(database, marker=cloud["gone"].uuid) == ["locked", "error", "other", "plain"]
    assert found(database, marker=cloud["soft"].uuid, limit=1) == ["locked"]


def pages(database: Database, query: InstanceQuery) -> Iterator[list[Instance]]:
    marker: str | None = None
    while True:
        with database.read() as connection:
            page = list_instances(
                connection, InstanceQuery(sort=query.sort, limit=query.limit, marker=marker, deleted=None)
            )
        if not page:
            return
        yield page
        marker = page[-1].uuid


KEYS = ["created_at", "display_name", "host", "launched_at", "id", "uuid"]  # what a deletion does not change


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sort=st.lists(st.tuples(st.sampled_from(KEYS), st.booleans()), max_size=3, unique_by=lambda key: key[0]),
    limit=st.integers(1, 4),
    data=st.data(),
)
def test_pages_neither_repeat_nor_leave_out_while_servers_come_and_go(
    database: Database, sort: list[tuple[str, bool]], limit: int, data: st.DataObject
) -> None:
    texts = st.sampled_from(["", "a", "A", "b", "ä", "a "])

    def drawn() -> Instance:
        return draft(
            display_name=data.draw(texts),
            host=data.draw(st.none() | texts),
            created_at=data.draw(st.sampled_from([at(1), at(2)])),
            launched_at=data.draw(st.none() | st.sampled_from([Instant(0), at(1)])),
        )

    staying = [kept(database, drawn()) for _ in range(7)]
    leaving = [kept(database, drawn()) for _ in range(3)]
    seen: list[str] = []
    for page in pages(database, InstanceQuery(sort=tuple(sort) or InstanceQuery().sort, limit=limit)):
        assert len(page) <= limit
        seen += [one.uuid for one in page]
        if leaving:
            deleted(database, leaving.pop())
        if len(seen) < 12:
            kept(database, drawn())
    assert len(seen) == len(set(seen))
    assert {one.uuid for one in staying} <= set(seen)
    with database.transaction() as tx:
        for table in reversed(instances.metadata.sorted_tables):
            if table.name.startswith(("instance", "usage")) or table in (instances, journal):
                tx.connection.execute(table.delete())


def test_a_page_is_one_statement_and_the_next_one_two(database: Database, cloud: dict[str, Instance]) -> None:
    statements: list[str] = []
    with database.read() as connection:
        sa.event.listen(
            connection, "before_cursor_execute", lambda _c, _cursor, statement, *_: statements.append(statement)
        )
        list_instances(connection, InstanceQuery(limit=1))
        assert len(statements) == 1
        list_instances(connection, InstanceQuery(limit=1, marker=cloud["plain"].uuid))
        assert len(statements) == 3


def test_servers_are_counted_by_host(database: Database, cloud: dict[str, Instance]) -> None:
    with database.read() as connection:
        assert count_by_host(connection) == {"h1": 3, "h2": 1}


def test_usage_counts_what_is_neither_deleted_nor_soft_deleted(database: Database, cloud: dict[str, Instance]) -> None:
    changed(database, cloud["plain"], user_id="u2", vcpus=4)
    with database.read() as connection:
        assert project_usage(connection, "p1") == Usage(instances=3, cores=6, ram=3 * 512)
        assert project_usage(connection, "p1", "u2") == Usage(instances=1, cores=4, ram=512)
        assert project_usage(connection, "nobody") == Usage()
