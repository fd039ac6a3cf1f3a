"""The story of one server or one request: actions, their events, and what else happened beside them. Pure.

Any Nova tells actions and their events. A Kilonova's journal adds the turns of states, what became of names and the
like, the decisions, what nobody asked for, and the turns of hosts; another Nova's message bus adds its notifications.
They are put to the request that they belong to.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from kilonova.console.differences import LABELS, Turn, differences, power_word
from kilonova.console.titles import title_of

_SUCCESS: Final = "Success"
_SAYS_NOTHING: Final = "Error"
"""Nova's message of whatever failed."""
RETRIED: Final = "Retried"
"""The result of a step that failed and was tried on another host; Nova counts it as a success."""
_TURNING: Final = ("vm_state", "task_state", "power_state", "host")
_CHANGING: Final = LABELS.keys() - {*_TURNING, "status"}
"""What is told of a server beside its states: what people call it, and what belongs to it."""
_NOTIFIED: Final = frozenset({"start", "retry", "end", "error"})
BY_ITSELF: Final = {
    "observed": "Seen on the host",
    "reconciled": "Put right",
    "expired": "Closed at its deadline",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event of an action. ``offset`` and ``width`` are its place within the action, in hundredths of it."""

    name: str
    host: str | None
    started_at: datetime
    seconds: float | None
    result: str | None
    details: str | None
    offset: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One thing that happened: ``kind`` is state, change, notification, decision or host; ``text`` says what turned.

    Of a change there are ``turns`` instead, which can be told in any language.
    """

    at: datetime
    kind: str
    text: str = ""
    offset: float = 0.0
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """That the step ``event`` failed on a host, after which it was tried on another."""

    event: str
    host: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What happened at one moment, and what to call it where no request of the story is its own.

    ``is_recorded`` says that the cloud knows its request all the same: it was asked for, and is no action.
    """

    at: datetime
    request_id: str
    title: str
    action: str
    user_id: str | None
    moments: tuple[Moment, ...]
    outcome: str = "ok"
    setback: Setback | None = None
    is_recorded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request on a server, or one thing that happened without any (``request_id`` is empty then).

    ``seconds`` is None while it goes on; ``outcome`` is ok, failed or open. ``is_action`` is False for what Nova keeps
    no action of, such as a new name.
    """

    title: str
    action: str
    request_id: str
    user_id: str | None
    started_at: datetime
    seconds: float | None
    outcome: str
    message: str | None
    steps: tuple[Step, ...]
    moments: tuple[Moment, ...] = ()
    server_id: str = ""
    is_action: bool = True

    @property
    def turns(self) -> list[Turn]:
        """What it changed, beside states."""
        return [turn for moment in self.moments for turn in moment.turns]

    @property
    def others(self) -> list[Moment]:
        """What happened meanwhile, without what ``turns`` tell."""
        return [moment for moment in self.moments if not moment.turns]

    @property
    def host(self) -> str | None:
        """The host on which it ended, as far as it is told."""
        return next((step.host for step in reversed(self.steps) if step.host), None)

    @property
    def failed_on(self) -> list[str]:
        """The hosts on which a step of it failed, in order: also where it was tried elsewhere then.

        Where that is not told, a step that begins anew on another host says it of the one before.
        """
        on_hosts = [step for step in self.steps if step.host and step.name.startswith("compute")]
        found = [
            str(step.host)
            for place, step in enumerate(on_hosts)
            if step.result not in (None, _SUCCESS) or any(_anew(step, later) for later in on_hosts[place + 1 :])
        ]
        return list(dict.fromkeys(found))


def entries(actions: Iterable[Mapping[str, Any]], *, now: datetime) -> list[Entry]:
    """Actions as ``os-instance-actions`` shows them, each with its ``events`` where known; the latest first."""
    found = [_entry(action, now) for action in actions]
    return sorted(found, key=lambda entry: entry.started_at, reverse=True)


def merged(story: Sequence[Entry], happenings: Iterable[Happening]) -> list[Entry]:
    """The story with all that happened put to the requests that it belongs to; the rest stands for itself."""
    moments: dict[str, list[Moment]] = {}
    setbacks: dict[str, list[Setback]] = {}
    alone: dict[str, list[Happening]] = {}
    known = {entry.request_id for entry in story}
    for place, each in enumerate(happenings):
        if each.request_id in known:
            moments.setdefault(each.request_id, []).extend(each.moments)
            setbacks.setdefault(each.request_id, []).extend([each.setback] if each.setback else [])
        elif each.moments:
            alone.setdefault(each.request_id if each.is_recorded else str(place), []).append(each)
    told = [
        _with(_set_back(entry, setbacks.get(entry.request_id, [])), moments.get(entry.request_id, []))
        for entry in story
    ]
    # The newest is told first, and of two that happened at once it is the one that was told later.
    apart = [_by_itself(members) for members in reversed(alone.values())]
    return sorted([*told, *apart], key=lambda entry: entry.started_at, reverse=True)


def from_journal(rows: Iterable[Mapping[str, Any]]) -> list[Happening]:
    """Rows of a Kilonova's journal, as ``/state/v1/events`` shows them."""
    return [_happening(row) for row in rows]


def instant(text: str) -> datetime:
    """A moment in any of Nova's spellings; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def from_operation(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    """An operation as ``/state/v1/operations`` shows it, as the action that Nova would show."""
    events = [
        {
            "event": event["event"],
            "start_time": event["started_at"],
            "finish_time": event["finished_at"],
            "result": event["result"],
            "host": event.get("host"),
            "details": event.get("details"),
        }
        for event in operation["events"]
    ]
    return {
        "action": operation["action"],
        "request_id": operation["request_id"],
        "user_id": operation["user_id"],
        "start_time": operation["started_at"],
        "updated_at": operation["finished_at"],
        "message": "Error" if operation["result"] not in (None, _SUCCESS) else None,
        "events": events,
        "is_open": operation["is_open"],
        "server_id": operation["server"],
    }


def _entry(action: Mapping[str, Any], now: datetime) -> Entry:
    events = action.get("events") or []
    started = instant(action["start_time"])
    ends = [instant(event["finish_time"]) for event in events if event.get("finish_time")]
    is_open = action.get("is_open", any(not event.get("finish_time") for event in events))
    updated = action.get("updated_at")
    if updated:
        ends.append(instant(updated))
    end = max(ends, default=None)
    last = now if is_open or end is None else end
    # The newest is told first, and of two that began at once it is the later one.
    newest_first = sorted(events, key=lambda event: event["start_time"], reverse=True)
    outcome = _outcome(action, events, is_open=is_open)
    return Entry(
        title=title_of(action["action"], outcome),
        action=action["action"],
        request_id=action["request_id"],
        user_id=action.get("user_id"),
        started_at=started,
        seconds=None if outcome == "open" or end is None else (end - started).total_seconds(),
        outcome=outcome,
        message=None if action.get("message") == _SAYS_NOTHING else action.get("message"),
        steps=tuple(_step(event, started, last) for event in reversed(newest_first)),
        server_id=str(action.get("server_id") or action.get("instance_uuid") or ""),
    )


def _outcome(action: Mapping[str, Any], events: list[Any], *, is_open: bool) -> str:
    if is_open and "is_open" in action:
        return "open"
    if action.get("message") or any(event.get("result") not in (None, _SUCCESS) for event in events):
        return "failed"
    return "open" if is_open else "ok"


def _step(event: Mapping[str, Any], started: datetime, last: datetime) -> Step:
    begin = instant(event["start_time"])
    end = instant(event["finish_time"]) if event.get("finish_time") else None
    offset = _share(begin, started, last)
    width = ((end or last) - begin).total_seconds() / _whole(started, last)
    return Step(
        name=event["event"],
        host=event.get("host"),
        started_at=begin,
        seconds=None if end is None else (end - begin).total_seconds(),
        result=event.get("result"),
        details=event.get("details"),
        offset=round(offset * 100, 2),
        width=round(min(max(width, 0.01), 1.0 - offset if offset < 1 else 0.01) * 100, 2),
    )


def _whole(started: datetime, last: datetime) -> float:
    return max((last - started).total_seconds(), 1e-6)


def _share(at: datetime, started: datetime, last: datetime) -> float:
    return min(max((at - started).total_seconds() / _whole(started, last), 0.0), 1.0)


def _anew(step: Step, later: Step) -> bool:
    return step.name == later.name and step.host != later.host


def _set_back(entry: Entry, found: Sequence[Setback]) -> Entry:
    """The entry with what failed in steps that count as a success."""
    said = {(each.event, each.host): each.message for each in found}
    steps = tuple(
        replace(step, result=RETRIED, details=step.details or said[step.name, step.host])
        if step.result == _SUCCESS and step.host and (step.name, step.host) in said
        else step
        for step in entry.steps
    )
    return replace(entry, steps=steps)


def _with(entry: Entry, found: Sequence[Moment]) -> Entry:
    if not found:
        return entry
    ordered = sorted(found, key=lambda moment: moment.at)
    seconds = entry.seconds
    last = max([ordered[-1].at, *(step.started_at for step in entry.steps)])
    whole = max(seconds or 0.0, (last - entry.started_at).total_seconds(), 1e-6)
    placed = tuple(
        replace(each, offset=round(100 * min(max((each.at - entry.started_at).total_seconds() / whole, 0), 1), 2))
        for each in ordered
    )
    return replace(entry, moments=placed)


def _by_itself(members: Sequence[Happening]) -> Entry:
    """What happened without an action of the story: a new name, seen on the host, put right, a turn of the host."""
    begin = members[0]
    return Entry(
        title=begin.title,
        action=begin.action,
        request_id=begin.request_id if begin.is_recorded else "",
        user_id=begin.user_id,
        started_at=begin.at,
        seconds=0.0,
        outcome=begin.outcome,
        message=None,
        steps=(),
        moments=tuple(moment for each in members for moment in each.moments),
        is_action=False,
    )


def _happening(row: Mapping[str, Any]) -> Happening:
    is_host = row["kind"] == "service"
    title = "Host" if is_host else BY_ITSELF.get(str(row.get("cause")), "Decision" if row["kind"] == "decision" else "")
    return Happening(
        at=instant(row["occurred_at"]),
        request_id=str(row.get("request_id") or (row.get("snapshot") or {}).get("request_id") or ""),
        title=title or "Changed",
        action=str(row.get("operation") or ("update" if row["kind"] == "instance" else row["kind"])),
        user_id=row.get("user_id"),
        moments=tuple(_moments(row)),
        outcome="failed" if is_host and row.get("operation") == "down" else "ok",
        setback=_setback(row),
        is_recorded=row["kind"] == "instance" and bool(row.get("request_id")),
    )


def _setback(row: Mapping[str, Any]) -> Setback | None:
    facts = row.get("facts") or {}
    if row.get("phase") != "retry" or not facts.get("host"):
        return None
    message = str((facts.get("fault") or {}).get("message") or "")
    return Setback(event=str(facts.get("event")), host=str(facts["host"]), message=message)


def _moments(row: Mapping[str, Any]) -> list[Moment]:
    at, kind = instant(row["occurred_at"]), row["kind"]
    snapshot = row.get("snapshot") or {}
    if kind == "service":
        return [Moment(at=at, kind="host", text=f"{snapshot.get('host')}: {row.get('operation')}")]
    if kind == "decision":
        chosen = snapshot.get("chosen_host")
        text = f"{snapshot.get('candidates')} → {chosen}" if chosen else str(snapshot.get("summary") or "")
        return [Moment(at=at, kind="decision", text=text)]
    if kind != "instance":
        return []
    found = []
    turned = _turned(snapshot, row.get("previous"))
    if turned:
        found.append(Moment(at=at, kind="state", text=turned))
    changed = _changed(snapshot, row.get("previous") or {})
    if changed:
        found.append(Moment(at=at, kind="change", turns=changed))
    if row.get("phase") in _NOTIFIED:
        found.append(Moment(at=at, kind="notification", text=str(row.get("topic"))))
    return found


def _turned(snapshot: Mapping[str, Any], previous: Mapping[str, Any] | None) -> str:
    if previous is None:
        return f"vm_state {snapshot.get('vm_state')}, task_state {snapshot.get('task_state') or '–'}"
    return ", ".join(
        f"{name} {_word(name, previous[name])} → {_word(name, snapshot.get(name))}"
        for name in _TURNING
        if name in previous and name in snapshot
    )


def _changed(snapshot: Mapping[str, Any], previous: Mapping[str, Any]) -> tuple[Turn, ...]:
    before = {name: was for name, was in previous.items() if name.removesuffix("_json") in _CHANGING}
    return tuple(differences(before, snapshot))


def _word(name: str, value: Any) -> str:
    if name == "power_state":
        return power_word(value)
    return "–" if value is None else str(value)
