"""QEMU processes: started detached, known by what they are rather than by a number in a file, reaped by us.

A process is a guest's if its working directory is the guest's directory and its command line has the guest's uuid.
Both are facts of the kernel that survive our own death, cannot be stale, and are not fooled by a process number that
was given to somebody else. Every QEMU runs with that working directory, which also keeps the paths of its sockets
short (a unix socket's path may have 107 bytes, however deep the state directory is).
"""

import contextlib
import itertools
import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

_DELETED = " (deleted)"
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class QemuProcess:
    """A QEMU that runs or just ended, held by a descriptor: its number cannot become somebody else's under us."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self._guard = threading.Lock()
        self._held = True

    def kill(self) -> None:
        """End it at once; also one that is stopped or hangs. Nothing happens when it was let go."""
        with self._guard, contextlib.suppress(ProcessLookupError):
            if self._held:
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def kill_and_reap(self, timeout_seconds: float) -> None:
        """End one that nobody watches."""
        self.kill()
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        poll.poll(timeout_seconds * 1000)
        self.reap()

    def release(self) -> None:
        """Let go of it, alive or not; more than once is no matter."""
        with self._guard:
            if self._held:
                self._held = False
                os.close(self.pidfd)

    def reap(self) -> str:
        """Let go of an ended process; returns how it ended, in words, where we are its parent and so may know."""
        self.release()
        try:
            _, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return "its process ended"
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        return f"its process ended with status {code}"


def launch(argv: Sequence[str], *, directory: Path, log: Path, pass_fds: Sequence[int]) -> QemuProcess:
    """Start QEMU in a session of its own, so that neither our Ctrl-C nor our death reaches it. Raises OSError."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            argv,
            cwd=directory,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=pass_fds,
            start_new_session=True,
        )
    # The pidfd tells us of its end, and reap() takes its status; Popen must not try to do the same.
    child.returncode = 0
    return QemuProcess(child.pid)


def find_processes(instances: Path) -> dict[str, QemuProcess]:
    """Every QEMU of a guest in these instance directories, by the guest's uuid."""
    held = ((uuid, _hold(pid, instances, uuid)) for uuid, pid in _ours(instances))
    return {uuid: process for uuid, process in held if process is not None}


def _hold(pid: int, instances: Path, uuid: str) -> QemuProcess | None:
    try:
        process = QemuProcess(pid)
    except ProcessLookupError:
        return None
    if _guest_of(pid, instances) == uuid:  # still: the number may have changed hands before we held it
        return process
    process.release()
    return None


def _ours(instances: Path) -> Iterator[tuple[str, int]]:
    for pid in [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]:
        if uuid := _guest_of(pid, instances):
            yield uuid, pid


def _guest_of(pid: int, instances: Path) -> str | None:
    try:
        directory = Path(str(Path(f"/proc/{pid}/cwd").readlink()).removesuffix(_DELETED))
        if directory.parent != instances:
            return None
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # it ended meanwhile, or belongs to somebody else
        return None
    return directory.name if ("-uuid", directory.name) in itertools.pairwise(arguments) else None


@contextlib.contextmanager
def short_path(directory: Path, name: str) -> Iterator[str]:
    """A path of few bytes to a socket in the directory, however long the directory's own path is."""
    handle = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}/{name}"
    finally:
        os.close(handle)


def listen(directory: Path, name: str) -> socket.socket:
    """A listening socket to be given to QEMU: whoever connects waits in its queue, so nobody needs to try again."""
    (directory / name).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_path(directory, name) as path:
        listener.bind(path)
    listener.listen(1)
    return listener


def connect(directory: Path, name: str, *, timeout_seconds: float) -> socket.socket:
    """A connection to a socket in the directory. Raises OSError."""
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connected.settimeout(timeout_seconds)
    try:
        with short_path(directory, name) as path:
            connected.connect(path)
    except OSError:
        connected.close()
        raise
    return connected
