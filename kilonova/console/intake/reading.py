"""From a message of Nova's bus to what is kept of it: what happened, to whom, and never the whole of the payload."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from kilonova.console.timeline import instant
from kilonova.wire.envelope import disclose
from kilonova.wire.notification import Notification, read

MOST_BYTES: Final = 1 << 20
"""A larger message is not even looked at; Nova's have some ten thousand bytes."""
_LONGEST: Final = 255
_ERROR: Final = "ERROR"
_COMPUTE: Final = frozenset({"compute", "nova-compute"})


class Unreadable(ValueError):
    """A message that is no notification; its text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What is kept of one notification.

    ``number`` counts what this console heard. ``at`` is when it was sent, ``received_at`` when it came. ``host`` is the
    compute host that it is about, ``project_id`` whose the server is: each empty where that is not told. ``old_name``
    is what the server was called before, empty where it kept its name. ``turned`` says which states changed, ``fault``
    what was raised.
    """

    number: int
    at: datetime
    received_at: datetime
    event_type: str
    action: str
    phase: str
    is_versioned: bool
    is_error: bool
    publisher: str
    host: str
    server_id: str
    server_name: str
    old_name: str
    project_id: str
    request_id: str
    user_id: str
    turned: str
    fault: str

    @property
    def lag_seconds(self) -> float:
        """How long it was on its way, by the two clocks; never less than nothing."""
        return max(0.0, (self.received_at - self.at).total_seconds())


def message_of(body: bytes | str) -> tuple[bytes, Notification]:
    """The digest of a message's id, which may have any length, and the notification in it.

    Unreadable for whatever is none.
    """
    if len(body) > MOST_BYTES:
        raise Unreadable(f"a message of {len(body)} bytes, more than {MOST_BYTES}")
    try:
        told = read(disclose(body))
    except (ValueError, RecursionError) as error:
        raise Unreadable(str(error)[:_LONGEST] or type(error).__name__) from error
    return hashlib.sha256(told.message_id.encode("utf-8", "surrogatepass")).digest(), told


def notice_of(told: Notification, *, number: int, received_at: datetime) -> Notice:
    """What is kept of a notification. Unreadable where its time is none."""
    try:
        at = instant(told.timestamp).astimezone(UTC)
    except (ValueError, OverflowError) as error:  # the year 1 east of Greenwich begins before there are years
        raise Unreadable("a notification without a time") from error
    payload = told.payload
    return Notice(
        number=number,
        at=at,
        received_at=received_at,
        event_type=_short(told.event_type),
        action=_short(told.action),
        phase=_short(told.phase),
        is_versioned=told.is_versioned,
        is_error=told.priority == _ERROR or told.phase == "error",
        publisher=_short(" · ".join(filter(None, (told.service, told.host)))),
        host=_host(told),
        server_id=_short(told.instance_uuid),
        server_name=_short(payload.get("display_name")) if told.is_of_a_server else "",
        old_name=_old_name(payload) if told.is_of_a_server else "",
        project_id=_short(payload.get("tenant_id")) if told.is_of_a_server else "",
        request_id=_short(told.request_id),
        user_id=_short(told.user_id),
        turned=_turned(told),
        fault=_fault(told),
    )


def _short(value: Any) -> str:
    """The beginning of a text, fit for a page: JSON can spell halves of characters, which have no encoding."""
    return value[:_LONGEST].encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _host(told: Notification) -> str:
    """A service tells of itself in its payload; of a server it is the compute service that speaks."""
    if told.event_type.startswith("service."):
        return _short(told.payload.get("host"))
    return _short(told.host) if told.service in _COMPUTE else ""


def _old_name(payload: Mapping[str, Any]) -> str:
    """Nova tells it with every update in its newer format, mostly as nothing."""
    old = _short(payload.get("old_display_name"))
    return "" if old == _short(payload.get("display_name")) else old


def _turned(told: Notification) -> str:
    """Which states changed, where the notification has the old ones too; else the ones it has."""
    found = []
    for name, before, after in (
        ("vm_state", told.old_state, told.state),
        ("task_state", told.old_task_state, told.task_state),
    ):
        if before is not None and before != after:
            found.append(f"{name} {before or '–'} → {after or '–'}")
    return _short(", ".join(found))


def _fault(told: Notification) -> str:
    """What was raised: in a part of its own in newer notifications, beside the rest in older ones."""
    fault = told.payload.get("fault")
    if isinstance(fault, Mapping):
        return _short(fault.get("exception_message"))
    if told.priority != _ERROR and told.phase != "error":
        return ""
    return _short(told.payload.get("exception_message")) or _short(told.payload.get("message"))
