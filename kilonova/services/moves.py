"""What the steps of moves write: claims, migrations, and where a server is and of which flavor (contract §6.6, §11.4).

While a server moves it has two claims: one where it lives, and one, for the flavor that it will have, where it goes.
A resize keeps both until it is confirmed or reverted.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from kilonova.domain.errors import Invalid, StaleRecord
from kilonova.domain.faults import FaultCause
from kilonova.domain.migrations import AWAITING, Migration, MigrationType, write_flavor
from kilonova.domain.model import Flavor, Instance, InstanceAction
from kilonova.domain.placement import Decision, Weighed
from kilonova.domain.states import PowerState, VmState
from kilonova.domain.workflow import Course
from kilonova.services.books import Bookkeep, Books, Outcome, Page, Turn
from kilonova.services.choosing import Chooser
from kilonova.services.door import Failure
from kilonova.services.placing import request_of
from kilonova.services.settings import ServiceSettings
from kilonova.store import decisions, fleet, moves, server_groups
from kilonova.store.database import Connection

_OFF: Final = frozenset({PowerState.SHUTDOWN, PowerState.CRASHED, PowerState.NOSTATE})


class Moves:
    """The bookkeeping of resize, migrate, confirm and revert."""

    def __init__(self, chooser: Chooser, *, settings: ServiceSettings) -> None:
        self._chooser = chooser
        self._settings = settings

    def books(self) -> Mapping[str, Books]:
        """By the operation's name."""
        cold = Books(
            opened=_power_kept,
            pages={
                "place": Page(plan=self._plan, done=_placed, undone=_unplaced),
                "move_out": Page(begun=reaching("migrating"), done=_moved, undone=_moved_back),
                "finish": Page(done=_finished),
            },
            failed=_failed,
        )
        confirm = Books(opened=_awaiting("confirming"), pages={"confirm": Page(done=_confirmed)}, failed=_failed)
        revert = Books(
            opened=_awaiting("reverting"),
            pages={"leave": Page(done=_left, undone=_left), "return": Page(done=_returned)},
            failed=_failed,
        )
        return {"resize": cold, "migrate": cold, "confirm_resize": confirm, "revert_resize": revert}

    def _plan(self, connection: Connection, instance: Instance, action: InstanceAction) -> Decision:
        course = Course.read(action.course_json)
        stays = self._settings.allow_resize_to_same_host and action.operation == "resize"
        ask = self._chooser.ask_of(
            connection,
            _grown(instance, action),
            tried=frozenset(course.tried),
            host=action.parameters.get("host"),
        )
        return self._chooser.decide(connection, replace(ask, leaves=None if stays else instance.host))


def flavor_of(instance: Instance) -> Flavor:
    """The flavor that a server has, whatever became of the one it was made from."""
    return Flavor(
        id=instance.flavor_id,
        flavorid=instance.flavorid,
        name=instance.flavor_name,
        vcpus=instance.vcpus,
        memory_mb=instance.memory_mb,
        root_gb=instance.root_gb,
        ephemeral_gb=instance.ephemeral_gb,
        swap_mb=instance.swap_mb,
        extra_specs_json=json.dumps(json.loads(instance.flavor_json).get("extra_specs", {})),
    )


def with_flavor(instance: Instance, flavor: Flavor) -> Instance:
    """The server with another flavor."""
    return instance._replace(
        flavor_id=flavor.id,
        flavorid=flavor.flavorid,
        flavor_name=flavor.name,
        flavor_json=flavor.embedded_json,
        vcpus=flavor.vcpus,
        memory_mb=flavor.memory_mb,
        root_gb=flavor.root_gb,
        ephemeral_gb=flavor.ephemeral_gb,
        swap_mb=flavor.swap_mb,
    )


def reach(turn: Turn, status: str) -> None:
    """Record how far the operation's migration is, if it has one."""
    if turn.course.migration_id is not None:
        moves.change_migration(turn.tx, turn.course.migration_id, now=turn.now, status=status)


def reaching(status: str) -> Bookkeep:
    """Bookkeeping that does no more than that."""

    def reached(turn: Turn) -> Outcome:
        reach(turn, status)
        return turn.outcome

    return reached


def _grown(instance: Instance, action: InstanceAction) -> Instance:
    """The server of the flavor that it will have."""
    wanted = action.parameters.get("flavor")
    return instance if wanted is None else with_flavor(instance, Flavor(**wanted))


def _migration(turn: Turn) -> Migration:
    if turn.course.migration_id is None:
        raise RuntimeError(f"action {turn.action.id} has no migration")
    return moves.get_migration(turn.tx.connection, turn.course.migration_id)


def _power_kept(turn: Turn) -> Outcome:
    """A server that was stopped stays so, wherever it goes."""
    is_on = turn.instance.vm_state is not VmState.STOPPED
    return Outcome(turn.instance, turn.course.handing({"power_on": is_on}))


def _placed(turn: Turn) -> Outcome:
    """Record the migration, and claim what the server will need of the first host that has it."""
    grown = _grown(turn.instance, turn.action)
    is_resize = turn.action.operation == "resize"
    migration = moves.add_migration(
        turn.tx,
        instance_uuid=turn.instance.uuid,
        action_id=turn.action.id,
        kind=MigrationType.RESIZE if is_resize else MigrationType.MIGRATION,
        request=request_of(turn.action),
        now=turn.now,
        status="pre-migrating",
        source_compute=turn.course.source,
        source_node=turn.course.source_node,
        old_flavor_json=write_flavor(flavor_of(turn.instance)),
        new_flavor_json=write_flavor(flavor_of(grown)),
    )
    turn = replace(turn, course=replace(turn.course, migration_id=migration.id))
    return claim_away(turn, grown)


def claim_away(turn: Turn, grown: Instance) -> Outcome:
    """Claim what a server needs of the best host of the turn's plan, and head for it; a failure where there is none.

    Raises ``StaleRecord`` where all that were proposed have no room any more: the fleet is to be looked at again.
    """
    decision: Decision = turn.plan
    chosen = next((weighed for weighed in decision.weighed if _is_claimed(turn, grown, weighed)), None)
    if chosen is None and decision.weighed:
        raise StaleRecord(f"No proposed host has room for instance {grown.uuid} any more")
    decisions.add_decision(
        turn.tx,
        instance_uuid=grown.uuid,
        request_id=turn.action.request_id,
        decision=decision,
        now=turn.now,
        chosen=chosen,
    )
    if chosen is None:
        return Outcome(turn.instance, turn.course, _no_host(decision))
    node = fleet.get_node(turn.tx.connection, chosen.node_uuid)
    if turn.course.migration_id is not None:
        moves.change_migration(
            turn.tx,
            turn.course.migration_id,
            now=turn.now,
            dest_compute=chosen.host,
            dest_node=chosen.node,
            dest_host=node.host_ip,
        )
    course = replace(turn.course, destination=chosen.host, destination_node=chosen.node)
    return Outcome(turn.instance, course)


def _is_claimed(turn: Turn, grown: Instance, weighed: Weighed) -> bool:
    # Other members may have been placed since the decision; from here on they wait.
    company = server_groups.find_company(turn.tx.connection, grown.uuid, lock=True)
    if company is not None and company.refusal(weighed.host):
        return False
    return fleet.claim(turn.tx, node_uuid=weighed.node_uuid, instance=grown, kind=fleet.AWAY)


def _no_host(decision: Decision) -> Failure:
    return Failure(
        cause=FaultCause.NO_VALID_HOST,
        message=f"No valid host was found. {decision.summary()}"[:255],
        detail="",
        traceback="",
    )


def _unplaced(turn: Turn) -> Outcome:
    fleet.release_claim(turn.tx, turn.instance.uuid, kind=fleet.AWAY)
    reach(turn, "error")
    return turn.outcome


def _moved(turn: Turn) -> Outcome:
    """Its disks have left: from here on the server is its new host's, and of its new flavor."""
    reach(turn, "post-migrating")
    there = turn.instance._replace(host=turn.course.destination, node=turn.course.destination_node)
    return Outcome(_of_flavor(there, _migration(turn).new_flavor), turn.course)


def _moved_back(turn: Turn) -> Outcome:
    here = turn.instance._replace(host=turn.course.source, node=turn.course.source_node)
    return Outcome(_of_flavor(here, _migration(turn).old_flavor), turn.course)


def _of_flavor(instance: Instance, flavor: Flavor | None) -> Instance:
    return instance if flavor is None or flavor.id == instance.flavor_id else with_flavor(instance, flavor)


def _finished(turn: Turn) -> Outcome:
    reach(turn, AWAITING)
    return Outcome(turn.instance._replace(launched_at=turn.now), turn.course)


def _failed(turn: Turn) -> Outcome:
    """What was begun comes to nothing; the server has what it needs where it now is, and only there."""
    reach(turn, "error")
    fleet.settle_claims(turn.tx, turn.instance)
    return turn.outcome


def _awaiting(status: str) -> Bookkeep:
    """The resize that is to be confirmed or reverted. Invalid, in Nova's words, where there is none."""

    def opened(turn: Turn) -> Outcome:
        migration = moves.find_newest(turn.tx.connection, turn.instance.uuid, status=AWAITING)
        if migration is None:
            raise Invalid("Instance has not been resized.")
        course = replace(
            turn.course,
            source=migration.source_compute,
            source_node=migration.source_node,
            destination=migration.dest_compute,
            destination_node=migration.dest_node,
            migration_id=migration.id,
        ).handing({"power_on": turn.instance.power_state not in _OFF})
        reach(replace(turn, course=course), status)
        return Outcome(turn.instance, course)

    return opened


def _confirmed(turn: Turn) -> Outcome:
    fleet.settle_claim(turn.tx, turn.instance.uuid)
    reach(turn, "confirmed")
    return Outcome(_up_or_down(turn), turn.course)


def _left(turn: Turn) -> Outcome:
    """The guest of the new flavor is gone: the server is its old host's again, as it was.

    So it is where the operation was abandoned meanwhile: what is aside on the old host is whole, and the other not.
    """
    fleet.release_claim(turn.tx, turn.instance.uuid, kind=fleet.AWAY)
    return _moved_back(turn)


def _returned(turn: Turn) -> Outcome:
    reach(turn, "reverted")
    return Outcome(_up_or_down(turn)._replace(launched_at=turn.now), turn.course)


def _up_or_down(turn: Turn) -> Instance:
    state = VmState.ACTIVE if turn.course.handed.get("power_on", True) else VmState.STOPPED
    return turn.instance._replace(vm_state=state)
