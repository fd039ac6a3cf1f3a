"""A QEMU that runs: its process and its monitor, from the moment it was started or found until it ends.

What it tells comes on the watch's thread, which never waits: it sets facts and wakes whoever waits for them.
Everything else is called by the verb whose turn it is.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.instances.definition import Condition
from kilonova.drivers.protocol import GuestEventKind
from kilonova.drivers.qemu import process
from kilonova.drivers.qemu.process import QemuProcess
from kilonova.drivers.qemu.qmp import QmpClient, QmpClosed, QmpError, QmpTimeout
from kilonova.drivers.qemu.watch import Watch

MONITOR: Final = "qmp.sock"
"""The monitor's socket, in the guest's directory."""

_LOG = logging.getLogger(__name__)
_ATTACH_SECONDS: Final = 5.0
_QUIT_SECONDS: Final = 5.0
_KILL_SECONDS: Final = 20.0
_PRESS_SECONDS: Final = 2.0  # a guest that still boots does not hear its power button: press again
_RESET_ECHO_SECONDS: Final = 3.0  # the firmware answers a reset with one or two of its own

_STATES: Final[Mapping[str, PowerState]] = {
    "paused": PowerState.PAUSED,
    "io-error": PowerState.PAUSED,
    "watchdog": PowerState.PAUSED,
    "inmigrate": PowerState.PAUSED,
    "finish-migrate": PowerState.PAUSED,
    "postmigrate": PowerState.PAUSED,
    "prelaunch": PowerState.PAUSED,
    "suspended": PowerState.SUSPENDED,
    "shutdown": PowerState.SHUTDOWN,
    "internal-error": PowerState.CRASHED,
    "guest-panicked": PowerState.CRASHED,
}

STATE_WITHOUT_QEMU: Final[Mapping[Condition, PowerState]] = {
    Condition.PREPARING: PowerState.NOSTATE,
    Condition.OFF: PowerState.SHUTDOWN,
    Condition.ON: PowerState.CRASHED,
    Condition.CRASHED: PowerState.CRASHED,
}
"""The state of a guest that no QEMU runs, by what was last known of it."""

ChangeSink = Callable[[GuestEventKind, str], None]


class Machine:
    """``on_change`` and ``on_end`` are called on the watch's thread; ``state`` is already the new one then.

    ``on_end`` is told how the process ended. ``ended`` is set after it returned.
    """

    def __init__(
        self,
        directory: Path,
        held: QemuProcess,
        watch: Watch,
        *,
        on_change: ChangeSink,
        on_end: Callable[[str], None],
    ) -> None:
        self.state = PowerState.RUNNING
        self.halted = False
        """Whether the guest switched itself off, as opposed to being cut off."""
        self.ended = threading.Event()
        self._directory = directory
        self._process = held
        self._watch = watch
        self._on_change = on_change
        self._on_end = on_end
        self._monitor: QmpClient | None = None
        self._last_reset = float("-inf")
        self._guard = threading.Lock()  # what it tells and what it answers are noted by different threads
        self._changes = 0
        self._reactions: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "SHUTDOWN": self._shut_down,
            "RESET": self._reset,
            "STOP": self._stopped,
            "RESUME": self._resumed,
            "BLOCK_IO_ERROR": self._io_failed,
            "GUEST_PANICKED": self._panicked,
        }

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def watch(self) -> None:
        """Begin to notice its end."""
        self._watch.add(self._process.pidfd, self._see_end)

    def connect(self, *, timeout_seconds: float) -> QmpClient:
        """Reach its monitor. Raises OSError, QmpClosed or QmpTimeout."""
        connected = process.connect(self._directory, MONITOR, timeout_seconds=timeout_seconds)
        client = QmpClient(connected, self._hear)
        try:
            client.handshake(timeout_seconds=timeout_seconds)
        except BaseException:
            client.close()
            raise
        self._monitor = client
        self._watch.add(client.fileno(), self._read_monitor)
        return client

    def react_to(self, event: str, react: Callable[[Mapping[str, Any]], None]) -> None:
        """Have ``react`` called with what QEMU tells by the event, on the watch's thread."""
        self._reactions[event] = react

    def find_out(self) -> None:
        """Reach one that somebody else started, and learn its state; one that does not answer counts as running."""
        try:
            self.connect(timeout_seconds=_ATTACH_SECONDS)
            status = self.find_state()
        except (GuestFailure, OSError, QmpClosed, QmpTimeout) as error:
            _LOG.warning("QEMU in %s runs and does not answer: %s", self._directory, error)
            return
        if status == "shutdown":
            self.halted = True
            self.post("quit")

    def find_state(self) -> str:
        """Ask it for its state; also QEMU's own word for it. Raises GuestFailure."""
        changes = self._changes
        status: str = self.command("query-status")["status"]
        with self._guard:
            if self._changes == changes:  # else it told something meanwhile, which may be newer than its answer
                self.state = _STATES.get(status, PowerState.RUNNING)
        return status

    def release(self) -> None:
        """Look at it no more; it goes on."""
        self._hang_up()
        self._watch.remove(self._process.pidfd)
        self._process.release()

    def command(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = 10.0,
        descriptors: Sequence[int] = (),
    ) -> Any:
        """Run a monitor command and return its answer; what goes wrong is a GuestFailure."""
        try:
            monitor = self._monitor or self.connect(timeout_seconds=_ATTACH_SECONDS)
            return monitor.execute(name, arguments, timeout_seconds=timeout_seconds, descriptors=descriptors)
        except QmpTimeout as error:
            text = "the server's QEMU does not answer"
            raise GuestFailure(FaultCause.GUEST_UNRESPONSIVE, text, detail=str(error)) from error
        except (QmpClosed, OSError) as error:
            text = "the server's QEMU ended unexpectedly"
            raise GuestFailure(FaultCause.GUEST_CRASHED, text, detail=str(error)) from error
        except QmpError as error:
            text = f"QEMU refused ({name})"
            raise GuestFailure(FaultCause.DRIVER_ERROR, text, detail=str(error)) from error

    def post(self, name: str, arguments: Mapping[str, Any] | None = None) -> None:
        """Have it run a command without waiting for it, as on the watch's thread; nothing where it does not listen."""
        monitor = self._monitor
        if monitor is not None:
            with contextlib.suppress(QmpClosed, QmpTimeout):  # then it ends, or a verb finds it unresponsive
                monitor.post(name, arguments)

    # --- ways to an end ---------------------------------------------------------------------------------

    def press_power_button(self, *, timeout_seconds: float) -> bool:
        """Press it, again and again, until the guest is off or the time is over; whether it is off."""
        until = time.monotonic() + timeout_seconds
        try:
            if timeout_seconds > 0 and self.state is PowerState.PAUSED:
                self.command("cont")
            while (left := until - time.monotonic()) > 0 and not self.ended.is_set():
                self.command("system_powerdown")
                self.ended.wait(min(left, _PRESS_SECONDS))
        except GuestFailure as failure:
            _LOG.info("the guest in %s cannot be asked to stop: %s", self._directory, failure.detail)
        return self.ended.is_set()

    def pull_the_plug(self) -> None:
        """Let QEMU write out what it holds and end; kill it if it will not. Raises GuestFailure."""
        try:
            monitor = self._monitor or self.connect(timeout_seconds=_ATTACH_SECONDS)
            monitor.execute("quit", timeout_seconds=_QUIT_SECONDS)
            self.ended.wait(_QUIT_SECONDS)
        except (OSError, QmpClosed, QmpError, QmpTimeout) as error:
            _LOG.info("QEMU in %s does not quit (%s)", self._directory, error)
        self.kill()

    def kill(self) -> None:
        """End it without a word. Raises GuestFailure if even that fails."""
        self._process.kill()
        if not self.ended.wait(_KILL_SECONDS):
            text = "the server's QEMU cannot be ended"
            raise GuestFailure(FaultCause.GUEST_UNRESPONSIVE, text, detail=f"process {self._process.pid}")

    # --- what comes on the watch's thread ---------------------------------------------------------------

    def _see_end(self) -> None:
        while self._monitor is not None and self._monitor.has_more():
            self._read_monitor()  # its last events, before its end is judged
        self._hang_up()
        self._watch.remove(self._process.pidfd)
        try:
            self._on_end(self._process.reap())
        finally:
            self.ended.set()

    def _read_monitor(self) -> None:
        monitor = self._monitor
        if monitor is not None and not monitor.receive():
            self._hang_up()

    def _hang_up(self) -> None:
        monitor, self._monitor = self._monitor, None
        if monitor is not None:
            self._watch.remove(monitor.fileno())
            monitor.close()

    def _hear(self, name: str, data: Mapping[str, Any]) -> None:
        react = self._reactions.get(name)
        if react is not None:
            react(data)

    def _shut_down(self, data: Mapping[str, Any]) -> None:
        if data.get("reason") != "host-qmp-quit":
            self.halted = True
            self._note(PowerState.SHUTDOWN)
            self.post("quit")

    def _reset(self, data: Mapping[str, Any]) -> None:
        before, self._last_reset = self._last_reset, time.monotonic()
        if data.get("guest") and self._last_reset - before > _RESET_ECHO_SECONDS:
            self._on_change(GuestEventKind.RESET, "")

    def _stopped(self, _: Mapping[str, Any]) -> None:
        if self.state is PowerState.RUNNING:
            self._become(PowerState.PAUSED, GuestEventKind.PAUSED)

    def _resumed(self, _: Mapping[str, Any]) -> None:
        if self.state is PowerState.PAUSED:
            self._become(PowerState.RUNNING, GuestEventKind.RESUMED)

    def _io_failed(self, data: Mapping[str, Any]) -> None:
        disk, access = data.get("node-name", "a disk"), data.get("operation", "access")
        stops = data.get("action") == "stop"
        what = f"{access} of {disk}: {data.get('reason', 'failed')}"
        self._become(PowerState.PAUSED if stops else self.state, GuestEventKind.IO_ERROR, what)

    def _panicked(self, _: Mapping[str, Any]) -> None:
        self._become(PowerState.CRASHED, GuestEventKind.CRASHED, "the guest's kernel panicked")

    def _become(self, state: PowerState, kind: GuestEventKind, detail: str = "") -> None:
        self._note(state)
        self._on_change(kind, detail)

    def _note(self, state: PowerState) -> None:
        with self._guard:
            self._changes += state is not self.state
            self.state = state
