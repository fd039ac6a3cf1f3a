"""How a workflow gets on: what a change of one of its steps writes, and where its action goes next."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from kilonova.bus import CONDUCTOR, Bus, host_topic
from kilonova.domain.changes import Change, Phase
from kilonova.domain.model import Instance, after
from kilonova.domain.operation import MINUTE
from kilonova.domain.workflow import Leg, Where
from kilonova.services.books import Books, Outcome, Page, Turn, cause_of
from kilonova.services.closing import cut
from kilonova.services.door import Failure
from kilonova.services.placing import request_of
from kilonova.store import changes, ledger

_UNDO_SECONDS: Final = 10 * MINUTE
"""How long an undoing may take until it is left as it is."""
_EMPTY: Final = Page()


class Advance:
    """Writes what happens to a turn, within its transaction. ``books`` are by the operation's name.

    ``host`` is the name that the conductor's own steps are told under, None for none.
    """

    def __init__(self, bus: Bus, books: Mapping[str, Books], *, host: str | None) -> None:
        self._bus = bus
        self._books = books
        self.host = host

    def books_of(self, turn: Turn) -> Books:
        """The bookkeeping of the turn's operation."""
        return self._books[turn.action.operation]

    def page(self, turn: Turn) -> Page:
        """The bookkeeping of the turn's step."""
        return self.books_of(turn).pages.get(turn.step.name, _EMPTY)

    def save(
        self,
        turn: Turn,
        after: Instance,
        phase: Phase,
        *,
        event: str | None = None,
        closes: bool = False,
        **told: Any,
    ) -> Turn:
        """Save one change of the step; returns the turn with the instance as it then stands."""
        failure: Failure | None = told.pop("failure", None)
        is_forward_end = phase in (Phase.RETRY, Phase.END, Phase.ERROR) and not turn.action.is_undoing
        change = Change(
            before=turn.instance,
            after=after,
            request=request_of(turn.action),
            occurred_at=turn.now,
            operation=turn.operation,
            phase=phase,
            cause=cause_of(failure),
            action_id=turn.action.id,
            host=turn.action.host or self.host,
            event=event,
            without_event=event is None,
            also=turn.step.also if is_forward_end else (),
            closes_action=closes,
            parameters_json=turn.action.parameters_json,
            step=turn.step.name,
            is_undoing=turn.action.is_undoing,
            traceback=cut(failure.traceback) or None if failure else None,
            details=failure.message[:255] if failure else None,
            raised=failure.raised if failure else None,
            **told,
        )
        return replace(turn, instance=changes.save(turn.tx, change).instance)

    def go(self, turn: Turn, leg: Leg) -> None:
        """Let the action go on with a step, wherever that is done."""
        step = turn.workflow.step(leg.step)
        host = turn.course.host_of(step.where)
        if host is None and step.where is not Where.CONDUCTOR:
            raise RuntimeError(f"step {step.name} of {turn.action.operation} has no host to be done on")
        until = turn.action.deadline_at
        if leg.is_undo or turn.course.failure is not None:
            until = after(turn.now, _UNDO_SECONDS)
        ledger.move_action(
            turn.tx.connection, turn.action.id, host=host, leg=leg, course=turn.course, deadline_at=until
        )
        topic = host_topic(host) if host else CONDUCTOR
        turn.tx.after_commit(lambda: self._bus.prod(topic))

    def noted(self, turn: Turn, outcome: Outcome) -> Turn:
        """Save what bookkeeping changed of the instance, if it did."""
        turn = replace(turn, course=outcome.course)
        if outcome.instance == turn.instance:
            return turn
        return self.save(turn, outcome.instance._replace(updated_at=turn.now), Phase.STEP)
