"""The seams of the network service: who asks, and which servers are plugged in; ``bootstrap`` binds both."""

from collections.abc import Sequence
from typing import Protocol

from kilonova.domain.plugs import PluggedServer


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
