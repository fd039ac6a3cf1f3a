"""A notification as it is handed to whoever sends it, and the drafts that it is made from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

Payload = dict[str, Any]


class Format(StrEnum):
    """The two families of Nova's notifications (contract §10.4, §10.6)."""

    UNVERSIONED = "unversioned"
    VERSIONED = "versioned"


class Priority(StrEnum):
    """The priorities that Nova uses of those there are."""

    INFO = "INFO"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One notification on one topic.

    ``message_id`` is the same whenever and by whomever the same row is rendered, so that consumers can tell a repeated
    message. ``timestamp`` is when it happened, as ``2026-11-22 10:58:41.831756``. ``context`` has the caller without
    the prefix ``_context_``; no credentials are in it.
    """

    event_type: str
    publisher_id: str
    priority: Priority
    payload: Payload
    format: Format
    topic: str
    message_id: str
    timestamp: str
    context: Mapping[str, Any]

    @property
    def routing_key(self) -> str:
        """Where it goes in the exchange: the topic and the priority (contract §10.2)."""
        return f"{self.topic}.{self.priority.lower()}"

    @property
    def body(self) -> dict[str, Any]:
        """The inner message of oslo.messaging, which ``wire/envelope.py`` wraps (contract §10.2)."""
        return {
            "message_id": self.message_id,
            "publisher_id": self.publisher_id,
            "event_type": self.event_type,
            "priority": str(self.priority),
            "payload": self.payload,
            "timestamp": self.timestamp,
            "_unique_id": self.message_id.replace("-", ""),
            **{_key(name): value for name, value in self.context.items()},
        }


@cache
def _key(name: str) -> str:
    return f"_context_{name}"


class Draft(NamedTuple):
    """What is said in one format; the payload is made only if somebody wants that format."""

    event_type: str
    publisher_id: str
    payload: Callable[[], Payload]
    priority: Priority = Priority.INFO


class Telling(NamedTuple):
    """One thing that is told, in the formats that have words for it."""

    legacy: Draft | None
    versioned: Draft | None
