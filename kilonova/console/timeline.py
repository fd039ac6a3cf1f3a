"""The story of one server, from what any Nova tells of it: actions, their events, and how long each took. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

_SUCCESS: Final = "Success"
_FRIENDLY: Final = {
    "create": "Created",
    "delete": "Deleted",
    "start": "Started",
    "stop": "Stopped",
    "reboot": "Rebooted",
    "pause": "Paused",
    "unpause": "Unpaused",
    "suspend": "Suspended",
    "resume": "Resumed",
    "rebuild": "Rebuilt",
    "resize": "Resized",
    "migrate": "Migrated",
    "confirmResize": "Resize confirmed",
    "revertResize": "Resize reverted",
    "live-migration": "Migrated live",
    "evacuate": "Evacuated",
    "shelve": "Shelved",
    "unshelve": "Unshelved",
    "shelveOffload": "Offloaded",
    "rescue": "Rescued",
    "unrescue": "Unrescued",
    "createImage": "Image made",
    "createBackup": "Backed up",
    "restore": "Restored",
    "lock": "Locked",
    "unlock": "Unlocked",
    "changePassword": "Password changed",
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
class Entry:
    """One request on the server. ``seconds`` is None while it goes on; ``outcome`` is ok, failed or open."""

    title: str
    action: str
    request_id: str
    user_id: str | None
    started_at: datetime
    seconds: float | None
    outcome: str
    message: str | None
    steps: tuple[Step, ...]


def entries(actions: Iterable[Mapping[str, Any]], *, now: datetime) -> list[Entry]:
    """Actions as ``os-instance-actions`` shows them, each with its ``events`` where known; the latest first."""
    found = [_entry(action, now) for action in actions]
    return sorted(found, key=lambda entry: entry.started_at, reverse=True)


def instant(text: str) -> datetime:
    """A moment in any of Nova's spellings; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _entry(action: Mapping[str, Any], now: datetime) -> Entry:
    events = action.get("events") or []
    started = instant(action["start_time"])
    ends = [instant(event["finish_time"]) for event in events if event.get("finish_time")]
    is_open = any(not event.get("finish_time") for event in events)
    updated = action.get("updated_at")
    if updated:
        ends.append(instant(updated))
    end = max(ends, default=None)
    last = now if is_open or end is None else end
    outcome = _outcome(action, events, is_open=is_open)
    return Entry(
        title=_FRIENDLY.get(action["action"], action["action"]),
        action=action["action"],
        request_id=action["request_id"],
        user_id=action.get("user_id"),
        started_at=started,
        seconds=None if outcome == "open" or end is None else (end - started).total_seconds(),
        outcome=outcome,
        message=action.get("message"),
        steps=tuple(_step(event, started, last) for event in sorted(events, key=lambda event: event["start_time"])),
    )


def _outcome(action: Mapping[str, Any], events: list[Any], *, is_open: bool) -> str:
    if action.get("message") or any(event.get("result") not in (None, _SUCCESS) for event in events):
        return "failed"
    return "open" if is_open else "ok"


def _step(event: Mapping[str, Any], started: datetime, last: datetime) -> Step:
    begin = instant(event["start_time"])
    end = instant(event["finish_time"]) if event.get("finish_time") else None
    whole = max((last - started).total_seconds(), 1e-6)
    offset = min(max((begin - started).total_seconds() / whole, 0.0), 1.0)
    width = ((end or last) - begin).total_seconds() / whole
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
