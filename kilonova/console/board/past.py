"""The cloud as it was, and what changed between two instants; only a Kilonova knows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kilonova.console.board.look import Look
from kilonova.console.client import Client
from kilonova.console.differences import Turn, differences
from kilonova.console.errors import CloudError
from kilonova.console.timeline import instant

_PAGES: Final = 5
_PAGE: Final = 1000
_TICKS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerChange:
    """What became of one server: ``change`` is created, changed or deleted, ``at`` the latest of it if that is told."""

    id: str
    name: str
    change: str
    at: datetime | None
    turns: Sequence[Turn]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """How servers stood at ``at``, and what changed from there to ``to``, the latest change first.

    ``began_at`` is the oldest that is remembered; ``tick`` is where ``at`` lies between there and now, in thousandths.
    ``is_told`` is False where the cloud has no memory. ``is_complete`` and ``is_cut`` are of the servers then;
    ``has_more`` says that more changed. ``pages`` are servers whose pages this login may see, None for any.
    """

    is_told: bool
    at: datetime
    to: datetime
    began_at: datetime
    tick: int
    servers: Sequence[Mapping[str, Any]]
    changes: Sequence[ServerChange]
    is_complete: bool
    is_cut: bool
    has_more: bool
    pages: frozenset[str] | None
    look: Look

    @property
    def statuses(self) -> list[tuple[str, int]]:
        """Numbers of servers by status then."""
        return Counter(str(each["status"]) for each in self.servers).most_common()

    def leads_to(self, server_id: str) -> bool:
        """Whether the server has a page for this login."""
        return self.pages is None or server_id in self.pages


def past(client: Client, *, at: str = "", to: str = "", tick: str = "") -> Past:
    """The cloud at an instant (ISO 8601, UTC without a zone), or at a thousandth of the time that is remembered."""
    look = Look(client=client)
    began = _began(look)
    moment = _moment(at, began, look.at) if at else _ticked(tick, began, look.at)
    until = _moment(to, began, look.at) if to else look.at
    if until < moment:
        moment, until = until, moment
    servers, is_complete, is_cut = _servers(look, moment)
    changes, has_more = _changes(look, moment, until, {each["id"]: each["status"] for each in servers})
    look.check_told("past", "difference")
    whole = max((look.at - began).total_seconds(), 1.0)
    return Past(
        is_told=client.has_state(),
        at=moment,
        to=until,
        began_at=began,
        tick=round(_TICKS * (moment - began).total_seconds() / whole),
        servers=servers,
        changes=changes,
        is_complete=is_complete,
        is_cut=is_cut,
        has_more=has_more,
        pages=_pages(look),
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


def _changes(
    look: Look, begin: datetime, end: datetime, statuses: Mapping[str, str]
) -> tuple[list[ServerChange], bool]:
    """The latest first; ``statuses`` are how the servers stood at the beginning."""
    query = {"from": _iso(begin), "to": _iso(end), "limit": _PAGE}
    told = look.state("difference", "/diff", {"servers": [], "next": None}, **query)
    found = [_change(each, statuses.get(each["id"])) for each in told["servers"]]
    ordered = sorted(found, key=lambda each: each.at or begin, reverse=True)
    return ordered, told["next"] is not None


def _change(told: Mapping[str, Any], status: str | None) -> ServerChange:
    server, fields = told.get("server") or {}, told["fields"]
    before = {name: pair["before"] for name, pair in fields.items()}
    after = {name: pair["after"] for name, pair in fields.items()}
    if told["change"] == "changed" and status is not None:
        # Its status says the same as its state, in the word that people know.
        before, after = {**before, "status": status}, {**after, "status": server["status"]}
        before.pop("vm_state", None)
    at = told.get("at") or server.get("since")
    return ServerChange(
        id=told["id"],
        name=told.get("name") or server.get("display_name") or told["id"],
        change=told["change"],
        at=instant(at) if at else None,
        turns=differences(before, after),
    )


def _pages(look: Look) -> frozenset[str] | None:
    """Servers that are there now: only who administers the cloud may see the page of one that is deleted."""
    if "admin" in look.client.sign_in_once().roles:
        return None
    return frozenset(each["id"] for each in _servers(look, look.at)[0])


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
