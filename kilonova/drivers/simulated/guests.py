"""The inside of a simulated host: its guests, the time that verbs take, and what goes wrong when it is written so."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.herald import Herald
from kilonova.drivers.protocol import GuestEvent, GuestEventKind, GuestSpec
from kilonova.drivers.simulated.pace import Pace, Timed
from kilonova.drivers.simulated.script import Script, read_script
from kilonova.drivers.simulated.shelf import Shelf, SimulatedGuest
from kilonova.drivers.turns import Turns

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
    "snapshot": 0.5,
    "inject_nmi": 0.2,
    "plug": 0.2,
    "unplug": 0.2,
    "prepare_move": 0.2,
    "migrate_out": 0.5,
    "take_in": 0.5,
    "drop_moved": 0.2,
    "confirm_move": 0.2,
    "revert_move": 0.5,
    "check_live_destination": 0.1,
    "check_live_source": 0.1,
    "prepare_live": 0.2,
    "live_migrate": 2.0,
    "arrive": 0.2,
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


@dataclass(slots=True)
class Sending:
    """A live migration under way, and what somebody wants of it meanwhile."""

    is_called_off: bool = False
    is_hurried: bool = False


class SimulatedGuests:
    """What every verb is made of."""

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
        self.cached_images: set[str] = set()
        """Images that were fetched ahead of time, by their ids."""
        self._turns = Turns()
        self._guests: dict[str, SimulatedGuest] = {}
        self._aside: dict[str, SimulatedGuest] = {}
        self._sendings: dict[str, Sending] = {}
        self._shelf = Shelf(None)
        self._herald: Herald | None = None

    def _hold(self, uuid: str) -> None:
        """Be frozen until somebody awaits the guest's turn, as nobody waits for this verb any more then."""
        self._pace.hold(lambda: self._turns.is_awaited(uuid))
        if self._turns.is_awaited(uuid):
            raise GuestFailure(FaultCause.ABORTED, "simulated: frozen until another operation came")

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
                require_power(guest)
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
        if verb in script.frozen:
            self._hold(guest.uuid)
        script.check(verb)

    @staticmethod
    def _sketch(spec: GuestSpec) -> SimulatedGuest:
        boot = spec.image.boot if spec.image is not None else None
        return SimulatedGuest(
            uuid=spec.uuid,
            name=spec.name,
            display_name=spec.display_name,
            vcpus=spec.vcpus,
            memory_mb=spec.memory_mb,
            root_gb=spec.root_gb,
            metadata=dict(spec.metadata),
            macs=[nic.mac for nic in spec.nics],
            kernel_image=boot.kernel.image_id if boot is not None else None,
        )

    def _prepare(self, spec: GuestSpec) -> SimulatedGuest:
        guest = self._sketch(spec)
        self._restore(guest)
        return guest

    def _restore(self, guest: SimulatedGuest) -> None:
        with self._guard:
            self._guests[guest.uuid] = guest
        self._shelf.put(guest)

    def _put_aside(self, guest: SimulatedGuest) -> None:
        self._shelf.put(guest)
        with self._guard:
            self._aside[guest.uuid] = guest

    def _find_aside(self, uuid: str) -> SimulatedGuest | None:
        with self._guard:
            return self._aside.get(uuid)

    def _remove_aside(self, uuid: str) -> None:
        self._shelf.drop(uuid, is_aside=True)
        with self._guard:
            self._aside.pop(uuid, None)

    def _boot(self, guest: SimulatedGuest, *, followed_by_its_fate: bool = True) -> None:
        guest.is_suspended = False
        guest.booted_at = time.time()
        if guest.rescue_image is None:
            guest.boots += 1
        number = 1 if guest.rescue_image else guest.boots  # a disk counts its own boots
        for line in _BOOT_MESSAGES:
            self._say(guest, line)
        if guest.kernel_image is not None and guest.rescue_image is None:
            self._say(guest, f"kernel: image {guest.kernel_image}")
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


def require_power(guest: SimulatedGuest) -> None:
    """Raise GuestFailure for a guest that neither runs nor is paused."""
    if guest.power not in (PowerState.RUNNING, PowerState.PAUSED):
        text = f"the server is not running, it is {guest.power.name.lower()}"
        raise GuestFailure(FaultCause.DRIVER_ERROR, text)
