"""What was heard on another Nova's message bus, for who may know it. A Kilonova's journal tells all of it itself."""

from collections.abc import Iterator, Sequence
from typing import Final

from kilonova.console.board.look import Look
from kilonova.console.differences import differences
from kilonova.console.intake import Notice, Notices
from kilonova.console.timeline import Happening, Moment

_NO_CHANGE: Final = "exists"
"""Tells usage of every server every hour, and nothing that happened."""
_SHOWN: Final = 200


def heard_of_server(look: Look, notices: Notices | None, server_id: str) -> list[Happening]:
    """What was heard of a server that this login was shown; by request, the oldest first."""
    if notices is None or not look.hears(notices):
        return []
    groups: dict[str, list[Notice]] = {}
    for each in _once(notices.of_server(server_id)):
        groups.setdefault(each.request_id or str(each.number), []).append(each)
    return [_happening(members, is_admin=_is_admin(look)) for members in groups.values()]


def heard_of_request(look: Look, notices: Notices | None, request_id: str) -> Sequence[Notice]:
    """What was heard of a request, and who asks may know; the oldest first."""
    if notices is None or not look.hears(notices):
        return []
    found = notices.newest(project_id=_own_project(look))[::-1]
    return _once([each for each in found if each.request_id == request_id])


def heard_of_host(look: Look, notices: Notices | None, host: str) -> list[Notice]:
    """What was heard of a host, the newest first. Only who may see hosts at all may ask."""
    if notices is None or not look.hears(notices):
        return []
    return notices.of_host(host)[::-1]


def heard_of_hosts(look: Look, notices: Notices | None) -> list[Notice]:
    """What hosts told last of themselves, and of what failed there; the newest first. Who may ask is as above."""
    if notices is None or not look.hears(notices):
        return []
    return [each for each in notices.newest() if each.host and (each.is_error or not each.server_id)]


def heard_lately(look: Look, notices: Notices | None, *, topic: str = "", server: str = "") -> Sequence[Notice]:
    """What was heard last, the newest first: administrators read all of it, others what is about their own servers."""
    if notices is None or not look.hears(notices):
        return []
    return notices.newest(project_id=_own_project(look), topic=topic, server=server)[:_SHOWN]


def _own_project(look: Look) -> str | None:
    """The project of whose servers this login may hear; None for all of them."""
    return None if _is_admin(look) else look.client.sign_in_once().project_id or ""


def _is_admin(look: Look) -> bool:
    return "admin" in look.client.sign_in_once().roles


def _once(told: Sequence[Notice]) -> list[Notice]:
    """Without what only tells usage, and each of what is told in both of Nova's formats in the newer one alone."""
    newer = {(each.request_id, each.action, each.phase) for each in told if each.is_versioned}
    return [
        each
        for each in told
        if each.action != _NO_CHANGE and (each.is_versioned or (each.request_id, each.action, each.phase) not in newer)
    ]


def _happening(members: Sequence[Notice], *, is_admin: bool) -> Happening:
    first = members[0]
    return Happening(
        at=first.at,
        request_id=first.request_id,
        title="Changed" if any(each.old_name for each in members) else "Notified",
        action=first.action,
        user_id=first.user_id or None,
        moments=tuple(moment for each in members for moment in _moments(each, is_admin=is_admin)),
        outcome="failed" if any(each.is_error for each in members) else "ok",
    )


def _moments(notice: Notice, *, is_admin: bool) -> Iterator[Moment]:
    yield Moment(at=notice.at, kind="notification", text=_text(notice, is_admin=is_admin))
    if notice.old_name:
        # All that Nova's contract tells of how a server was before, but for its states.
        turns = differences({"display_name": notice.old_name}, {"display_name": notice.server_name})
        yield Moment(at=notice.at, kind="change", turns=tuple(turns))


def _text(notice: Notice, *, is_admin: bool) -> str:
    """Where it was, and what was raised, is for who administers the cloud."""
    more = (notice.turned, notice.fault if is_admin else "", notice.publisher if is_admin else "")
    return " · ".join(filter(None, (notice.event_type, *more)))
