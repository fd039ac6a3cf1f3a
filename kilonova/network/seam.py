"""The seams of the network service: who asks, which servers are plugged in, and what ports have a record.

``bootstrap`` binds all three.
"""

from collections.abc import Sequence
from typing import Protocol

from kilonova.domain.plugs import PluggedServer
from kilonova.domain.ports import Port, Wish


class Viewer(Protocol):
    """Who asks: as much of the caller as the network needs to know."""

    @property
    def project_id(self) -> str | None:
        """On behalf of which project; None for a token of no project."""
        ...

    @property
    def is_admin(self) -> bool:
        """Whether every project's ports are theirs to see."""
        ...


class Authenticates(Protocol):
    """Turns a token into who asks."""

    def authenticate(self, token: str) -> Viewer:
        """The one who holds ``token``. Unauthenticated where it is unknown, expired or revoked."""
        ...


class PluggedServers(Protocol):
    """The servers that have NICs."""

    def list_plugged(self, project_id: str | None = None, device_id: str | None = None) -> Sequence[PluggedServer]:
        """Living servers with NICs, oldest first; of one project, and one server alone, where those are given."""
        ...


class KeptPorts(Protocol):
    """The ports that have a record: made by hand, or with an address that does not follow from a server's number."""

    def list_ports(self, project_id: str | None = None) -> Sequence[Port]:
        """Those of a project, or of all; oldest first."""
        ...

    def make(self, wish: Wish) -> Port:
        """Make one by hand. Invalid for an address outside of the network, Conflict for one that is taken."""
        ...

    def rename(self, port_id: str, project_id: str | None, *, name: str | None, description: str | None) -> None:
        """Call it otherwise; None leaves what it is, and any project's is meant without ``project_id``. NotFound."""
        ...

    def remove(self, port_id: str, project_id: str | None) -> None:
        """Give it up. NotFound, and Conflict while a server is plugged in."""
        ...
