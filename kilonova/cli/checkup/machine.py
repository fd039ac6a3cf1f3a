"""The machine: its processor, its hypervisors, its memory and its clock."""

import ctypes
import importlib.util
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from kilonova.cli.checkup.finding import Finding, Status
from kilonova.domain.model import SECOND, Instant
from kilonova.drivers import choice, host, mending
from kilonova.proxy.pages import find_novnc

_SMALL_MEMORY_MB: Final = 1024
_NOT_IN_STEP: Final = 5
"""What adjtimex(2) returns while nobody keeps the clock in step (TIME_ERROR)."""
_TIMEX_BYTES: Final = 512
"""More than the structure of any Linux has."""
_AHEAD_SECONDS: Final = 5


def kvm(find: Callable[[], host.Accelerator] = host.find_accelerator, *, device: Path = Path("/dev/kvm")) -> Finding:
    """Whether guests run at the processor's own speed: decided by its flags, for the device alone proves nothing."""
    found = find()
    if found.kind == "kvm":
        return Finding(check="kvm", status=Status.OK, seen=found.reason)
    if "hardware virtualisation" in found.reason:
        mend = "switch virtualisation on in the firmware, or nested virtualisation where this machine is a guest itself"
        if device.exists():
            mend += f"; {device} is there, and no guest would boot on it"
    elif "may not open" in found.reason:
        mend = "usermod -aG kvm $USER, and sign in anew"
    else:
        mend = "modprobe kvm_intel, or kvm_amd"
    seen = f"{found.reason}: guests are emulated (TCG), several times slower"
    return Finding(check="kvm", status=Status.WARN, seen=seen, mend=mend)


def qemu(driver: str, find: Callable[[], host.QemuVersion | None] = host.find_qemu) -> Finding:
    """Whether there is a QEMU, and with it qemu-img."""
    found = find()
    if found is not None:
        return Finding(check="qemu", status=Status.OK, seen=f"QEMU {found.text} at {found.path}, and qemu-img")
    status = Status.NOTE if driver == "simulated" else Status.FAIL
    seen = f"{host.SYSTEM_BINARY} or {host.IMAGE_BINARY} is not on the PATH"
    return Finding(check="qemu", status=status, seen=seen, mend=host.INSTALL_LINE)


def libvirt(
    driver: str,
    *,
    sockets: Sequence[Path] = choice.LIBVIRT_SOCKETS,
    find_program: Callable[[str], str | None] = shutil.which,
    has_binding: Callable[[], bool] = lambda: importlib.util.find_spec("libvirt") is not None,
    checkout: Path | None = None,
) -> Finding:
    """Whether libvirt's daemon is installed and answers, and its Python binding is there. Needed by its driver only.

    ``checkout`` is the source tree whose ``make virt`` mends all of it; None where there is none.
    """
    bad = Status.FAIL if driver == "libvirt" else Status.NOTE
    daemon = next((path for name in ("libvirtd", "virtqemud") if (path := find_program(name))), None)
    if daemon is None:
        return Finding(check="libvirt", status=bad, seen="not installed", mend=mending.install_libvirt(checkout))
    answering = next((path for path in sockets if choice.answers(path)), None)
    if answering is None:
        seen = f"{daemon} is installed, and nothing answers at {sockets[0]}"
        return Finding(check="libvirt", status=bad, seen=seen, mend=mending.start_libvirt(checkout))
    if not has_binding():
        seen = f"answers at {answering}, and its Python binding is missing"
        return Finding(check="libvirt", status=bad, seen=seen, mend=mending.install_binding(checkout))
    return Finding(check="libvirt", status=Status.OK, seen=f"answers at {answering}; its Python binding is there")


def novnc(wanted: str = "", find: Callable[[str], Path | None] = find_novnc) -> Finding:
    """Whether noVNC is there, with which browsers show screens; ``wanted`` is where the settings have it."""
    found = find(wanted)
    if found is not None:
        return Finding(check="noVNC", status=Status.OK, seen=str(found))
    where = f"not in {wanted}" if wanted else "not installed"
    seen = f"{where}: the screens of servers open in no browser"
    return Finding(check="noVNC", status=Status.NOTE, seen=seen, mend="make up fetches it; or apt-get install novnc")


def memory(read: Callable[[str], int] = host.memory_mb) -> Finding:
    """Whether there is room for guests."""
    total, available = read("MemTotal"), read("MemAvailable")
    seen = f"{available} of {total} MB are free"
    if available >= _SMALL_MEMORY_MB:
        return Finding(check="memory", status=Status.OK, seen=seen)
    mend = "end what takes it; guests are refused for which there is none"
    return Finding(check="memory", status=Status.WARN, seen=seen, mend=mend)


def clock(now: Instant, newest_at: Instant | None, find_state: Callable[[], int | None] | None = None) -> Finding:
    """Whether the clock is kept in step, and is not behind what the journal has already seen."""
    behind = 0 if newest_at is None else (newest_at - now) / SECOND
    if behind > _AHEAD_SECONDS:
        seen = f"the clock is {behind:.0f} s behind the newest row of the journal: it was set back"
        return Finding(check="clock", status=Status.FAIL, seen=seen, mend="set the clock right before Kilonova starts")
    state = (find_state or kernel_clock)()
    if state == _NOT_IN_STEP:
        seen = "nobody keeps the machine's clock in step"
        mend = "apt-get install -y chrony (in a container: on the machine that runs it)"
        return Finding(check="clock", status=Status.WARN, seen=seen, mend=mend)
    if state is None:
        return Finding(check="clock", status=Status.NOTE, seen="the kernel does not say whether it is in step")
    return Finding(check="clock", status=Status.OK, seen="kept in step with others, by what the kernel says")


def kernel_clock() -> int | None:
    """What the kernel says of its clock (adjtimex(2)), which is only read; None where it says nothing."""
    try:
        told: int = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if told < 0 else told


def user(user_id: int | None = None) -> Finding:
    """Whether guests would run as root."""
    if (os.geteuid() if user_id is None else user_id) != 0:
        return Finding(
            check="user", status=Status.OK, seen="not root: guests' QEMUs have no more than this user's rights"
        )
    mend = "run Kilonova as a user of its own, in the group kvm"
    return Finding(check="user", status=Status.NOTE, seen="root: guests' QEMUs run as root too", mend=mend)
