"""What the steps of shelving write: a shelved server gives up its host and what it claimed there (contract §6.6.2).

What its host needs to make it anew, its image, is what the last ``shelve`` handed on; it is found in the ledger.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from kilonova.domain.faults import FaultCause
from kilonova.domain.model import Instance, InstanceAction
from kilonova.domain.placement import Decision
from kilonova.domain.states import PowerState, VmState
from kilonova.domain.workflow import Course
from kilonova.services.books import Books, Outcome, Page, Turn
from kilonova.services.choosing import Chooser
from kilonova.services.closing import awaited
from kilonova.services.door import Failure
from kilonova.services.moves import claim_away
from kilonova.services.settings import ServiceSettings
from kilonova.store import fleet, ledger
from kilonova.store.database import Connection

SHELVED: Final = frozenset({VmState.SHELVED, VmState.SHELVED_OFFLOADED})


class Shelving:
    """The bookkeeping of shelve, shelve offload and unshelve."""

    def __init__(self, chooser: Chooser, *, settings: ServiceSettings) -> None:
        self._chooser = chooser
        self._settings = settings

    def books(self) -> Mapping[str, Books]:
        """By the operation's name."""
        offload = Page(done=_offloaded)
        return {
            "shelve": Books(opened=_power_noted, pages={"keep": Page(done=self._kept), "offload": offload}),
            "shelve_offload": Books(pages={"offload": offload}),
            "unshelve": Books(
                pages={
                    "look_up": Page(plan=_shelved_image, done=_looked_up),
                    "place": Page(plan=self._plan, done=_placed, undone=_unplaced),
                    "spawn": Page(done=_spawned),
                }
            ),
        }

    def _kept(self, turn: Turn) -> Outcome:
        """Its disk is an image now. It goes on to be offloaded at once, unless the settings let it stay a while."""
        shelved = turn.instance._replace(vm_state=VmState.SHELVED, power_state=PowerState.SHUTDOWN)
        if self._settings.shelved_offload_time == 0:
            return Outcome(shelved, turn.course, notices=("update", "shelve.end", "shelve_offload.start"))
        settled = shelved._replace(task_state=awaited(turn.tx, turn.action, turn.instance))
        return Outcome(settled, turn.course, is_over=True)

    def _plan(self, connection: Connection, instance: Instance, action: InstanceAction) -> Decision | None:
        if instance.host is not None:
            return None
        ask = self._chooser.ask_of(connection, instance, host=action.parameters.get("host"))
        return self._chooser.decide(connection, ask)


def find_shelved_image(connection: Connection, instance: Instance) -> Mapping[str, Any] | None:
    """What is known of the image that a shelved server was kept as; None for one that is not shelved."""
    if instance.vm_state not in SHELVED:
        return None
    shelvings = (each for each in ledger.list_actions(connection, instance.uuid) if each.operation == "shelve")
    kept = (Course.read(each.course_json).handed.get("shelved") for each in shelvings)
    return next((facts for facts in kept if facts), None)


def _power_noted(turn: Turn) -> Outcome:
    """How it was, so that it can be so again."""
    return Outcome(turn.instance, turn.course.handing({"power": int(turn.instance.power_state)}))


def _offloaded(turn: Turn) -> Outcome:
    """Nothing of it is left on its host."""
    fleet.release_claim(turn.tx, turn.instance.uuid)
    homeless = turn.instance._replace(
        vm_state=VmState.SHELVED_OFFLOADED, power_state=PowerState.SHUTDOWN, host=None, node=None
    )
    return Outcome(homeless, turn.course, notices=("update", "shelve_offload.end"))


def _shelved_image(connection: Connection, instance: Instance, _action: InstanceAction) -> Mapping[str, Any] | None:
    return find_shelved_image(connection, instance)


def _looked_up(turn: Turn) -> Outcome:
    """The image, and whether the server is still where it was."""
    if turn.plan is None:
        return replace(turn.outcome, failure=_NO_IMAGE)
    known = {"shelved": turn.plan, "is_offloaded": turn.instance.host is None}
    return Outcome(turn.instance, turn.course.handing(known))


_NO_IMAGE: Final = Failure(
    cause=FaultCause.IMAGE_UNAVAILABLE,
    message="The image that the server was shelved as is not known.",
    detail="",
    traceback="",
)


def _placed(turn: Turn) -> Outcome:
    """Where it still is, or the best host that has what it needs, which is claimed there."""
    if turn.instance.host is not None:
        here = replace(turn.course, destination=turn.instance.host, destination_node=turn.instance.node)
        return Outcome(turn.instance, here)
    return claim_away(turn, turn.instance)


def _unplaced(turn: Turn) -> Outcome:
    fleet.release_claim(turn.tx, turn.instance.uuid, kind=fleet.AWAY)
    return turn.outcome


def _spawned(turn: Turn) -> Outcome:
    """What it has been promised is where it lives from now on."""
    fleet.settle_claim(turn.tx, turn.instance.uuid)
    there = turn.instance._replace(host=turn.course.destination, node=turn.course.destination_node)
    return Outcome(there, turn.course)
