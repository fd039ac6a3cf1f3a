"""Secrets on their way from a request to the agent in the same process; the ledger keeps only a ticket for each."""

import threading
from uuid import uuid4


class Safe:
    """Keeps secrets in memory, each for one taker. What a process had when it ended is lost, and nowhere else."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}
        self._lock = threading.Lock()

    def put(self, secret: str) -> str:
        """Keep a secret; returns the ticket for it."""
        ticket = uuid4().hex
        with self._lock:
            self._kept[ticket] = secret
        return ticket

    def take(self, ticket: str) -> str | None:
        """The secret, once; None where it was taken, or put by a process that has ended."""
        with self._lock:
            return self._kept.pop(ticket, None)
