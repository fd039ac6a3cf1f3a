from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilonova.domain.conditions import Condition, Status, Watch
from kilonova.domain.errors import Conflict, NotFound
from kilonova.domain.model import Instant
from kilonova.store import journal
from kilonova.store.arrivals import add_nodes, add_services
from kilonova.store.conditions import forget, keep, list_conditions
from kilonova.store.database import Database
from kilonova.store.fleet import (
    claim,
    claims_of,
    ensure_service,
    find_node,
    find_service,
    find_service_by_id,
    get_node,
    get_service,
    list_nodes,
    list_services,
    record_beats,
    release_claim,
    remove_service,
    save_node,
)
from kilonova.store.turns import Looked, announce, list_turned
from tests.backends.store.worlds import NODE, NOW, asked, at, draft, kept, noded


def service(database: Database, host: str = "h1", binary: str = "nova-compute") -> int:
    with database.transaction() as tx:
        return ensure_service(tx, binary=binary, host=host, now=NOW).id


def told(database: Database, kind: str) -> list[str | None]:
    journal.sequence(database)
    with database.read() as connection:
        return [entry.operation for entry in journal.list_entries(connection, after_seq=0, limit=100, kind=kind)]


def test_a_service_is_registered_once_and_announced_once(database: Database) -> None:
    assert service(database) == service(database)
    assert told(database, "service") == ["create"]
    with database.read() as connection:
        (found,) = list_services(connection)
        assert get_service(connection, found.uuid) == found == find_service(connection, "nova-compute", "h1")
        assert found.disabled is False
        assert (found.report_count, found.last_seen_at, found.updated_at, found.version) == (0, None, None, 73)


def test_services_that_register_at_once_are_one(database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: service(database), range(8)))
    assert len(set(ids)) == 1
    assert told(database, "service") == ["create"]


def test_a_new_version_of_a_service_is_kept(database: Database) -> None:
    service(database)
    with database.transaction() as tx:
        assert ensure_service(tx, binary="nova-compute", host="h1", now=at(1), version=74).version == 74


def test_services_are_listed_by_host_and_binary(database: Database) -> None:
    ids = [service(database, "h1"), service(database, "h2"), service(database, "h1", "nova-conductor")]
    with database.read() as connection:
        assert [found.id for found in list_services(connection)] == ids
        assert [found.id for found in list_services(connection, host="h1")] == [ids[0], ids[2]]
        assert [found.id for found in list_services(connection, host="h1", binary="nova-conductor")] == [ids[2]]
        with pytest.raises(NotFound, match=r"^Service nope could not be found\.$"):
            get_service(connection, "nope")


def test_the_beats_of_a_fleet_are_one_statement(database: Database) -> None:
    ids = [service(database, f"h{number}") for number in range(30)]
    statements: list[str] = []

    def count(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    with database.transaction() as tx:
        sa.event.listen(tx.connection, "before_cursor_execute", count)
        record_beats(tx.connection, {id_: (2, at(id_)) for id_ in ids[:-1]})
    assert len(statements) == 1
    with database.transaction() as tx:
        record_beats(tx.connection, {ids[0]: (1, at(99)), 10**9: (1, at(1))})
        record_beats(tx.connection, {})
    with database.read() as connection:
        found = {one.id: one for one in list_services(connection)}
    assert (found[ids[1]].report_count, found[ids[1]].last_seen_at) == (2, at(ids[1]))
    assert found[ids[1]].updated_at == at(ids[1])
    assert (found[ids[0]].report_count, found[ids[0]].last_seen_at) == (3, at(99))
    assert (found[ids[-1]].report_count, found[ids[-1]].last_seen_at) == (0, None)


def test_a_node_is_announced_when_new_and_when_its_capacity_changes(database: Database) -> None:
    uuid = noded(database)
    noded(database)
    noded(database, uptime_text="up 3 days", cpu_info_json='{"a":1}')
    assert told(database, "compute_node") == ["create"]
    with database.transaction() as tx:
        node = save_node(tx, "h1", now=at(5), **(NODE | {"vcpus": 8}))
    assert (node.uuid, node.vcpus, node.updated_at) == (uuid, 8, at(5))
    assert told(database, "compute_node") == ["create", "update"]
    with database.read() as connection:
        assert list_nodes(connection) == [get_node(connection, uuid)] == [find_node(connection, "h1", "node-1")]
        with pytest.raises(NotFound):
            get_node(connection, "nope")


def test_a_refresh_leaves_what_is_claimed(database: Database) -> None:
    uuid, instance = noded(database), kept(database)
    with database.transaction() as tx:
        claim(tx, node_uuid=uuid, instance=instance)
    noded(database, vcpus=9)
    with database.read() as connection:
        assert get_node(connection, uuid).vcpus_used == 1


def test_a_claim_takes_and_a_release_gives_back(database: Database) -> None:
    uuid, instance = noded(database), kept(database, draft(vcpus=2, memory_mb=1024, root_gb=5, ephemeral_gb=1))
    with database.transaction() as tx:
        assert claim(tx, node_uuid=uuid, instance=instance)
        assert claim(tx, node_uuid=uuid, instance=instance)
    with database.read() as connection:
        node = get_node(connection, uuid)
        assert (node.vcpus_used, node.memory_mb_used, node.local_gb_used) == (2, 1024, 6)
        assert claims_of(connection, uuid).local_gb == 6
    with database.transaction() as tx:
        release_claim(tx, instance.uuid)
        release_claim(tx, instance.uuid)
    with database.read() as connection:
        node = get_node(connection, uuid)
        assert (node.vcpus_used, node.memory_mb_used, node.local_gb_used) == (0, 0, 0)


def test_a_second_claim_elsewhere_is_a_conflict(database: Database) -> None:
    first, second, instance = noded(database), noded(database, "h2"), kept(database)
    with database.transaction() as tx:
        claim(tx, node_uuid=first, instance=instance)
    with pytest.raises(Conflict), database.transaction() as tx:
        claim(tx, node_uuid=second, instance=instance)


@pytest.mark.parametrize("field, asked", [("vcpus", 5), ("memory_mb", 8193), ("root_gb", 101)])
def test_what_does_not_fit_is_refused(database: Database, field: str, asked: int) -> None:
    uuid, instance = noded(database), kept(database, draft(**{field: asked}))
    with database.transaction() as tx:
        assert not claim(tx, node_uuid=uuid, instance=instance)
    with database.read() as connection:
        assert claims_of(connection, uuid).instances == 0
        assert get_node(connection, uuid).vcpus_used == 0


def test_who_asks_for_no_disk_fits_on_a_full_one(database: Database) -> None:
    uuid, instance = noded(database, reserved_disk_gb=200), kept(database, draft(root_gb=0))
    with database.transaction() as tx:
        assert claim(tx, node_uuid=uuid, instance=instance)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    vcpus=st.integers(1, 8),
    ratio=st.floats(0.5, 4.0),
    reserved=st.integers(0, 4096),
    asked=st.integers(1, 20),
    ram=st.integers(1, 10000),
)
def test_the_guard_agrees_with_the_arithmetic_of_the_record(
    database: Database, vcpus: int, ratio: float, reserved: int, asked: int, ram: int
) -> None:
    uuid = noded(database, vcpus=vcpus, cpu_allocation_ratio=ratio, reserved_memory_mb=reserved)
    instance = kept(database, draft(vcpus=asked, memory_mb=ram, root_gb=0))
    with database.transaction() as tx:
        node = get_node(tx.connection, uuid)
        fits = node.vcpus_free >= asked and node.memory_mb_free >= ram
        assert claim(tx, node_uuid=uuid, instance=instance) == fits
        release_claim(tx, instance.uuid)


def test_claims_at_once_never_promise_more_than_there_is(database: Database) -> None:
    uuid = noded(database, vcpus=4, cpu_allocation_ratio=1.5)
    waiting = [kept(database, draft(vcpus=1)) for _ in range(10)]

    def take(number: int) -> bool:
        return database.run(lambda tx: claim(tx, node_uuid=uuid, instance=waiting[number]))

    with ThreadPoolExecutor(5) as pool:
        won = list(pool.map(take, range(10)))
    assert sum(won) == 6
    with database.read() as connection:
        node, sums = get_node(connection, uuid), claims_of(connection, uuid)
    assert (node.vcpus_used, node.memory_mb_used, node.local_gb_used) == (6, 6 * 512, 6)
    assert (sums.instances, sums.vcpus, sums.memory_mb, sums.local_gb) == (6, 6, 6 * 512, 6)

    def give_and_take(number: int) -> None:
        database.run(lambda tx: release_claim(tx, waiting[number].uuid))
        take(number)

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(give_and_take, range(10)))
    with database.read() as connection:
        node, sums = get_node(connection, uuid), claims_of(connection, uuid)
    assert node.vcpus_used == sums.vcpus <= 6
    assert node.memory_mb_used == sums.memory_mb


def test_instants_are_exact_beyond_what_floating_point_holds(database: Database) -> None:
    moment = Instant(2**53 + 1)
    id_ = service(database)
    with database.transaction() as tx:
        record_beats(tx.connection, {id_: (1, moment)})
    with database.read() as connection:
        assert list_services(connection)[0].last_seen_at == moment


def test_the_number_of_a_service_never_comes_again(database: Database) -> None:
    first = service(database)
    with database.transaction() as tx:
        found = find_service_by_id(tx.connection, first)
        assert found is not None
        remove_service(tx, found, request=asked())
    assert service(database) > first


def test_hosts_that_arrive_together_are_registered_and_told_like_any_other(database: Database) -> None:
    hosts = [f"h{number}" for number in range(7)]
    with database.transaction() as tx:
        add_services(tx, "nova-compute", hosts, now=NOW, version=73, disabled_reason=None)
        add_nodes(tx, [(host, NODE) for host in hosts], now=NOW)
    assert told(database, "service") == told(database, "compute_node") == ["create"] * 7
    with database.read() as connection:
        assert [(each.host, each.disabled, each.was_up) for each in list_services(connection)] == [
            (host, False, True) for host in hosts
        ]
        assert [node.host for node in list_nodes(connection)] == hosts
        snapshots = [entry.snapshot for entry in journal.list_entries(connection, after_seq=0, limit=9, kind="service")]
    assert {key: snapshots[0][key] for key in ("host", "disabled", "forced_down", "was_up")} == {
        "host": "h0",
        "disabled": False,
        "forced_down": False,
        "was_up": True,
    }


def test_a_turn_is_announced_once_however_many_look(database: Database) -> None:
    service(database, "h1")
    second = service(database, "h2")
    look = Looked(now=at(100), listening_since=at(-100), watch=Watch(late_seconds=25, down_seconds=60))
    with database.transaction() as tx:
        record_beats(tx.connection, {second: (1, at(90))})
    with database.read() as connection:
        turned = list_turned(connection, look, limit=10)
    assert [each.host for each in turned] == ["h1"]
    with database.transaction() as tx:
        assert (announce(tx, turned, look), announce(tx, turned, look)) == (1, 0)
    assert told(database, "service") == ["create", "create", "down"]
    with database.read() as connection:
        assert list_turned(connection, look, limit=10) == []


def test_a_kept_condition_is_told_when_it_turns_and_only_then(database: Database) -> None:
    bad = Condition(type="X", status=Status.FALSE, reason="Broken", message="twice")
    for moment in (1, 2, 3):
        with database.transaction() as tx:
            keep(tx, "service", "s1", [bad], now=at(moment))
    with database.read() as connection:
        assert list_conditions(connection, "service", ["s1"]) == {"s1": [replace(bad, since=at(1))]}
    assert len(told(database, "condition")) == 1
    with database.transaction() as tx:
        forget(tx, "service", "s1")
        assert list_conditions(tx.connection, "service") == {}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6), st.integers(0, 9000)), min_size=1, max_size=12))
def test_the_capacity_model_always_agrees_with_the_claims(
    database: Database, steps: list[tuple[int, int, int]]
) -> None:
    uuid = noded(database, f"h{len(steps)}-{NOW}-{sum(step[2] for step in steps)}", cpu_allocation_ratio=1.5)
    held: list[str] = []
    for what, vcpus, memory_mb in steps:
        with database.transaction() as tx:
            if what == 0 and held:
                release_claim(tx, held.pop())
                continue
        instance = kept(database, draft(vcpus=vcpus, memory_mb=memory_mb, root_gb=1))
        with database.transaction() as tx:
            has = get_node(tx.connection, uuid).capacity
            wanted = zip(has.resources, (vcpus, memory_mb, 1), strict=True)
            assert claim(tx, node_uuid=uuid, instance=instance) is all(each.fits(amount) for each, amount in wanted)
            held += [instance.uuid] if has.vcpus.fits(vcpus) and has.memory_mb.fits(memory_mb) else []
        with database.read() as connection:
            node, claimed = get_node(connection, uuid), claims_of(connection, uuid)
        assert tuple(each.allocated for each in node.capacity.resources) == (
            claimed.vcpus,
            claimed.memory_mb,
            claimed.local_gb,
        )
        assert node.running_vms == claimed.instances == len(held)
        assert not node.capacity.is_overcommitted
    for uuid_ in held:
        with database.transaction() as tx:
            release_claim(tx, uuid_)
