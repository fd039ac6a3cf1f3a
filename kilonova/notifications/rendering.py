"""From a row of the journal to messages: pure, so that the same row is the same messages for ever."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from kilonova.domain.journal import JournalRow
from kilonova.notifications.documents import parsed
from kilonova.notifications.instances import tell_existence, tell_instance
from kilonova.notifications.message import Context, Draft, Format, Message, Telling
from kilonova.notifications.nouns import TELLERS
from kilonova.notifications.options import NotificationOptions
from kilonova.wire.times import naive, spaced

_NAMESPACE: Final = UUID("6f5dd7f2-3f5f-5c0e-9d52-6a3c1f1f7a10")

_KINDS: Final[Mapping[str, Callable[[JournalRow, NotificationOptions], Iterator[Telling]]]] = {
    "instance": tell_instance,
    "exists": tell_existence,
    **TELLERS,
}
"""Who tells the rows of a kind; what is not in here is told by nothing."""


def render(row: JournalRow, options: NotificationOptions) -> list[Message]:
    """What Nova would send for this change, in its order; one message a topic.

    Where both formats are wanted, each occasion is told in legacy words first. A row that Nova has no words for
    makes no message.
    """
    tell = _KINDS.get(row.kind)
    if tell is None:
        return []
    said = _Said(row, options)
    return [message for telling in tell(row, options) for message in said.messages(telling)]


class _Said:
    """Numbers what one row says, so that each message has an id of its own that never changes."""

    def __init__(self, row: JournalRow, options: NotificationOptions) -> None:
        self._options = options
        self._times: dict[tuple[Format, str], int] = {}
        self._context = Context(context_of(row))
        self._timestamp = spaced(row.occurred_at)
        told_of = f"{row.kind}:{row.key}:{row.occurred_at}:{row.id}:"
        self._digest = hashlib.sha1(_NAMESPACE.bytes + told_of.encode(), usedforsecurity=False)

    def messages(self, telling: Telling) -> Iterator[Message]:
        """The telling's messages in the formats that are wanted."""
        options = self._options
        if telling.legacy is not None and options.has_legacy:
            yield from self._messages(telling.legacy, Format.UNVERSIONED, options.topics)
        if telling.versioned is not None and options.has_versioned:
            yield from self._messages(telling.versioned, Format.VERSIONED, options.versioned_topics)

    def _messages(self, draft: Draft, format: Format, topics: tuple[str, ...]) -> Iterator[Message]:
        message_id, payload = self._id(draft, format), draft.payload()
        for topic in topics:
            yield Message(
                event_type=draft.event_type,
                publisher_id=draft.publisher_id,
                priority=draft.priority,
                payload=payload,
                format=format,
                topic=topic,
                message_id=message_id,
                timestamp=self._timestamp,
                context=self._context,
            )

    def _id(self, draft: Draft, format: Format) -> str:
        """By the row and what is said, not by its place: options that leave something out change no other id."""
        key = (format, draft.event_type)
        number = self._times[key] = self._times.get(key, 0) + 1
        digest = self._digest.copy()
        digest.update(f"{format}:{draft.event_type}:{number}".encode())
        return _uuid5(digest.hexdigest())


def _uuid5(digits: str) -> str:
    """The UUID version 5 of a SHA-1 (RFC 9562 §5.5), without the making of an object."""
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def context_of(row: JournalRow) -> dict[str, Any]:
    """The request's context as oslo.messaging sends it, without anything that opens a door (contract §10.2)."""
    user, project = row.user_id, row.caller_project_id
    more: Mapping[str, Any] = parsed(row.facts_json).get("context") or {}
    user_domain, project_domain = more.get("user_domain"), more.get("project_domain")
    return {
        "user": user,
        "project_id": project,
        "system_scope": None,
        "project": project,
        "domain": None,
        "user_domain": user_domain,
        "project_domain": project_domain,
        "is_admin": bool(more.get("is_admin", user is None)),
        "read_only": False,
        "show_deleted": False,
        "auth_token": None,
        "request_id": row.request_id,
        "global_request_id": None,
        "resource_uuid": None,
        "roles": list(more.get("roles", ())),
        "user_identity": " ".join(part or "-" for part in (user, project, None, user_domain, project_domain)),
        "is_admin_project": True,
        "user_id": user,
        "read_deleted": "no",
        "remote_address": None,
        "timestamp": naive(row.occurred_at),
        "quota_class": None,
        "user_name": more.get("user_name"),
        "service_catalog": [],
        "project_name": more.get("project_name"),
    }
