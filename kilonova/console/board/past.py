"""The cloud as it was, and what changed between two instants; only a Kilonova knows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kilonova.console.board.look import Look
from kilonova.console.client import Client
from kilonova.console.errors import CloudError
from kilonova.console.timeline import instant

_PAGES: Final = 5
_PAGE: Final = 1000
_TICKS: Final = 1000
_SPOKEN: Final = ("status", "vm_state", "task_state", "power_state", "host", "flavor_name", "display_name", "addresses")


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """How servers stood at ``at``, and what changed from there to ``to``.

    ``began_at`` is the oldest that is remembered; ``tick`` is where ``at`` lies between there and now, in thousandths.
    ``is_told`` is False where the cloud has no memory.
    """

    is_told: bool
    at: datetime
    to: datetime
    began_at: datetime
    tick: int
    servers: Sequence[Mapping[str, Any]]
    changes: Sequence[Mapping[str, Any]]
    is_complete: bool
    is_cut: bool
    look: Look

    @property
    def statuses(self) -> list[tuple[str, int]]:
        """Numbers of servers by status then."""
        return Counter(str(each["status"]) for each in self.servers).most_common()


def past(client: Client, *, at: str = "", to: str = "", tick: str = "") -> Past:
    """The cloud at an instant (ISO 8601, UTC without a zone), or at a thousandth of the time that is remembered."""
    look = Look(client=client)
    began = _began(look)
    moment = _moment(at, began, look.at) if at else _ticked(tick, began, look.at)
    until = _moment(to, began, look.at) if to else look.at
    if until < moment:
        moment, until = until, moment
    servers, is_complete, is_cut = _servers(look, moment)
    whole = max((look.at - began).total_seconds(), 1.0)
    return Past(
        is_told=client.has_state(),
        at=moment,
        to=until,
        began_at=began,
        tick=round(_TICKS * (moment - began).total_seconds() / whole),
        servers=servers,
        changes=_changes(look, moment, until),
        is_complete=is_complete,
        is_cut=is_cut,
        look=look,
    )


def _began(look: Look) -> datetime:
    """The oldest row of the journal that this login may see; an hour ago where there is none."""
    told = look.state("journal", "/journal", {"journal": {}})["journal"].get("oldest_at")
    if told is None:
        rows = look.state("events", "/events", {"events": []}, limit=1)["events"]
        told = rows[0]["occurred_at"] if rows else None
    return instant(told) if told else look.at - timedelta(hours=1)


def _ticked(tick: str, began: datetime, now: datetime) -> datetime:
    share = min(int(tick), _TICKS) / _TICKS if tick.isascii() and tick.isdigit() and len(tick) < 6 else 1.0
    return began + (now - began) * share


def _moment(text: str, began: datetime, now: datetime) -> datetime:
    try:
        found = datetime.fromisoformat(text.replace(" ", "T"))
    except ValueError as error:
        raise CloudError("That is no time, such as 2026-11-22T09:58.", status=400) from error
    aware = found if found.tzinfo else found.replace(tzinfo=UTC)
    return min(max(aware, began), now)


def _servers(look: Look, at: datetime) -> tuple[list[Mapping[str, Any]], bool, bool]:
    found: list[Mapping[str, Any]] = []
    marker: dict[str, Any] = {}
    is_complete, following = True, None
    for _ in range(_PAGES):
        page = look.state(
            "past",
            "/servers",
            {"servers": [], "is_complete": True, "next": None},
            as_of=_iso(at),
            limit=_PAGE,
            **marker,
        )
        found += page["servers"]
        is_complete, following = bool(page["is_complete"]), page["next"]
        if following is None:
            break
        marker = {"marker": following}
    return found, is_complete, following is not None


def _changes(look: Look, begin: datetime, end: datetime) -> list[Mapping[str, Any]]:
    query = {"from": _iso(begin), "to": _iso(end), "limit": _PAGE}
    found = look.state("difference", "/diff", {"servers": []}, **query)["servers"]
    return [
        {**each, "told": {name: pair for name, pair in each["fields"].items() if name in _SPOKEN}} for each in found
    ]


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
