"""What all guests of one state directory share."""

from dataclasses import dataclass
from pathlib import Path

from kilonova.drivers import host
from kilonova.drivers.disks.cache import ImageCache
from kilonova.drivers.herald import Herald
from kilonova.drivers.instances.aside import Aside
from kilonova.drivers.instances.cards import Patience
from kilonova.drivers.qemu.watch import Watch
from kilonova.drivers.turns import Turns


@dataclass(frozen=True, slots=True)
class Site:
    """Where guests are, what they are made of and run by, who watches them, and how they are waited for."""

    instances: Path
    aside: Aside
    cache: ImageCache
    qemu: host.QemuVersion
    accelerator: host.Accelerator
    watch: Watch
    herald: Herald
    patience: Patience
    turns: Turns
