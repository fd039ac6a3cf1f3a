"""Which driver a host uses, and why: said at start, so that nobody has to guess."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kilonova.domain.errors import HypervisorUnavailable, SettingsUnusable
from kilonova.drivers import host
from kilonova.drivers.instances.home import is_inhabited
from kilonova.drivers.libvirt.connection import has_binding
from kilonova.drivers.mending import find_checkout, install_binding

LIBVIRT_SOCKETS: Final = (Path("/run/libvirt/libvirt-sock"), Path("/run/libvirt/virtqemud-sock"))
NAMES: Final = ("auto", "qemu", "simulated", "libvirt")


@dataclass(frozen=True, slots=True)
class Choice:
    """A driver's name and the reason, for people."""

    driver_name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a choice depends on: the settings, what earlier starts left, and ways to look at the machine."""

    libvirt_uri: str = ""
    """The daemon that the settings name; empty for none in particular."""
    state_dir: Path | None = None
    """Where each driver keeps its guests in a directory of its own name."""
    libvirt_sockets: Sequence[Path] = LIBVIRT_SOCKETS
    find_qemu: Callable[[], host.QemuVersion | None] = host.find_qemu
    find_accelerator: Callable[[], host.Accelerator] = host.find_accelerator
    has_binding: Callable[[], bool] = has_binding


def choose(name: str, around: Surroundings | None = None) -> Choice:
    """The driver for a setting of ``auto``, ``qemu``, ``simulated`` or ``libvirt``.

    ``auto`` stays with the driver that has guests already. Else it takes libvirt where the settings name a daemon, or
    one answers and its binding is installed, and QEMU by itself otherwise; it never ends with the simulated driver.
    Raises HypervisorUnavailable with the line that installs what is missing, SettingsUnusable for any other name.
    """
    around = around or Surroundings()
    if name == "simulated":
        return Choice("simulated", "simulated, as asked by name: no machine runs behind a server")
    if name not in NAMES:
        raise SettingsUnusable(f"there is no driver {name!r}; there are {', '.join(NAMES)}")
    qemu = around.find_qemu()
    if qemu is None:
        raise HypervisorUnavailable(f"no hypervisor: QEMU is not installed; install it with: {host.INSTALL_LINE}")
    found = f"QEMU {qemu.text} found; {_speed(around.find_accelerator())}"
    if name == "qemu":
        return Choice("qemu", found)
    if name == "libvirt":
        return _libvirt(found, around, "as asked by name")
    return _chosen(found, around)


def _chosen(found: str, around: Surroundings) -> Choice:
    """What ``auto`` comes to."""
    inhabited = [name for name in ("qemu", "libvirt") if _has_guests(around, name)]
    answering = next((path for path in around.libvirt_sockets if answers(path)), None)
    if inhabited == ["qemu"]:
        return Choice("qemu", f"{found}; its guests are here already")
    if inhabited == ["libvirt"]:
        return _libvirt(found, around, "its guests are here already")
    if around.libvirt_uri:
        return _libvirt(found, around, "as the settings name a daemon")
    if answering is None:
        return Choice("qemu", f"{found}; no libvirt daemon")
    if not around.has_binding():
        mend = install_binding(find_checkout())
        return Choice("qemu", f"{found}; libvirt answers at {answering}, for the driver of it: {mend}")
    return Choice("libvirt", f"libvirt answers at {answering}; {found}")


def _libvirt(found: str, around: Surroundings, why: str) -> Choice:
    if not around.has_binding():
        text = f"the Python binding of libvirt is not installed; install it with: {install_binding(find_checkout())}"
        raise HypervisorUnavailable(text)
    return Choice("libvirt", f"libvirt at {around.libvirt_uri or 'qemu:///system'}, {why}; {found}")


def _has_guests(around: Surroundings, name: str) -> bool:
    return around.state_dir is not None and is_inhabited(around.state_dir / name)


def _speed(accelerator: host.Accelerator) -> str:
    if accelerator.kind == "kvm":
        return f"fast (KVM): {accelerator.reason}"
    return f"emulated (TCG, slower): {accelerator.reason}"


def answers(path: Path) -> bool:
    """Whether a daemon listens at the socket."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(2)
        try:
            caller.connect(str(path))
        except OSError:
            return False
        return True
