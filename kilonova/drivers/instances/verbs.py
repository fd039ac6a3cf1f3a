"""The verbs of a driver of real machines: each is a verb of the guest that is held for it, whatever that guest is."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.errors import NotFound
from kilonova.domain.states import PowerState
from kilonova.drivers import host
from kilonova.drivers.instances.hosted import HostedGuest, HostedGuests, Site
from kilonova.drivers.instances.moves import ColdMoves, MovableGuest
from kilonova.drivers.protocol import GuestSpec, ImageSource, Inventory, Nic


class Guest(HostedGuest, MovableGuest, Protocol):
    """A guest with a verb of its own for each of the driver's, by the same name and with the same meaning."""

    @property
    def power(self) -> PowerState:
        """Its power state now. May raise HypervisorUnavailable."""
        ...

    def spawn(self, spec: GuestSpec) -> None:
        """Make it and switch it on."""

    def reboot(self, *, hard: bool, timeout_seconds: float) -> None:
        """Off and on again."""

    def pause(self) -> None:
        """Freeze it."""

    def unpause(self) -> None:
        """Let it go on."""

    def suspend(self) -> None:
        """Write its memory to disk and switch it off."""

    def resume(self) -> None:
        """Let it go on where it was suspended."""

    def rescue(self, image: ImageSource, timeout_seconds: float) -> None:
        """Boot it from a disk made of the image."""

    def unrescue(self) -> None:
        """Boot it from its own disk."""

    def set_password(self, password: str) -> None:
        """Set its administrator's password."""

    def snapshot(self, destination: Path) -> str:
        """Copy its first disk; the copy's format."""
        ...

    def inject_nmi(self) -> None:
        """Strike its processors."""

    def plug(self, nic: Nic) -> None:
        """Put the card in."""

    def unplug(self, mac: str) -> None:
        """Take the card with this MAC out."""

    def diagnose(self) -> Diagnostics | None:
        """What is counted of it; None while it does not run."""
        ...

    def console_log(self, lines: int | None) -> str:
        """The last lines that it wrote; None for all."""
        ...


SiteT = TypeVar("SiteT", bound=Site)
GuestT = TypeVar("GuestT", bound=Guest)


class RealMachines(HostedGuests[SiteT, GuestT], ColdMoves, ABC):
    """One host's guests; one node, named as the host."""

    needs_agent = True

    @abstractmethod
    def _hypervisor_version(self) -> int:
        """As ``Inventory`` counts it. May raise HypervisorUnavailable."""

    # --- the host ---------------------------------------------------------------------------------------

    def nodes(self) -> Sequence[str]:
        """See the Protocol."""
        return (self._node,)

    def inventory(self, node: str) -> Inventory:
        """See the Protocol. The host is asked itself: libvirt's count of memory is not to be relied upon."""
        if node != self._node:
            raise NotFound(f"no node {node} on this host")
        disk = shutil.disk_usage(self._state_dir)
        return Inventory(
            node=node,
            hypervisor_type="QEMU",
            hypervisor_version=self._hypervisor_version(),
            host_ip=self._host_ip,
            vcpus=max(1, host.cpu_count() // self._shares),
            memory_mb=host.memory_mb("MemTotal") // self._shares,
            local_gb=disk.total // host.GIB // self._shares,
            local_gb_available=disk.free // host.GIB // self._shares,
            cpu_info=host.cpu_facts(),
            uptime_text=host.uptime_text(),
        )

    def power_state(self, uuid: str) -> PowerState:
        """See the Protocol."""
        guest = self._find(uuid)
        return self._moved().get(uuid, PowerState.NOSTATE) if guest is None else guest.power

    def _moved(self) -> dict[str, PowerState]:
        """The guests that have left, by uuid, as long as what they left is kept."""
        return dict.fromkeys(self._aside.uuids() if self._site is not None else (), PowerState.SHUTDOWN)

    # --- verbs ------------------------------------------------------------------------------------------

    def spawn(self, guest: GuestSpec) -> None:
        """See the Protocol."""
        with self._held(guest.uuid) as held:
            held.spawn(guest)

    def destroy(self, uuid: str) -> None:
        """See the Protocol."""
        with self._held(uuid) as held:
            held.destroy()
            self._aside.drop(uuid)

    def power_on(self, uuid: str) -> None:
        """See the Protocol."""
        with self._held(uuid) as held:
            held.power_on()

    def power_off(self, uuid: str, *, timeout_seconds: float) -> None:
        """See the Protocol."""
        with self._held(uuid) as held:
            held.power_off(timeout_seconds)

    def reboot(self, uuid: str, *, hard: bool, timeout_seconds: float) -> None:
        """See the Protocol."""
        with self._held(uuid) as held:
            held.reboot(hard=hard, timeout_seconds=timeout_seconds)

    def pause(self, uuid: str) -> None:
        """See the Protocol."""
        with self._held(uuid) as held:
            held.pause()

    def unpause(self, uuid: str) -> None:
        """See the Protocol."""
        with self._held(uuid) as held:
            held.unpause()

    def suspend(self, uuid: str) -> None:
        """See CanSuspend."""
        with self._held(uuid) as held:
            held.suspend()

    def resume(self, uuid: str) -> None:
        """See CanSuspend."""
        with self._held(uuid) as held:
            held.resume()

    def rescue(self, uuid: str, image: ImageSource, *, timeout_seconds: float) -> None:
        """See CanRescue."""
        with self._held(uuid) as held:
            held.rescue(image, timeout_seconds)

    def unrescue(self, uuid: str) -> None:
        """See CanRescue."""
        with self._held(uuid) as held:
            held.unrescue()

    def set_password(self, uuid: str, password: str) -> None:
        """See CanSetPassword."""
        with self._held(uuid) as held:
            held.set_password(password)

    def snapshot(self, uuid: str, destination: Path) -> str:
        """See CanSnapshot."""
        with self._held(uuid) as held:
            return held.snapshot(destination)

    def inject_nmi(self, uuid: str) -> None:
        """See CanInterrupt."""
        with self._held(uuid) as held:
            held.inject_nmi()

    def plug(self, uuid: str, nic: Nic) -> None:
        """See CanPlug."""
        with self._held(uuid) as held:
            held.plug(nic)

    def unplug(self, uuid: str, mac: str) -> None:
        """See CanPlug."""
        with self._held(uuid) as held:
            held.unplug(mac)

    def cache_image(self, image: ImageSource) -> bool:
        """See CanCacheImages. As long as no guest uses it, it stays for as long as any other such image."""
        return self._started.cache.fetched(image)

    def diagnose(self, uuid: str) -> Diagnostics | None:
        """See CanDiagnose; needs no turn, so a guest that is busy can be counted."""
        return self._kept(uuid).diagnose()

    def console_log(self, uuid: str, *, lines: int | None) -> str:
        """See CanReadConsole; needs no turn, so a guest that is busy can be read."""
        return self._kept(uuid).console_log(lines)
