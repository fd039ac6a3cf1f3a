"""A notification as it is handed to whoever sends it, and the drafts that it is made from."""

from collections.abc import Callable
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

Payload = dict[str, Any]


class Format(StrEnum):
    """The two families of Nova's notifications (contract §10.4, §10.6)."""

    UNVERSIONED = "unversioned"
    VERSIONED = "versioned"


class Priority(StrEnum):
    """The priorities that Nova uses of those there are."""

    INFO = "INFO"
    ERROR = "ERROR"


class Context(dict[str, Any]):
    """Who asked, in the words of a request's context without the prefix ``_context_``; no credentials are in it.

    All messages of a row have the same one, so it is spelled but once.
    """

    @cached_property
    def flattened(self) -> dict[str, Any]:
        """As it stands in a message."""
        return {f"_context_{name}": value for name, value in self.items()}

    @cached_property
    def encoded(self) -> bytes:
        """The same as JSON."""
        return msgspec.json.encode(self.flattened)


class Message(NamedTuple):
    """One notification on one topic.

    ``message_id`` is the same whenever and by whomever the same row is rendered, so that consumers can tell a repeated
    message. ``timestamp`` is when it happened, as ``2026-11-22 10:58:41.831756``. Payloads share
    parts with one another: they are to be read only.
    """

    event_type: str
    publisher_id: str
    priority: Priority
    payload: Payload
    format: Format
    topic: str
    message_id: str
    timestamp: str
    context: Context

    @property
    def routing_key(self) -> str:
        """Where it goes in the exchange: the topic and the priority (contract §10.2)."""
        return f"{self.topic}.{self.priority.lower()}"

    @property
    def body(self) -> dict[str, Any]:
        """The inner message of oslo.messaging, which ``wire/envelope.py`` wraps (contract §10.2)."""
        return {**self._own, **self.context.flattened}

    @property
    def encoded(self) -> bytes:
        """``body`` as JSON."""
        return b"%b,%b" % (msgspec.json.encode(self._own)[:-1], self.context.encoded[1:])

    @property
    def _own(self) -> dict[str, Any]:
        return {
            "message_id": self.message_id,
            "publisher_id": self.publisher_id,
            "event_type": self.event_type,
            "priority": str(self.priority),
            "payload": self.payload,
            "timestamp": self.timestamp,
            "_unique_id": self.message_id.replace("-", ""),
        }


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
