"""Notifications as they are received, in either of Nova's formats, as one record (contract §10.2, §10.4, §10.6).

What ``envelope.disclose`` opened goes in; nobody who reads the record has to know which format it came in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_DATA: Final = "nova_object.data"
_LEGACY_SERVERS: Final = "compute.instance."
_VERSIONED_SERVERS: Final = "instance."
_KEYS: Final = ("event_type", "publisher_id", "priority", "message_id", "timestamp")


class NotificationMalformed(ValueError):
    """The message is no notification."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One notification. ``action`` is what happened without prefix and phase, in the spelling of its own format.

    ``phase`` is ``start``, ``end``, ``error`` or empty; ``service`` and ``host`` are who tells it. ``instance_uuid`` is
    None for what is not about a server; ``state``, ``task_state`` and their old values are None where they are not
    told. ``payload`` is the payload with Nova's objects taken out of their four keys.
    """

    event_type: str
    is_versioned: bool
    action: str
    phase: str
    service: str
    host: str
    priority: str
    message_id: str
    timestamp: str
    request_id: str | None
    user_id: str | None
    project_id: str | None
    instance_uuid: str | None
    state: str | None
    old_state: str | None
    task_state: str | None
    old_task_state: str | None
    payload: Mapping[str, Any]

    @property
    def is_of_a_server(self) -> bool:
        """Whether it is about one server."""
        return self.instance_uuid is not None


def read(body: Mapping[str, Any]) -> Notification:
    """The notification in a message. NotificationMalformed where something that every one has is not there."""
    missing = [key for key in _KEYS if not isinstance(body.get(key), str)]
    payload = body.get("payload")
    told = opened(payload)
    if missing or not isinstance(payload, Mapping) or not isinstance(told, Mapping):
        raise NotificationMalformed(f"a notification without {', '.join(missing) or 'payload'}")
    is_versioned = _DATA in payload
    service, host = _publisher(body["publisher_id"])
    action, phase = _named(body["event_type"])
    return Notification(
        event_type=body["event_type"],
        is_versioned=is_versioned,
        action=action,
        phase=phase,
        service=service,
        host=host,
        priority=body["priority"],
        message_id=body["message_id"],
        timestamp=body["timestamp"],
        request_id=_text(body.get("_context_request_id")),
        user_id=_text(body.get("_context_user_id")),
        project_id=_text(body.get("_context_project_id")),
        instance_uuid=_server(body["event_type"], told),
        payload=told,
        **_states(told, is_versioned=is_versioned),
    )


def opened(value: Any) -> Any:
    """A payload without the four keys of Nova's objects, however deep they are."""
    if isinstance(value, Mapping):
        inner = value.get(_DATA, value)
        return {name: opened(each) for name, each in inner.items()} if isinstance(inner, Mapping) else opened(inner)
    if isinstance(value, list):
        return [opened(each) for each in value]
    return value


def _publisher(text: str) -> tuple[str, str]:
    """Legacy publishers have a dot between service and host, versioned ones a colon."""
    service, _, host = text.partition(":" if ":" in text else ".")
    return service, host


def _named(event_type: str) -> tuple[str, str]:
    name = event_type
    for prefix in (_LEGACY_SERVERS, _VERSIONED_SERVERS):
        if name.startswith(prefix):
            name = name.removeprefix(prefix)
            break
    action, _, phase = name.rpartition(".")
    return (action, phase) if action and phase in ("start", "end", "error", "progress") else (name, "")


def _server(event_type: str, told: Mapping[str, Any]) -> str | None:
    if event_type.startswith(_VERSIONED_SERVERS):
        return _text(told.get("uuid"))
    found = told.get("instance_id") or told.get("instance_uuid")
    args = told.get("args")
    instance = args.get("instance") if isinstance(args, Mapping) else None
    if found is None and isinstance(instance, Mapping):
        found = instance.get("uuid")
    return _text(found)


def _states(told: Mapping[str, Any], *, is_versioned: bool) -> dict[str, Any]:
    """Old states where the notification tells them; legacy says an empty text for no task."""
    change = told.get("state_update")
    change = change if isinstance(change, Mapping) else told
    task = told.get("task_state") if is_versioned else told.get("new_task_state", told.get("state_description"))
    return {
        "state": _text(change.get("state")),
        "old_state": _text(change.get("old_state")),
        "task_state": _text(task) or None,
        "old_task_state": _text(change.get("old_task_state")),
    }


def _text(value: Any) -> str | None:
    """The value where it is a text: what comes from elsewhere may be anything."""
    return value if isinstance(value, str) else None
