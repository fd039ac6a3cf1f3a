"""The simulated driver: the whole Protocol, any number of nodes, no hypervisor.

It says of itself what it is, everywhere a person looks: hypervisor type, console log, faults. It is never chosen
silently (``drivers/choice.py``).
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.errors import GuestFailure, HypervisorUnavailable, NotFound
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.herald import Herald
from kilonova.drivers.protocol import GuestEventKind, GuestSpec, ImageSource, Inventory, Listener, Nic
from kilonova.drivers.simulated.consoles import SimulatedConsoles
from kilonova.drivers.simulated.counters import HYPERVISOR, count
from kilonova.drivers.simulated.guests import require_power
from kilonova.drivers.simulated.live_moves import SimulatedLiveMoves
from kilonova.drivers.simulated.moves import SimulatedMoves
from kilonova.drivers.simulated.shelf import Shelf, SimulatedGuest

_VERSION: Final = 1_000_000
_SECTOR_BYTES: Final = 512


class SimulatedDriver(SimulatedLiveMoves, SimulatedMoves, SimulatedConsoles):
    """Guests that exist on paper; with a ``state_dir`` they are found again after a restart."""

    name = "simulated"
    needs_agent = False

    # --- life -------------------------------------------------------------------------------------------

    def start(self, listener: Listener) -> None:
        """See the Protocol."""
        try:
            self._shelf = Shelf(self._state_dir / "guests" if self._state_dir else None)
        except OSError as error:
            text = "the simulated driver's state directory cannot be used"
            raise HypervisorUnavailable(text, detail=str(error)) from error
        found = list(self._shelf.load())
        self._guests = {guest.uuid: guest for guest in found if not guest.is_aside}
        self._aside = {guest.uuid: guest for guest in found if guest.is_aside}
        self._herald = Herald(listener)

    def close(self) -> None:
        """See the Protocol. Verbs in progress end at once."""
        self._pace.close()
        self._turns.wait_idle(5.0)
        herald, self._herald = self._herald, None
        if herald is not None:
            herald.close()

    def probe(self) -> None:
        """See the Protocol: there is nothing that could be away."""

    def nodes(self) -> Sequence[str]:
        """See the Protocol."""
        return self._nodes

    def inventory(self, node: str) -> Inventory:
        """See the Protocol."""
        if node not in self._nodes:
            raise NotFound(f"no node {node} on this host")
        has = self._capacity
        return Inventory(
            node=node,
            hypervisor_type=HYPERVISOR,
            hypervisor_version=_VERSION,
            host_ip=has.host_ip,
            vcpus=has.vcpus,
            memory_mb=has.memory_mb,
            local_gb=has.local_gb,
            local_gb_available=None,
            cpu_info=has.cpu_info,
            uptime_text=None,
        )

    def list_guests(self) -> Mapping[str, PowerState]:
        """See the Protocol."""
        with self._guard:
            return {uuid: guest.power for uuid, guest in (self._aside | self._guests).items()}

    def power_state(self, uuid: str) -> PowerState:
        """See the Protocol."""
        guest = self._find(uuid) or self._find_aside(uuid)
        return PowerState.NOSTATE if guest is None else guest.power

    def cache_image(self, image: ImageSource) -> bool:
        """See CanCacheImages. The image is not fetched, only remembered."""
        with self._guard:
            is_new = image.image_id not in self.cached_images
            self.cached_images.add(image.image_id)
        return is_new

    def diagnose(self, uuid: str) -> Diagnostics | None:
        """See CanDiagnose."""
        return _counted(self._require(uuid))

    def count_all(self) -> Mapping[str, Diagnostics | None]:
        """See CanCountAll."""
        with self._guard:
            guests = list(self._guests.values())
        return {guest.uuid: _counted(guest) for guest in guests}

    def console_log(self, uuid: str, *, lines: int | None) -> str:
        """See CanReadConsole."""
        written = self._require(uuid).console
        kept = written if lines is None else written[-lines:] if lines > 0 else ()
        return "".join(f"{line}\n" for line in kept)

    # --- verbs ------------------------------------------------------------------------------------------

    def spawn(self, guest: GuestSpec) -> None:
        """See the Protocol. The image is not fetched."""
        with self._turns.take(guest.uuid):
            found = self._find(guest.uuid)
            if found is not None and found.power not in (PowerState.NOSTATE, PowerState.SHUTDOWN, PowerState.CRASHED):
                return
            if found is None or found.power is PowerState.NOSTATE:
                found = self._prepare(guest)
            try:
                self._work("spawn", found)
            except GuestFailure:
                self._remove(guest.uuid)
                raise
            self._boot(found)

    def destroy(self, uuid: str) -> None:
        """See the Protocol."""
        with self._turns.take(uuid):
            guest = self._find(uuid) or self._find_aside(uuid)
            if guest is None:
                return
            try:
                self._work("destroy", guest)
            except GuestFailure:
                guest.metadata.pop("sim:fail", None)
                self._shelf.put(guest)
                raise
            self._remove(uuid)
            self._remove_aside(uuid)

    def power_on(self, uuid: str) -> None:
        """See the Protocol."""
        with self._verb("power_on", uuid, unless=(PowerState.RUNNING, PowerState.PAUSED)) as guest:
            if guest is not None:
                self._boot(guest)

    def power_off(self, uuid: str, *, timeout_seconds: float) -> None:
        """See the Protocol. A simulated guest obeys its power button."""
        with self._verb("power_off", uuid, unless=(PowerState.SHUTDOWN,)) as guest:
            if guest is not None:
                self._become(guest, PowerState.SHUTDOWN, "power button, off")

    def reboot(self, uuid: str, *, hard: bool, timeout_seconds: float) -> None:
        """See the Protocol."""
        with self._verb("reboot", uuid) as guest:
            if guest is not None:
                self._boot(guest)

    def pause(self, uuid: str) -> None:
        """See the Protocol."""
        with self._verb("pause", uuid, unless=(PowerState.PAUSED,), needs_power=True) as guest:
            if guest is not None:
                self._become(guest, PowerState.PAUSED)

    def unpause(self, uuid: str) -> None:
        """See the Protocol."""
        with self._verb("unpause", uuid, unless=(PowerState.RUNNING,), needs_power=True) as guest:
            if guest is not None:
                self._become(guest, PowerState.RUNNING)

    def suspend(self, uuid: str) -> None:
        """See CanSuspend."""
        with self._turns.take(uuid):
            guest = self._require(uuid)
            if not guest.is_suspended:
                require_power(guest)
                self._work("suspend", guest)
                guest.is_suspended = True
                self._become(guest, PowerState.SHUTDOWN, "suspended")

    def resume(self, uuid: str) -> None:
        """See CanSuspend."""
        with self._verb("resume", uuid, unless=(PowerState.RUNNING,)) as guest:
            if guest is not None:
                if not guest.is_suspended:
                    require_power(guest)
                guest.is_suspended = False
                self._become(guest, PowerState.RUNNING, "resumed")

    def rescue(self, uuid: str, image: ImageSource, *, timeout_seconds: float) -> None:
        """See CanRescue. The image is not fetched."""
        with self._turns.take(uuid):
            guest = self._require(uuid)
            if image.disk_format == "iso":
                raise GuestFailure(FaultCause.IMAGE_REFUSED, f"image {image.image_id} is a CD, not a disk to boot from")
            if guest.rescue_image == image.image_id and guest.power is PowerState.RUNNING:
                return
            self._work("rescue", guest)
            guest.rescue_image = image.image_id
            self._boot(guest)

    def unrescue(self, uuid: str) -> None:
        """See CanRescue."""
        with self._turns.take(uuid):
            guest = self._require(uuid)
            if guest.rescue_image is None and guest.power is PowerState.RUNNING:
                return
            self._work("unrescue", guest)
            guest.rescue_image = None
            self._boot(guest)

    def set_password(self, uuid: str, password: str) -> None:
        """See CanSetPassword. It is not kept: nobody could sign in with it."""
        with self._turns.take(uuid):
            guest = self._require(uuid)
            require_power(guest)
            self._work("set_password", guest)
            self._say(guest, "the administrator's password was set")
            self._shelf.put(guest)

    def snapshot(self, uuid: str, destination: Path) -> str:
        """See CanSnapshot. The image is a disk of one sector that says what it is."""
        with self._turns.take(uuid):
            guest = self._require(uuid)
            self._work("snapshot", guest)
            said = f"kilonova-simulated: the disk of {guest.uuid} after {guest.boots} boots\n".encode()
            destination.write_bytes(said.ljust(_SECTOR_BYTES, b"\0"))
            return "raw"

    def inject_nmi(self, uuid: str) -> None:
        """See CanInterrupt. The guest says so on its console, and goes on."""
        with self._turns.take(uuid):
            guest = self._require(uuid)
            require_power(guest)
            self._work("inject_nmi", guest)
            self._become(guest, guest.power, "non-maskable interrupt: here a kernel would write its dump")

    def plug(self, uuid: str, nic: Nic) -> None:
        """See CanPlug."""
        with self._turns.take(uuid):
            guest = self._require(uuid)
            if nic.mac not in guest.macs:
                self._work("plug", guest)
                guest.macs = [*guest.macs, nic.mac]
                self._become(guest, guest.power, f"network card {nic.mac} came")

    def unplug(self, uuid: str, mac: str) -> None:
        """See CanPlug."""
        with self._turns.take(uuid):
            guest = self._require(uuid)
            if mac in guest.macs:
                self._work("unplug", guest)
                guest.macs = [each for each in guest.macs if each != mac]
                self._become(guest, guest.power, f"network card {mac} went")

    # --- what happens on its own, when somebody wants it to ---------------------------------------------

    def befall(self, uuid: str, kind: GuestEventKind, *, detail: str = "simulated") -> None:
        """Let something happen to a guest as if on its own: it stops, crashes, resets, ... Raises GuestFailure."""
        with self._turns.take(uuid):
            guest = self._require(uuid)
            if kind is GuestEventKind.RESET:
                self._boot(guest, followed_by_its_fate=False)
            else:
                self._become(guest, _AFTER[kind])
            self._announce(guest, kind, detail)


def _counted(guest: SimulatedGuest) -> Diagnostics | None:
    if guest.power is not PowerState.RUNNING:
        return None
    return count(guest, seconds=max(0.0, time.time() - guest.booted_at))


_AFTER: Final[Mapping[GuestEventKind, PowerState]] = {
    GuestEventKind.STOPPED: PowerState.SHUTDOWN,
    GuestEventKind.CRASHED: PowerState.CRASHED,
    GuestEventKind.PAUSED: PowerState.PAUSED,
    GuestEventKind.RESUMED: PowerState.RUNNING,
    GuestEventKind.IO_ERROR: PowerState.PAUSED,
}
