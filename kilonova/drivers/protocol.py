"""What a driver is: about a dozen verbs, named as the hypervisor's, and abilities that only some have.

Rules for every driver, tested by one suite on all of them:

- **Idempotent.** To stop a stopped guest, start a running one, destroy a missing one: success, nothing happens. A verb
  that needs a guest which is not there raises ``GuestFailure(GUEST_MISSING)``.
- **A verb returns when it is done**, or raises. It never leaves a half-made guest that a later ``spawn`` or
  ``destroy`` of the same uuid would not finish or remove, not even if the process is killed inside it.
- **Thread-safe.** Verbs on one guest run one after the other; verbs on different guests run side by side.
- **Only its own.** A driver sees, and touches, only guests that it made itself.
- **Errors** are ``GuestFailure`` (with a cause of ``domain.faults``; the message is for the owner, the detail for the
  operator), ``HypervisorUnavailable`` and ``NotSupported``; nothing else is raised on purpose.
- **Events** are what happened to a guest on its own; what a verb did is not announced.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.remote_consoles import ConsoleKind
from kilonova.domain.states import PowerState


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    """What a guest boots. The driver fetches it, once, into a cache of its own."""

    image_id: str
    disk_format: str
    """``raw``, ``qcow2``, ``iso``, ``ami``, ``aki``, ``ari``, as its owner registered it: a claim, which is checked."""
    size_bytes: int
    sha512: str | None
    """The image's ``os_hash_value`` in hex, where known; bytes that differ are refused."""
    fetch: Callable[[Path], None]
    """Writes the image's bytes to a new file at the path; raises OSError or KilonovaError."""
    boot: "KernelSource | None" = None
    """The kernel that goes with a disk that does not boot by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSource:
    """A kernel, perhaps with a ramdisk, that the hypervisor starts by itself."""

    kernel: ImageSource
    ramdisk: ImageSource | None = None
    command_line: str = ""
    """What the kernel is told, one line; empty for what the driver tells all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """One network card as the guest sees it."""

    mac: str
    address: str | None
    """The IPv4 address that the network gave it; a driver that serves DHCP itself hands out this one."""
    label: str
    tag: str | None = None
    """By which its owner finds it from inside, if they gave one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectedFile:
    """A file that the guest is to find at ``path``; ``contents`` are base64, as they came through the API."""

    path: str
    contents: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestSpec:
    """All that a driver needs to know to make a guest."""

    uuid: str
    name: str
    """The hypervisor's name of it, such as ``instance-00000001``."""
    display_name: str
    project_id: str
    user_id: str
    vcpus: int
    memory_mb: int
    root_gb: int
    """GiB of the root disk; 0 means as large as the image."""
    ephemeral_gb: int = 0
    swap_mb: int = 0
    image: ImageSource | None
    nics: tuple[Nic, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    user_data: str | None = None
    """Base64, as it came through the API."""
    config_drive: bool = False
    files: tuple[InjectedFile, ...] = ()
    """Given to the guest through its config drive, whose agent puts them in their places."""
    hostname: str = ""
    public_keys: Mapping[str, str] = field(default_factory=dict)
    """OpenSSH public keys or X.509 certificates by name, for the guest's metadata."""
    availability_zone: str = "nova"
    launch_index: int = 0
    """Which of the servers of one request it is, from 0."""
    node: str = ""
    """Which node of the driver's is to run it; empty where there is only one."""
    flavor_name: str = ""
    flavor_id: str = ""
    """The flavor's id as clients know it; both are for those who look at the hypervisor itself."""
    has_agent: bool = False
    """Whether QEMU's agent runs inside, as its image says; only then there is a way to it."""
    admin_user: str = "root"
    """Whose password ``set_password`` sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What one node has, as the hypervisor reports it; sums over guests are the control plane's business."""

    node: str
    hypervisor_type: str
    hypervisor_version: int
    """``major * 1000000 + minor * 1000 + micro``, as Nova counts."""
    host_ip: str
    vcpus: int
    memory_mb: int
    local_gb: int
    local_gb_available: int | None
    """GiB that are free on the disk right now; None where unknown."""
    cpu_info: Mapping[str, object]
    uptime_text: str | None
    """What ``uptime`` prints on the host; None where there is no host to ask."""


class GuestEventKind(StrEnum):
    """What can happen to a guest on its own."""

    STOPPED = "stopped"
    """It switched itself off."""
    CRASHED = "crashed"
    """Its hypervisor process ended, or the guest panicked."""
    RESET = "reset"
    """It rebooted itself."""
    PAUSED = "paused"
    RESUMED = "resumed"
    IO_ERROR = "io_error"
    """A disk failed, mostly for want of space; the guest may be paused by it (see the power state)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestEvent:
    """Something happened to a guest that no verb asked for."""

    uuid: str
    kind: GuestEventKind
    power_state: PowerState
    """The guest's state after it."""
    detail: str = ""


Listener = Callable[[GuestEvent], None]
"""Told of events one at a time and in order, on a thread of the driver's; it may call the driver."""


class Driver(Protocol):
    """The verbs that every driver has."""

    @property
    def name(self) -> str:
        """``qemu``, ``simulated``, ..."""

    def start(self, listener: Listener) -> None:
        """Find the guests that are there already, whoever started them, and begin to watch.

        What happened to them while nobody watched is told to the listener. Raises HypervisorUnavailable.
        """

    def close(self) -> None:
        """Stop watching. Guests keep running; a later driver over the same state finds them."""

    def probe(self) -> None:
        """Raise HypervisorUnavailable if it would not take work now. Cheap: every heartbeat asks."""

    def nodes(self) -> Sequence[str]:
        """The names of the nodes behind this driver: one, save for a cluster."""

    def inventory(self, node: str) -> Inventory:
        """What the node has. Raises NotFound."""

    def list_guests(self) -> Mapping[str, PowerState]:
        """Every guest of ours by uuid, also half-made ones (NOSTATE), which ``destroy`` removes."""

    def power_state(self, uuid: str) -> PowerState:
        """The guest's state now; NOSTATE where there is no such guest."""

    def spawn(self, guest: GuestSpec) -> None:
        """Make the guest and switch it on. One that runs is left alone; a half-made one is finished."""

    def destroy(self, uuid: str) -> None:
        """Switch it off at once and remove all that it had."""

    def power_on(self, uuid: str) -> None:
        """Switch it on, with the definition and the disks that it had."""

    def power_off(self, uuid: str, *, timeout_seconds: float) -> None:
        """Press its power button; pull the plug when it has not obeyed in time (0: at once)."""

    def reboot(self, uuid: str, *, hard: bool, timeout_seconds: float) -> None:
        """Soft: power button and on again, or a reset when it does not obey in time. Hard: plug pulled, and on again.

        A guest that was off is on afterwards.
        """

    def pause(self, uuid: str) -> None:
        """Freeze its processors. Raises GuestFailure when it is not running."""

    def unpause(self, uuid: str) -> None:
        """Let them go on. Raises GuestFailure when it is not running or paused."""


@runtime_checkable
class CanSuspend(Protocol):
    """Writes a guest's memory to disk and lets it go on from there later, also after the host was restarted.

    A suspended guest's power state is SHUTDOWN. ``power_on`` and ``reboot`` of one boot it anew, and its memory is
    forgotten.
    """

    def suspend(self, uuid: str) -> None:
        """Save what it is doing and switch it off. Raises GuestFailure when it is neither running nor suspended."""

    def resume(self, uuid: str) -> None:
        """Let it go on where it was suspended; one that is frozen goes on too, and one that runs is left alone.

        Raises GuestFailure when it is off and was not suspended.
        """


@runtime_checkable
class CanRescue(Protocol):
    """Boots a guest from another disk, to mend its own."""

    def rescue(self, uuid: str, image: ImageSource, *, timeout_seconds: float) -> None:
        """Switch it off, as ``power_off`` does, and boot it from a disk made of the image; its own disks come behind.

        One that runs from a disk of this image is left alone. An image that does not boot by itself, as a disk,
        is refused with GuestFailure(IMAGE_REFUSED), and what fails leaves the guest with its own disks.
        """

    def unrescue(self, uuid: str) -> None:
        """Switch it off at once and boot it from its own disk; the rescue disk is gone.

        One that runs from its own disk is left alone.
        """


@runtime_checkable
class CanSetPassword(Protocol):
    """Reaches into a running guest to set its administrator's password."""

    @property
    def needs_agent(self) -> bool:
        """Whether it reaches only guests that have QEMU's agent inside (``GuestSpec.has_agent``)."""

    def set_password(self, uuid: str, password: str) -> None:
        """Set it. Raises GuestFailure when the guest is not running, or does not obey within a quarter of a minute."""


@runtime_checkable
class CanSnapshot(Protocol):
    """Copies a guest's disk as it is at one instant, whether the guest runs or not."""

    def snapshot(self, uuid: str, destination: Path) -> str:
        """Write a whole image of the first disk to ``destination``, over what may be there; gives its disk format.

        The guest goes on as it was, and so does what it writes meanwhile: that is not in the image. Raises GuestFailure
        when it has no disk.
        """
        ...


@runtime_checkable
class CanMove(Protocol):
    """Moves a guest that is off to another host, or makes another size of it.

    The old host keeps what it had aside until the move is confirmed or taken back; it counts as a guest of ours
    (SHUTDOWN) there, and ``destroy`` removes it as well. Old and new host may be the same.
    """

    def prepare_move(self, guest: GuestSpec) -> None:
        """Say whether the guest could be taken in here, by raising what stands against it. Nothing is made."""

    def migrate_out(self, uuid: str, *, timeout_seconds: float) -> Mapping[str, Any]:
        """Switch it off, as ``power_off`` does, and set it aside; returns what ``take_in`` needs, fit for JSON.

        One that was set aside already is left so.
        """

    def take_in(self, guest: GuestSpec, parcel: Mapping[str, Any], *, power_on: bool) -> None:
        """Make the guest of what another host, or this one, set aside. One that is there already is left alone.

        Raises GuestFailure, also for a root disk that would have to shrink.
        """

    def drop_moved(self, uuid: str) -> None:
        """Remove what ``take_in`` made, and never what is set aside; one that is not there is no trouble."""

    def confirm_move(self, uuid: str) -> None:
        """Remove what was set aside, if it is still there."""

    def revert_move(self, uuid: str, *, power_on: bool) -> None:
        """Put back what was set aside, if it was, and switch it on if wanted."""


Tell = Callable[[Mapping[str, int]], None]
"""Told now and then of ``memory_`` and ``disk_`` ``total_bytes``, ``processed_bytes`` and ``remaining_bytes``."""


@runtime_checkable
class CanLiveMigrate(Protocol):
    """Moves a running guest to another host. What the old host then keeps aside is removed by ``confirm_move``."""

    def check_live_destination(self, guest: GuestSpec) -> None:
        """Raise what stands against taking the running guest in here. Nothing is made."""

    def check_live_source(self, uuid: str) -> None:
        """Raise what stands against the running guest's leaving."""

    def prepare_live(self, guest: GuestSpec) -> Mapping[str, Any]:
        """Make ready for the guest to come; returns what the old host must know for it, fit for JSON."""

    def cancel_live(self, uuid: str) -> None:
        """Remove what ``prepare_live`` made; a guest that has arrived is left alone."""

    def live_migrate(self, uuid: str, target: Mapping[str, Any], tell: Tell) -> Mapping[str, Any]:
        """Send the guest over; returns, once it runs there and is set aside here, what ``arrive`` needs.

        Raises GuestFailure(ABORTED) when it was called off. After any failure the guest runs here as before.
        """

    def stay(self, uuid: str) -> None:
        """See that the guest runs here, wherever a ``live_migrate`` was cut off."""

    def arrive(self, guest: GuestSpec, parcel: Mapping[str, Any]) -> None:
        """Make the guest that has come a full one of this host. One that is so already is left alone."""

    def abort_live(self, uuid: str) -> None:
        """Call a ``live_migrate`` that is under way off, if there is one; returns at once."""

    def force_complete_live(self, uuid: str) -> None:
        """Bring a ``live_migrate`` that is under way to its end, whatever that costs the guest; returns at once."""


LIVE_MOVES: Final = frozenset(
    {"check_live_destination", "check_live_source", "prepare_live", "cancel_live", "live_migrate", "stay", "arrive"}
)
"""The verbs of ``CanLiveMigrate`` that are steps of a live migration."""

MOVES: Final = frozenset({"prepare_move", "migrate_out", "take_in", "drop_moved", "confirm_move", "revert_move"})
"""The verbs of ``CanMove``."""


@runtime_checkable
class CanPlug(Protocol):
    """Changes which network cards a guest has, whether it runs or not; a later definition of it has them anyway."""

    def plug(self, uuid: str, nic: Nic) -> None:
        """Put the card in; one that is in already is left alone."""

    def unplug(self, uuid: str, mac: str) -> None:
        """Take the card with this MAC out, if it is in."""


@runtime_checkable
class CanInterrupt(Protocol):
    """Strikes a guest with an interrupt that it cannot ignore; what its kernel does then is its own affair."""

    def inject_nmi(self, uuid: str) -> None:
        """Strike it: a kernel that is set up for it writes a dump of itself. Raises GuestFailure when it is off."""


@runtime_checkable
class CanCacheImages(Protocol):
    """Keeps images that guests are booted from, and can fetch them ahead of time."""

    def cache_image(self, image: ImageSource) -> bool:
        """Fetch it, unless it is there already; True if it was not. Raises GuestFailure, as ``spawn`` would."""


@runtime_checkable
class CanDiagnose(Protocol):
    """Counts what its guests do."""

    def diagnose(self, uuid: str) -> Diagnostics | None:
        """What it counts of a guest; None for one that does not run. Raises GuestFailure(GUEST_MISSING)."""


@runtime_checkable
class CanCountAll(Protocol):
    """Counts what all of its guests do, at less cost than one after the other."""

    def count_all(self) -> Mapping[str, Diagnostics | None]:
        """As ``diagnose``, of every guest by its uuid; one that does not answer now is left out.

        Waits for no guest longer than a few seconds. Raises HypervisorUnavailable.
        """


@runtime_checkable
class CanReadConsole(Protocol):
    """Keeps what the guest writes to its first serial port."""

    def console_log(self, uuid: str, *, lines: int | None) -> str:
        """The last lines of it (None: all that is kept). Raises GuestFailure(GUEST_MISSING)."""


@runtime_checkable
class CanOpenConsole(Protocol):
    """Reaches what a running guest shows and takes: its screen, its serial port, or both."""

    @property
    def consoles(self) -> frozenset[ConsoleKind]:
        """Which of them."""
        ...

    def open_console(self, uuid: str, kind: ConsoleKind) -> socket.socket:
        """A connection to one of ``consoles``: a unix socket (SOCK_STREAM), which the caller closes.

        It ends when the guest does. The serial port has one at a time: another one may wait until the first is closed.
        What goes over it is not missing in the console log. Raises GuestFailure, also when the guest is off.
        """
        ...
