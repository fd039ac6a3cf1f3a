"""Which driver a host uses, and why: said at start, so that nobody has to guess."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kilonova.domain.errors import HypervisorUnavailable, NotSupported, SettingsUnusable
from kilonova.drivers import host

LIBVIRT_SOCKETS: Final = (Path("/run/libvirt/libvirt-sock"), Path("/run/libvirt/virtqemud-sock"))
NAMES: Final = ("auto", "qemu", "simulated", "libvirt")


@dataclass(frozen=True, slots=True)
class Choice:
    """A driver's name and the reason, for people."""

    driver_name: str
    reason: str


def choose(
    name: str,
    *,
    libvirt_sockets: Sequence[Path] = LIBVIRT_SOCKETS,
    find_qemu: Callable[[], host.QemuVersion | None] = host.find_qemu,
    find_accelerator: Callable[[], host.Accelerator] = host.find_accelerator,
) -> Choice:
    """The driver for a setting of ``auto``, ``qemu``, ``simulated`` or ``libvirt``.

    ``auto`` never ends with the simulated driver. Raises HypervisorUnavailable with the line that installs QEMU,
    NotSupported for libvirt, SettingsUnusable for any other name.
    """
    if name == "simulated":
        return Choice("simulated", "simulated, as asked by name: no machine runs behind a server")
    if name == "libvirt":
        raise NotSupported("the libvirt driver is not there yet; use driver=qemu, which needs only QEMU")
    if name not in NAMES:
        raise SettingsUnusable(f"there is no driver {name!r}; there are {', '.join(NAMES)}")
    qemu = find_qemu()
    if qemu is None:
        raise HypervisorUnavailable(f"no hypervisor: QEMU is not installed; install it with: {host.INSTALL_LINE}")
    found = f"QEMU {qemu.text} found; {_speed(find_accelerator())}"
    return Choice("qemu", found if name == "qemu" else f"{found}; {_about_libvirt(libvirt_sockets)}")


def _speed(accelerator: host.Accelerator) -> str:
    if accelerator.kind == "kvm":
        return f"fast (KVM): {accelerator.reason}"
    return f"emulated (TCG, slower): {accelerator.reason}"


def _about_libvirt(sockets: Sequence[Path]) -> str:
    answering = next((path for path in sockets if answers(path)), None)
    if answering is None:
        return "no libvirt daemon"
    return f"libvirt answers at {answering}, and its driver is not there yet"


def answers(path: Path) -> bool:
    """Whether a daemon listens at the socket."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(2)
        try:
            caller.connect(str(path))
        except OSError:
            return False
        return True
