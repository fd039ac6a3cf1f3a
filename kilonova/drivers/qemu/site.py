"""What all guests of one state directory share."""

from dataclasses import dataclass
from pathlib import Path

from kilonova.drivers import host
from kilonova.drivers.disks.cache import ImageCache
from kilonova.drivers.herald import Herald
from kilonova.drivers.instances.aside import Aside
from kilonova.drivers.qemu.watch import Watch


@dataclass(frozen=True, slots=True)
class Site:
    """Where guests are, what they are made of and run by, and who watches them."""

    instances: Path
    aside: Aside
    cache: ImageCache
    qemu: host.QemuVersion
    accelerator: host.Accelerator
    watch: Watch
    herald: Herald
