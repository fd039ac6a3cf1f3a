"""How guests move while they are off: set aside on one host, taken in on another, confirmed or taken back.

The same for every driver of real machines, whose guests are directories: only what a guest is differs.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from kilonova.drivers.instances.aside import Aside
from kilonova.drivers.instances.room import require_memory
from kilonova.drivers.protocol import GuestSpec


class MovableGuest(Protocol):
    """What a move asks of a guest that is held for it."""

    @property
    def is_absent(self) -> bool:
        """Whether nothing of it is on this host."""
        ...

    def power_on(self) -> None:
        """Start it, unless it runs."""
        ...

    def power_off(self, timeout_seconds: float) -> None:
        """End it: by its own means within that time, then without them."""
        ...

    def destroy(self) -> None:
        """Leave nothing of it here."""
        ...

    def set_aside(self, aside: Aside) -> Path:
        """Put its directory aside; returns where it is then."""
        ...

    def take_in(self, spec: GuestSpec, source: Path) -> None:
        """Make it anew here from the disks in that directory."""
        ...

    def put_back(self, aside: Aside) -> None:
        """Make it what was set aside, if anything was."""
        ...


class ColdMoves(ABC):
    """The verbs of ``CanMove``, between state directories of one machine."""

    @abstractmethod
    def _held(self, uuid: str) -> AbstractContextManager[MovableGuest]:
        """The guest, for one verb at a time."""

    @abstractmethod
    def _has(self, uuid: str) -> bool:
        """Whether the guest is one of this host's."""

    @property
    @abstractmethod
    def _aside(self) -> Aside:
        """Where guests are kept that moved away."""

    def prepare_move(self, guest: GuestSpec) -> None:
        """See CanMove."""
        if not self._has(guest.uuid):  # else its own memory is free by then
            require_memory(guest.memory_mb)

    def migrate_out(self, uuid: str, *, timeout_seconds: float) -> Mapping[str, Any]:
        """See CanMove. What ``take_in`` needs is the place where the guest's disks are."""
        with self._held(uuid) as held:
            kept = self._aside.find(uuid) if held.is_absent else None
            if kept is None:
                held.power_off(timeout_seconds)
                kept = held.set_aside(self._aside)
            return {"directory": str(kept)}

    def take_in(self, guest: GuestSpec, parcel: Mapping[str, Any], *, power_on: bool) -> None:
        """See CanMove."""
        with self._held(guest.uuid) as held:
            held.take_in(guest, Path(parcel["directory"]))
            if power_on:
                held.power_on()

    def drop_moved(self, uuid: str) -> None:
        """See CanMove."""
        with self._held(uuid) as held:
            held.destroy()

    def confirm_move(self, uuid: str) -> None:
        """See CanMove."""
        with self._held(uuid):
            self._aside.drop(uuid)

    def revert_move(self, uuid: str, *, power_on: bool) -> None:
        """See CanMove."""
        with self._held(uuid) as held:
            held.put_back(self._aside)
            if power_on:
                held.power_on()
