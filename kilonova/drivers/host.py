"""What the machine under the guests is and has, read from the kernel."""

import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from kilonova.domain.errors import HypervisorUnavailable

SYSTEM_BINARY = "qemu-system-x86_64"
IMAGE_BINARY = "qemu-img"
INSTALL_LINE = "apt-get install -y --no-install-recommends qemu-system-x86 qemu-utils"
MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Accelerator:
    """How guests' processors are made, and why so."""

    kind: Literal["kvm", "tcg"]
    reason: str


@dataclass(frozen=True, slots=True)
class QemuVersion:
    """A QEMU that is installed."""

    path: str
    major: int
    minor: int
    micro: int

    @property
    def text(self) -> str:
        """Such as ``7.2.22``."""
        return f"{self.major}.{self.minor}.{self.micro}"

    @property
    def number(self) -> int:
        """As Nova counts: 7.2.22 is 7002022."""
        return self.major * 1_000_000 + self.minor * 1_000 + self.micro


def find_accelerator(*, cpuinfo: Path = Path("/proc/cpuinfo"), device: Path = Path("/dev/kvm")) -> Accelerator:
    """KVM where the processor has it and we may use it, else TCG.

    The device file alone proves nothing: some kernels offer ``/dev/kvm`` on a processor without hardware
    virtualisation, and every ordinary guest dies on it.
    """
    words = set(cpuinfo.read_text(errors="replace").split())
    if not words & {"vmx", "svm"}:
        return Accelerator("tcg", "the processor offers no hardware virtualisation (neither vmx nor svm)")
    if not device.exists():
        return Accelerator("tcg", f"{device} is missing")
    if not os.access(device, os.R_OK | os.W_OK):
        return Accelerator("tcg", f"this user may not open {device}")
    return Accelerator("kvm", f"the processor and {device} offer it")


def find_qemu() -> QemuVersion | None:
    """The QEMU on the PATH, asked for its version; None where it, or qemu-img, is missing or does not run."""
    path = shutil.which(SYSTEM_BINARY)
    return None if path is None or shutil.which(IMAGE_BINARY) is None else _ask_version(path)


def require_qemu() -> QemuVersion:
    """Like ``find_qemu``, but raises HypervisorUnavailable with the line that installs it."""
    found = find_qemu()
    if found is None:
        raise HypervisorUnavailable(f"QEMU is not installed; install it with: {INSTALL_LINE}")
    return found


@cache
def _ask_version(path: str) -> QemuVersion | None:
    try:
        said = subprocess.run((path, "--version"), capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"version (\d+)\.(\d+)\.(\d+)", said)
    return QemuVersion(path, *map(int, found.groups())) if found else None


def memory_mb(key: str) -> int:
    """A row of /proc/meminfo, ``MemTotal`` or ``MemAvailable``, in MiB."""
    found = re.search(rf"^{key}:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found.group(1)) // 1024 if found else 0


def cpu_count() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def cpu_facts() -> Mapping[str, object]:
    """What ``cpu_info`` shows: architecture, model, vendor, features and topology."""
    text = Path("/proc/cpuinfo").read_text(errors="replace")

    def row(key: str) -> str:
        found = re.search(rf"^{key}\s*: (.*)$", text, re.MULTILINE)
        return found.group(1) if found else ""

    return {
        "arch": platform.machine(),
        "vendor": row("vendor_id"),
        "model": row("model name"),
        "features": sorted(row("flags").split()),
        "topology": {"sockets": 1, "cores": cpu_count(), "threads": 1},
    }


def boot_id() -> str:
    """Changes whenever the machine starts."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def uptime_text() -> str:
    """The line that ``uptime`` prints."""
    seconds = int(float(Path("/proc/uptime").read_text().split()[0]))
    days, minutes = divmod(seconds // 60, 24 * 60)
    days_text = f"{days} day{'s' if days != 1 else ''}, " if days else ""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    clock = f"{minutes // 60:2d}:{minutes % 60:02d}"
    return f" {time.strftime('%H:%M:%S')} up {days_text}{clock},  0 users,  load average: {load}"
