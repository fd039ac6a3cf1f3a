"""The simulated driver: the whole Protocol, any number of nodes, no hypervisor.

It says of itself what it is, everywhere a person looks: hypervisor type, console log, faults. It is never chosen
silently (``drivers/choice.py``).
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Final

from kilonova.domain.errors import GuestFailure, HypervisorUnavailable, NotFound
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.herald import Herald
from kilonova.drivers.protocol import GuestEvent, GuestEventKind, GuestSpec, ImageSource, Inventory, Listener
from kilonova.drivers.simulated.pace import Pace, Timed
from kilonova.drivers.simulated.script import Script, read_script
from kilonova.drivers.simulated.shelf import Shelf, SimulatedGuest
from kilonova.drivers.turns import Turns

HYPERVISOR_TYPE: Final = "simulated"
_VERSION: Final = 1_000_000
_CONSOLE_LINES: Final = 500

_BOOT_MESSAGES: Final = (
    "this server is simulated: no machine runs behind it",
    "what follows stands for the messages of a boot, so that tools that read them have some to read",
    "firmware: none",
    "processors: as many as the flavor says",
    "memory: as much as the flavor says",
    "root disk: as large as the flavor says",
    "network: plugged in, nothing moves",
    "init: started",
    "services: started",
    "console: this one",
)
DURATIONS: Final[Mapping[str, float]] = {
    "spawn": 0.5,
    "destroy": 0.2,
    "power_on": 0.3,
    "power_off": 0.3,
    "reboot": 0.5,
    "pause": 0.2,
    "unpause": 0.2,
    "suspend": 0.4,
    "resume": 0.4,
    "rescue": 0.5,
    "unrescue": 0.5,
    "set_password": 0.2,
}
"""Seconds that each verb takes: short, and long enough for a client that polls to see it in progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What each simulated node says it has."""

    vcpus: int = 64
    memory_mb: int = 256 * 1024
    local_gb: int = 2048
    host_ip: str = "127.0.0.1"
    cpu_info: Mapping[str, object] = field(
        default_factory=lambda: {
            "arch": "x86_64",
            "model": "simulated",
            "vendor": "kilonova",
            "features": [],
            "topology": {"sockets": 2, "cores": 16, "threads": 2},
        }
    )


class SimulatedDriver:
    """Guests that exist on paper; with a ``state_dir`` they are found again after a restart."""

    name = "simulated"

    def __init__(
        self,
        *,
        nodes: Sequence[str] = ("simulated",),
        state_dir: Path | None = None,
        pace: Pace | None = None,
        capacity: Capacity | None = None,
        durations: Mapping[str, float] = DURATIONS,
    ) -> None:
        self._nodes = tuple(nodes)
        self._state_dir = state_dir
        self._pace = pace or Timed()
        self._capacity = capacity or Capacity()
        self._durations = durations
        self._guard = Lock()
        self._turns = Turns()
        self._guests: dict[str, SimulatedGuest] = {}
        self._shelf = Shelf(None)
        self._herald: Herald | None = None

    # --- life -------------------------------------------------------------------------------------------

    def start(self, listener: Listener) -> None:
        """See the Protocol."""
        try:
            self._shelf = Shelf(self._state_dir / "guests" if self._state_dir else None)
        except OSError as error:
            text = "the simulated driver's state directory cannot be used"
            raise HypervisorUnavailable(text, detail=str(error)) from error
        self._guests = {guest.uuid: guest for guest in self._shelf.load()}
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
            hypervisor_type=HYPERVISOR_TYPE,
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
            return {uuid: guest.power for uuid, guest in self._guests.items()}

    def power_state(self, uuid: str) -> PowerState:
        """See the Protocol."""
        guest = self._find(uuid)
        return PowerState.NOSTATE if guest is None else guest.power

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
            guest = self._find(uuid)
            if guest is None:
                return
            try:
                self._work("destroy", guest)
            except GuestFailure:
                guest.metadata.pop("sim:fail", None)
                self._shelf.put(guest)
                raise
            self._remove(uuid)

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
                _require_power(guest)
                self._work("suspend", guest)
                guest.is_suspended = True
                self._become(guest, PowerState.SHUTDOWN, "suspended")

    def resume(self, uuid: str) -> None:
        """See CanSuspend."""
        with self._verb("resume", uuid, unless=(PowerState.RUNNING,)) as guest:
            if guest is not None:
                if not guest.is_suspended:
                    _require_power(guest)
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
            _require_power(guest)
            self._work("set_password", guest)
            self._say(guest, "the administrator's password was set")
            self._shelf.put(guest)

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

    # --- inside -----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _verb(
        self, verb: str, uuid: str, *, unless: tuple[PowerState, ...] = (), needs_power: bool = False
    ) -> Iterator[SimulatedGuest | None]:
        """Take the guest's turn, and its time; None where it is already as wanted."""
        with self._turns.take(uuid):
            guest = self._require(uuid)
            if guest.power in unless:
                yield None
                return
            if needs_power:
                _require_power(guest)
            self._work(verb, guest)
            yield guest

    def _work(self, verb: str, guest: SimulatedGuest) -> None:
        """Let the verb's time pass, and fail if it is written so."""
        try:
            script = read_script(guest.metadata)
        except GuestFailure:
            if verb == "destroy":  # what cannot be spawned must still go away
                return
            raise
        self._pace.spend(self._durations.get(verb, 0.0) + script.delay_seconds)
        script.check(verb)

    def _prepare(self, spec: GuestSpec) -> SimulatedGuest:
        guest = SimulatedGuest(
            uuid=spec.uuid,
            name=spec.name,
            display_name=spec.display_name,
            vcpus=spec.vcpus,
            memory_mb=spec.memory_mb,
            root_gb=spec.root_gb,
            metadata=dict(spec.metadata),
        )
        with self._guard:
            self._guests[guest.uuid] = guest
        self._shelf.put(guest)
        return guest

    def _boot(self, guest: SimulatedGuest, *, followed_by_its_fate: bool = True) -> None:
        guest.is_suspended = False
        if guest.rescue_image is None:
            guest.boots += 1
        number = 1 if guest.rescue_image else guest.boots  # a disk counts its own boots
        for line in _BOOT_MESSAGES:
            self._say(guest, line)
        self._become(guest, PowerState.RUNNING, f"READY boots={number}")
        script: Script = read_script(guest.metadata)
        if script.fate is not None and followed_by_its_fate:
            kind, state = script.fate
            self._become(guest, state)
            self._announce(guest, kind, "the server's metadata has sim:power")

    def _become(self, guest: SimulatedGuest, state: PowerState, says: str | None = None) -> None:
        guest.power = state
        if says is not None:
            self._say(guest, says)
        self._shelf.put(guest)

    @staticmethod
    def _say(guest: SimulatedGuest, text: str) -> None:
        guest.console = [*guest.console, f"kilonova-simulated: {text}"][-_CONSOLE_LINES:]

    def _announce(self, guest: SimulatedGuest, kind: GuestEventKind, detail: str) -> None:
        if self._herald is not None:
            self._herald.announce(GuestEvent(uuid=guest.uuid, kind=kind, power_state=guest.power, detail=detail))

    def _remove(self, uuid: str) -> None:
        self._shelf.drop(uuid)
        with self._guard:
            self._guests.pop(uuid, None)

    def _find(self, uuid: str) -> SimulatedGuest | None:
        with self._guard:
            return self._guests.get(uuid)

    def _require(self, uuid: str) -> SimulatedGuest:
        guest = self._find(uuid)
        if guest is None or guest.power is PowerState.NOSTATE:
            raise GuestFailure(FaultCause.GUEST_MISSING, "the server is not on its host any more")
        return guest


def _require_power(guest: SimulatedGuest) -> None:
    if guest.power not in (PowerState.RUNNING, PowerState.PAUSED):
        text = f"the server is not running, it is {guest.power.name.lower()}"
        raise GuestFailure(FaultCause.DRIVER_ERROR, text)


_AFTER: Final[Mapping[GuestEventKind, PowerState]] = {
    GuestEventKind.STOPPED: PowerState.SHUTDOWN,
    GuestEventKind.CRASHED: PowerState.CRASHED,
    GuestEventKind.PAUSED: PowerState.PAUSED,
    GuestEventKind.RESUMED: PowerState.RUNNING,
    GuestEventKind.IO_ERROR: PowerState.PAUSED,
}
