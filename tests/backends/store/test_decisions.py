"""Scheduling decisions: what is kept of them, and for how long."""

from kilonova.domain.placement import Ask, Candidate, decide
from kilonova.domain.states import VmState
from kilonova.store import decisions, journal
from kilonova.store.database import Database
from kilonova.store.decisions import add_decision, list_decisions
from tests.backends.store.worlds import NOW, at, changed, kept, running


def candidate(host: str, vcpus: int) -> Candidate:
    return Candidate(
        node_uuid=host,
        host=host,
        node=host,
        availability_zone="nova",
        is_enabled=True,
        is_up=True,
        disabled_reason=None,
        vcpus_free=vcpus,
        memory_mb_free=1000,
        disk_gb_free=10,
    )


def test_decisions_are_kept_with_their_reasons_and_told(database: Database) -> None:
    uuid = kept(database).uuid
    ask = Ask(vcpus=2, memory_mb=1, disk_gb=1, tried=frozenset({"b", "a"}))
    with database.transaction() as tx:
        for candidates in ([candidate("h1", 4), candidate("h2", 1)], [candidate("h2", 1)]):
            add_decision(tx, instance_uuid=uuid, request_id="req-1", decision=decide(ask, candidates), now=NOW)
    with database.read() as connection:
        first, second = list_decisions(connection, uuid)
    assert (first.chosen_host, first.candidates, first.summary) == ("h1", 2, "")
    assert first.document["removed"][0]["lacks"][0]["reason"] == "short of vcpus"
    assert first.document["ask"]["tried"] == ["a", "b"]
    assert (second.chosen_host, second.summary) == (None, "1 candidate, short of 1 vcpus (asked 2, free 1)")
    journal.sequence(database)
    with database.read() as connection:
        told = journal.list_entries(connection, after_seq=0, limit=9, kind="decision", key=uuid)
    assert told[1].snapshot["summary"] == second.summary
    assert told[1].snapshot["id"] == second.id
    assert "document" not in told[1].snapshot


def test_the_host_that_took_the_instance_is_the_one_that_is_kept(database: Database) -> None:
    uuid = kept(database).uuid
    decision = decide(Ask(vcpus=1, memory_mb=1, disk_gb=1), [candidate("h1", 4), candidate("h2", 4)])
    with database.transaction() as tx:
        number = add_decision(
            tx, instance_uuid=uuid, request_id="r", decision=decision, now=NOW, chosen=decision.weighed[1]
        )
    with database.read() as connection:
        (found,) = list_decisions(connection, uuid)
    assert (found.id, found.chosen_host, found.chosen_node) == (number, "h2", "h2")


def test_a_decision_over_a_large_fleet_is_kept_small(database: Database) -> None:
    uuid = kept(database).uuid
    fleet = [candidate(f"h{number:04}", number % 10) for number in range(3000)]
    with database.transaction() as tx:
        decision = decide(Ask(vcpus=8, memory_mb=1, disk_gb=1), fleet)
        add_decision(tx, instance_uuid=uuid, request_id="r", decision=decision, now=NOW)
    with database.read() as connection:
        (found,) = list_decisions(connection, uuid)
    assert found.candidates == 3000
    assert found.document["counts"] == [{"filter": "Capacity", "reason": "short of vcpus", "count": 2400}]
    assert (found.document["fitting"], len(found.document["weighed"])) == (600, 10)
    assert {removal["lacks"][0]["free"] for removal in found.document["removed"]} == {7}
    assert len(found.document["removed"]) == 20


def test_old_decisions_go_but_the_newest_of_a_living_server(database: Database) -> None:
    living, dead = kept(database), kept(database, running())
    changed(database, dead, vm_state=VmState.DELETED, terminated_at=at(1), deleted_at=at(1), task_state=None)
    decision = decide(Ask(vcpus=1, memory_mb=1, disk_gb=1), [candidate("h1", 4)])
    with database.transaction() as tx:
        for uuid in (living.uuid, living.uuid, dead.uuid):
            add_decision(tx, instance_uuid=uuid, request_id="r", decision=decision, now=at(2))
    assert decisions.prune(database, before=at(2)) == 0
    assert [decisions.prune(database, before=at(3), limit=1) for _ in range(3)] == [1, 1, 0]
    with database.read() as connection:
        assert len(list_decisions(connection, living.uuid)) == 1
        assert list_decisions(connection, dead.uuid) == []
