"""How libvirt comes onto this machine, in a line to be typed: by the target of a checkout, where there is one."""

from pathlib import Path
from typing import Final

import kilonova

_SCRIPT: Final = Path("scripts", "ensure_virt.sh")
_APT: Final = "apt-get install -y --no-install-recommends"
_START_LINE: Final = "systemctl start libvirtd, or libvirtd -d"
_INSTALL_LINE: Final = f"{_APT} libvirt-daemon libvirt-clients, then {_START_LINE}"
_BINDING_LINE: Final = f"{_APT} libvirt-dev pkg-config gcc, then pip install libvirt-python"


def find_checkout(package: Path | None = None) -> Path | None:
    """The directory of the source tree that Kilonova runs from; None where it was installed."""
    home = (package or Path(kilonova.__file__).parent).resolve().parent
    return home if (home / "Makefile").is_file() and (home / _SCRIPT).is_file() else None


def install_libvirt(checkout: Path | None) -> str:
    """What installs the daemon and starts it."""
    return _INSTALL_LINE if checkout is None else _make_virt(checkout)


def start_libvirt(checkout: Path | None) -> str:
    """What starts a daemon that is installed."""
    return _START_LINE if checkout is None else _make_virt(checkout)


def install_binding(checkout: Path | None) -> str:
    """What installs its Python binding."""
    return _BINDING_LINE if checkout is None else _make_virt(checkout)


def _make_virt(checkout: Path) -> str:
    """It does all three, and what is there already it leaves alone."""
    return "make virt" if Path.cwd() == checkout else f"make -C {checkout} virt"
