"""How processes reach each other: by prods that carry nothing but the name of who should look.

The database is the truth; a prod only saves the wait until the receiver's own tick. Losing one costs seconds, never
a server (design §1.3).
"""

from collections.abc import Callable
from typing import Final, Protocol

CONDUCTOR: Final = "conductor"
"""The topic of whoever places instances and closes actions."""
SEQUENCER: Final = "sequencer"
"""The topic of whoever numbers the journal."""
JOURNAL: Final = "journal"
"""The topic of whoever reads the journal: there are new numbers."""


def host_topic(host: str) -> str:
    """The topic of the agent on a compute host."""
    return f"host:{host}"


class Bus(Protocol):
    """Where prods are sent and heard. ``prod`` never blocks and never raises for a topic that nobody hears."""

    def prod(self, topic: str) -> None:
        """Tell whoever listens on the topic to look at the store."""

    def trouble(self) -> str | None:
        """Why prods do not get through now, None where they do."""

    def listen(self, topic: str, heard: Callable[[], None]) -> None:
        """Call ``heard`` at every prod of the topic, from any thread; it must return at once."""
