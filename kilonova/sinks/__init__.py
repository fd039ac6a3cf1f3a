"""Where the feed goes: one module a kind of sink. Each takes messages in order and says when it has them for certain.

A sink knows nothing of the journal, of cursors or of leases: the relay (``services/relay.py``) does, and hands it
parcels. What it was not able to deliver it is handed again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One message on its way: ``body`` is oslo.messaging's inner message as JSON, ``seq`` the row that it tells of.

    A parcel without a ``routing_key`` tells of a gap: that rows were forgotten before they could be told.
    """

    seq: int
    routing_key: str
    message_id: str
    body: bytes


def document(parcel: Parcel) -> bytes:
    """The parcel in JSON, for sinks that have no place of their own for its number and where it goes."""
    if not parcel.routing_key:
        return parcel.body
    return b'{"seq":%d,"routing_key":%b,"message":%b}' % (
        parcel.seq,
        msgspec.json.encode(parcel.routing_key),
        parcel.body,
    )


class Undelivered(Exception):
    """A sink has only the first ``confirmed`` of its parcels for certain; ``reason`` is for the operator."""

    def __init__(self, reason: str, *, confirmed: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.confirmed = confirmed


class Sink(Protocol):
    """One place where messages go; used by one thread at a time.

    ``keeps_log`` is whether an operator wants to see every delivery, ``takes_gaps`` whether it is told of gaps.
    ``most_parcels`` is how many it takes at a time.
    """

    keeps_log: bool
    takes_gaps: bool
    most_parcels: int

    def deliver(self, parcels: Iterable[Parcel], *, timeout_seconds: float) -> str:
        """Take them all, in order; returns what there is to say of it. Undelivered where some are not certain.

        There is one at least. They may be made while they are taken, so that the sink's work and that go on together.
        """
        ...

    def idle(self) -> None:
        """Do what is due while there is nothing to deliver; never raises."""
        ...

    def close(self) -> None:
        """Let go of connections and files; the next delivery opens them again."""
        ...
