"""Figures for monitoring and counts of servers, on every database."""

from kilonova.domain.conditions import Condition, Status
from kilonova.store.conditions import keep
from kilonova.store.counts import Hosted, count_servers, list_hosted, workload_by_node
from kilonova.store.database import Database
from kilonova.store.fleet import claim, ensure_service, list_down, list_owned_nodes, record_beats
from kilonova.store.gauges import (
    OpenWork,
    Sum,
    count_conditions,
    count_nodes,
    count_orphans,
    count_services,
    list_open_work,
    oldest_pending_at,
    sum_capacity,
)
from tests.backends.store.worlds import NODE, NOW, Story, at, draft, kept, noded


def _services(database: Database, *hosts: str) -> list[int]:
    with database.transaction() as tx:
        return [ensure_service(tx, binary="nova-compute", host=host, now=NOW).id for host in hosts]


def test_services_are_counted_by_what_they_are(database: Database) -> None:
    first, *_ = _services(database, "h1", "h2", "h3")
    with database.transaction() as tx:
        record_beats(tx.connection, {first: (1, at(100))})
    with database.read() as connection:
        found = count_services(connection, at(130), down_seconds=60)
        assert list_down(connection, 10) == []
    assert sorted((each.is_up, each.number) for each in found) == [(False, 2), (True, 1)]
    assert all(each.is_enabled for each in found)


def test_capacity_is_summed_over_all_nodes(database: Database) -> None:
    uuid, _ = noded(database, "h1"), noded(database, "h2")
    instance = kept(database, draft(vcpus=2, memory_mb=512, root_gb=3))
    with database.transaction() as tx:
        assert claim(tx, node_uuid=uuid, instance=instance)
    with database.read() as connection:
        found = sum_capacity(connection)
        assert (count_nodes(connection), count_orphans(connection)) == (2, 2)
        assert list_owned_nodes(connection) == []
    assert found["vcpus"] == Sum(
        total=2 * NODE["vcpus"],
        reserved=0,
        allocated=2,
        capacity=2 * NODE["vcpus"] * NODE["cpu_allocation_ratio"],
    )
    assert found["memory_mb"].allocated == 512


def test_nodes_without_a_service_are_orphans_and_the_others_are_listed(database: Database) -> None:
    noded(database, "h1")
    noded(database, "h2")
    _services(database, "h2")
    with database.read() as connection:
        assert count_orphans(connection) == 1
        (owned,) = list_owned_nodes(connection)
        assert owned.host == "h2"
        assert list_owned_nodes(connection, after_id=owned.id, limit=5) == []


def test_what_is_open_and_what_is_overdue_is_told_by_operation(database: Database) -> None:
    story = Story(database, kept(database), "stop").accept(at(5))
    with database.read() as connection:
        (early,) = list_open_work(connection, at(6))
        (late,) = list_open_work(connection, at(10_000_000))
        assert oldest_pending_at(connection) is not None
    assert early == OpenWork(operation="stop", number=1, overdue=0, oldest_at=early.oldest_at)
    assert late.overdue == 1
    assert story.action.is_open


def test_only_bad_conditions_are_counted(database: Database) -> None:
    bad = Condition(type="X", status=Status.FALSE, reason="Broken", since=at(3))
    with database.transaction() as tx:
        keep(tx, "service", "s1", [bad], now=at(4))
        keep(tx, "service", "s2", [Condition(type="X", status=Status.TRUE, reason="Fine")], now=at(4))
    with database.read() as connection:
        assert count_conditions(connection) == {("X", "Broken"): (1, at(3))}


def test_servers_are_counted_in_groups(database: Database) -> None:
    kept(database, draft(project_id="p1", vcpus=2))
    one = kept(database, draft(project_id="p2", host="h1", node="n1"))
    with database.read() as connection:
        by_project = {each.project_id: (each.servers, each.vcpus) for each in count_servers(connection, ["project"])}
        (every,) = count_servers(connection, [])
        (mine,) = count_servers(connection, ["status", "az"], project_id="p2")
        hosted, busy = list_hosted(connection, "h1"), workload_by_node(connection)
    assert by_project == {"p1": (1, 2), "p2": (1, 1)}
    assert every.servers == 2
    assert (mine.host, mine.servers) == ("h1", 1)
    assert hosted == {("h1", "n1"): [Hosted(one.name, one.uuid)]}
    assert busy == {}
