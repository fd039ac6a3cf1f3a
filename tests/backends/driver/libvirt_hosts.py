"""Emulated hosts: a libvirt daemon each, in mount and UTS namespaces of its own, with its own uuid and directories."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kilonova.drivers.libvirt.connection import has_binding
from tests.services_available import require_or_skip
from tests.waiting import wait_until

_REAPER = Path(__file__).parents[3] / "scripts" / "reaper.py"
_PLACES = {
    "etc": "/etc/libvirt",
    "run": "/run/libvirt",
    "lib": "/var/lib/libvirt",
    "log": "/var/log/libvirt",
    "cache": "/var/cache/libvirt",
}
_QEMU_CONF = """user = "root"
group = "root"
security_driver = "none"
dynamic_ownership = 0
remember_owner = 0
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
"""
_DAEMON_CONF = """auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_rw_perms = "0700"
host_uuid = "{uuid}"
log_outputs = "3:file:{directory}/libvirtd.log"
"""
_LISTENING_CONF = """listen_tls = 0
listen_tcp = 1
listen_addr = "127.0.0.1"
tcp_port = "{port}"
auth_tcp = "none"
"""


class EmulatedHost:
    """One host; ``start`` it, and ``end`` it at last. Its directory has a short name: paths of sockets are short."""

    def __init__(self, name: str, *, port: int | None = None) -> None:
        """With a ``port`` its daemon is also to be reached there, by those of this machine."""
        self.name = name
        self.port = port
        self.directory = Path(tempfile.mkdtemp(prefix="kv-", dir="/tmp"))
        self.uuid = str(uuid.uuid4())
        self._processes: list[subprocess.Popen[bytes]] = []
        for place in _PLACES:
            (self.directory / place).mkdir()
        (self.directory / "etc" / "qemu.conf").write_text(_QEMU_CONF)
        listening = "" if port is None else _LISTENING_CONF.format(port=port)
        self._daemon_conf.write_text(_DAEMON_CONF.format(uuid=self.uuid, directory=self.directory) + listening)

    @property
    def uri(self) -> str:
        """What clients open."""
        return f"qemu+unix:///system?socket={self.directory}/run/libvirt-sock"

    def start(self) -> None:
        """Start the daemon, and wait until it answers. The namespaces are new each time, the directories are not."""
        for path in _PLACES.values():
            Path(path).mkdir(parents=True, exist_ok=True)
        mounts = " && ".join(f"mount --bind {self.directory / place} {path}" for place, path in _PLACES.items())
        listens = "" if self.port is None else " --listen"
        daemon = f"exec /usr/sbin/libvirtd -f {self._daemon_conf} -p {self.directory}/libvirtd.pid{listens}"
        inside = ("/bin/sh", "-c", f"hostname {self.name} && {mounts} && {daemon}")
        command = (sys.executable, _REAPER, "unshare", "--mount", "--uts", "--propagation", "private", *inside)
        with (self.directory / "out").open("ab") as out:
            started = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
            self._processes.append(started)
        wait_until(self.answers, f"the libvirt daemon of {self.name}")

    def kill_daemon(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End the daemon; the guests go on, and so does what takes them in when they end."""
        pid = self._daemon_pid()
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            wait_until(lambda: not _lives(pid), "the end of the libvirt daemon")

    def pids(self) -> Mapping[str, int]:
        """The QEMUs that run here, by the guest's uuid: those whose files are in this host's directory."""
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and _is_qemu(words := _words(entry)) and self._has(entry):
                    found[words[words.index("-uuid") + 1]] = int(entry.name)
        return found

    def end(self) -> None:
        """End the daemon and all guests."""
        self.kill_daemon(signal.SIGTERM)
        for pid in self.pids().values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._processes:
            process.wait(timeout=60)

    def remove(self) -> None:
        """Remove its directory."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _has(self, process: Path) -> bool:
        """Whether the process is in this host's mount namespace."""
        mounts = (line.split() for line in (process / "mountinfo").read_text().splitlines())
        mine = f"{self.directory.name}/run"
        return any(mount[4] == _PLACES["run"] and mount[3].endswith(mine) for mount in mounts)

    @property
    def _daemon_conf(self) -> Path:
        return self.directory / "etc" / "libvirtd.conf"

    def _daemon_pid(self) -> int | None:
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.directory / "libvirtd.pid").read_text())
            if "libvirtd" in _words(Path(f"/proc/{pid}"))[0]:
                return pid
        return None

    @contextlib.contextmanager
    def connection(self) -> Iterator[Any]:
        """A connection of our own to the daemon."""
        import libvirt

        connection = libvirt.open(self.uri)
        try:
            yield connection
        finally:
            connection.close()

    @contextlib.contextmanager
    def domain(self, uuid: str) -> Iterator[Any]:
        """The domain of this uuid."""
        with self.connection() as connection:
            yield connection.lookupByUUIDString(uuid)

    def answers(self) -> bool:
        """Whether the daemon does."""
        import libvirt

        if self._processes[-1].poll() is not None:
            raise RuntimeError((self.directory / "out").read_text())
        try:
            libvirt.open(self.uri).close()
        except libvirt.libvirtError:
            return False
        return True


def need_libvirt() -> None:
    """Skip the test, or fail it under CI, where there is nothing to make emulated hosts of."""
    missing = None
    if shutil.which("libvirtd", path="/usr/sbin:/usr/bin") is None or not has_binding():
        missing = "libvirt or its Python binding is not installed"
    elif os.geteuid() != 0:
        missing = "only root can make the namespaces of emulated hosts"
    elif subprocess.run(["unshare", "--mount", "--uts", "true"], check=False, capture_output=True).returncode:
        missing = "this machine lets nobody make the namespaces of emulated hosts"
    if missing is not None:
        require_or_skip(f"{missing}: make virt")


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _words(process: Path) -> list[str]:
    return (process / "cmdline").read_bytes().decode(errors="replace").split("\0")


def _is_qemu(words: list[str]) -> bool:
    return "qemu-system" in words[0] and "-uuid" in words
