"""What the steps of live migration and of evacuation write (contract §6.6, §11.4)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from kilonova.domain.errors import Invalid
from kilonova.domain.faults import FaultCause
from kilonova.domain.migrations import MigrationType
from kilonova.domain.model import Instance, InstanceAction
from kilonova.domain.placement import Ask, Decision
from kilonova.domain.states import PowerState, VmState
from kilonova.domain.workflow import Course
from kilonova.services.books import Bookkeep, Books, Outcome, Page, Turn, read_failure
from kilonova.services.choosing import Chooser
from kilonova.services.moves import claim_away, reach, reaching
from kilonova.services.placing import request_of
from kilonova.store import fleet, ledger, moves
from kilonova.store.database import Connection

_PROGRESS: Final = tuple(
    f"{what}_{how}_bytes" for what in ("memory", "disk") for how in ("total", "processed", "remaining")
)
_UNTIL_IT_RAN: Final = frozenset({"place", "check_destination", "check_source", "prepare"})


class LiveMoves:
    """The bookkeeping of live migration and evacuation."""

    def __init__(self, chooser: Chooser) -> None:
        self._chooser = chooser

    def books(self) -> Mapping[str, Books]:
        """By the operation's name."""
        live = Books(
            opened=_opening(MigrationType.LIVE),
            pages={
                "place": Page(plan=self._plan, done=_placing("queued"), undone=_unplaced),
                "prepare": Page(begun=reaching("preparing")),
                "migrate": Page(begun=reaching("running"), told=_told, done=_migrated),
                "arrive": Page(done=reaching("completed")),
            },
            failed=_live_failed,
        )
        evacuate = Books(
            opened=_evacuation,
            pages={
                "place": Page(plan=self._plan, done=_placing("pre-migrating"), undone=_unplaced),
                "rebuild": Page(done=_rebuilt),
            },
            failed=_evacuation_failed,
        )
        return {"live_migrate": live, "evacuate": evacuate}

    def check(self, connection: Connection, instance: Instance, told: Mapping[str, Any]) -> None:
        """Invalid, in Nova's words, where there is no host for a live migration: until 2.33 it is not accepted then.

        ``told`` are the parameters of the action that is to be.
        """
        if told.get("looks_first"):
            decision = self._decide(connection, instance, told, frozenset())
            if decision.chosen is None:
                raise Invalid(f"No valid host was found. {decision.summary()}")

    def _plan(self, connection: Connection, instance: Instance, action: InstanceAction) -> Decision:
        tried = frozenset(Course.read(action.course_json).tried)
        return self._decide(connection, instance, action.parameters, tried)

    def _decide(
        self, connection: Connection, instance: Instance, told: Mapping[str, Any], tried: frozenset[str]
    ) -> Decision:
        host = told.get("host")
        ask = self._chooser.ask_of(connection, instance, tried=tried, host=host)
        if host and told.get("is_forced"):
            ask = Ask(vcpus=ask.vcpus, memory_mb=ask.memory_mb, disk_gb=ask.disk_gb, host=host)
        return self._chooser.decide(connection, replace(ask, leaves=instance.host))


def _opening(kind: MigrationType) -> Bookkeep:
    """The record of the move, from the moment that it was asked for."""

    def opened(turn: Turn) -> Outcome:
        migration = moves.add_migration(
            turn.tx,
            instance_uuid=turn.instance.uuid,
            action_id=turn.action.id,
            kind=kind,
            request=request_of(turn.action),
            now=turn.now,
            status="accepted",
            source_compute=turn.course.source,
            source_node=turn.course.source_node,
            dest_compute=turn.action.parameters.get("host"),
        )
        return Outcome(turn.instance, replace(turn.course, migration_id=migration.id))

    return opened


def _placing(status: str) -> Bookkeep:
    def placed(turn: Turn) -> Outcome:
        outcome = claim_away(turn, turn.instance)
        if outcome.failure is None:
            reach(turn, status)
        return outcome

    return placed


def _unplaced(turn: Turn) -> Outcome:
    fleet.release_claim(turn.tx, turn.instance.uuid, kind=fleet.AWAY)
    return turn.outcome


def _told(turn: Turn) -> Outcome:
    """What the hypervisor says of how far it is."""
    counts = {name: int(turn.result[name]) for name in _PROGRESS if name in turn.result}
    if turn.course.migration_id is not None and counts:
        moves.change_migration(turn.tx, turn.course.migration_id, now=turn.now, **counts)  # type: ignore[arg-type]
    return turn.outcome


def _migrated(turn: Turn) -> Outcome:
    """It runs on its new host: from here on it lives there."""
    fleet.settle_claim(turn.tx, turn.instance.uuid)
    reach(turn, "post-migrating")
    return Outcome(_at_destination(turn), turn.course)


def _at_destination(turn: Turn) -> Instance:
    return turn.instance._replace(host=turn.course.destination, node=turn.course.destination_node)


def _live_failed(turn: Turn) -> Outcome:
    fleet.settle_claims(turn.tx, turn.instance)
    failure = read_failure(turn.course)
    if failure.cause is FaultCause.ABORTED:
        reach(turn, "cancelled")
    else:
        reach(turn, "error" if turn.course.failed_at in _UNTIL_IT_RAN else "failed")
    return turn.outcome


def _evacuation(turn: Turn) -> Outcome:
    """Whatever else waits for the host that is down waits in vain."""
    ledger.close_actions(turn.tx, turn.instance.uuid, now=turn.now, but=turn.action.id)
    moves.end_migrations(turn.tx, turn.instance.uuid, now=turn.now)
    fleet.settle_claims(turn.tx, turn.instance)
    stops = bool(turn.action.parameters.get("stops")) or turn.instance.vm_state is VmState.STOPPED
    return _opening(MigrationType.EVACUATION)(replace(turn, course=turn.course.handing({"power_on": not stops})))


def _rebuilt(turn: Turn) -> Outcome:
    fleet.settle_claim(turn.tx, turn.instance.uuid)
    reach(turn, "done")
    is_on = bool(turn.course.handed.get("power_on", True))
    there = _at_destination(turn)._replace(
        vm_state=VmState.ACTIVE if is_on else VmState.STOPPED,
        power_state=PowerState.RUNNING if is_on else PowerState.SHUTDOWN,
        launched_at=turn.now,
    )
    return Outcome(there, turn.course)


def _evacuation_failed(turn: Turn) -> Outcome:
    fleet.settle_claims(turn.tx, turn.instance)
    reach(turn, "failed" if turn.course.failed_at == "rebuild" else "error")
    return turn.outcome
