"""A guest's definition: what it is made of, kept in its directory as ``guest.json`` for as long as it exists."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from kilonova.drivers.protocol import GuestSpec, Nic

DEFINITION_FILE: Final = "guest.json"
_FORMAT: Final = 1


class DiskRole(StrEnum):
    """What a disk is to its guest."""

    ROOT = "root"
    CDROM = "cdrom"
    EPHEMERAL = "ephemeral"
    SWAP = "swap"
    CONFIG = "config"
    RESCUE = "rescue"


class Condition(StrEnum):
    """What was last known of a guest, for whoever finds it when nobody watched."""

    PREPARING = "preparing"
    """Being made; if nobody is making it any more, it is to be finished or removed."""
    OFF = "off"
    ON = "on"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A disk file, by its path from the guest's directory."""

    role: DiskRole
    file: str
    format: str
    base: str | None = None
    """The name of the cached image under it."""

    @property
    def is_writable(self) -> bool:
        """Whether its guest writes to it, as it does not to CDs."""
        return self.role not in (DiskRole.CDROM, DiskRole.CONFIG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """All that is needed to start the guest again, and how it fared."""

    uuid: str
    name: str
    display_name: str
    project_id: str
    user_id: str
    vcpus: int
    memory_mb: int
    nics: tuple[Nic, ...]
    disks: tuple[Disk, ...] = ()
    condition: Condition = Condition.PREPARING
    boot_id: str = ""
    """Which run of the machine the condition was written in."""
    memory: str = ""
    """The file of its saved memory, while it is suspended; it has not run since that was written."""
    rescue: Disk | None = None
    """The disk that it boots from instead of its own, while it is rescued."""
    root_gb: int = 0
    ephemeral_gb: int = 0
    swap_mb: int = 0
    flavor_name: str = ""
    flavor_id: str = ""
    image_id: str = ""
    made_at: str = ""
    """When, in UTC; ISO 8601."""

    @property
    def attached(self) -> tuple[Disk, ...]:
        """The disks that it has now."""
        return self.disks if self.rescue is None else (self.rescue, *self.disks)

    def find_disk(self, role: DiskRole) -> Disk | None:
        """Its disk of this role, if it has one."""
        return next((disk for disk in self.disks if disk.role is role), None)

    @property
    def base_images(self) -> frozenset[str]:
        """The names of the cached images that its disks stand on."""
        return frozenset(disk.base for disk in self.attached if disk.base is not None)

    @classmethod
    def of(cls, spec: GuestSpec) -> "Definition":
        """What a spec says, before there are disks."""
        return cls(
            uuid=spec.uuid,
            name=spec.name,
            display_name=spec.display_name,
            project_id=spec.project_id,
            user_id=spec.user_id,
            vcpus=spec.vcpus,
            memory_mb=spec.memory_mb,
            nics=spec.nics,
            root_gb=spec.root_gb,
            ephemeral_gb=spec.ephemeral_gb,
            swap_mb=spec.swap_mb,
            flavor_name=spec.flavor_name,
            flavor_id=spec.flavor_id,
            image_id=spec.image.image_id if spec.image is not None else "",
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def save_definition(directory: Path, definition: Definition) -> None:
    """Write it so that a reader finds the old one or the new one, whatever happens in between. Raises OSError."""
    part = directory / f".{DEFINITION_FILE}.part"
    with part.open("w", encoding="utf-8") as file:
        json.dump({"format": _FORMAT, **asdict(definition)}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    part.rename(directory / DEFINITION_FILE)


def find_definition(directory: Path) -> Definition | None:
    """The definition kept there; None where there is none that this version understands."""
    try:
        kept = json.loads((directory / DEFINITION_FILE).read_text(encoding="utf-8"))
        return _parse(kept) if kept["format"] == _FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _disk(kept: dict[str, Any]) -> Disk:
    return Disk(**{**kept, "role": DiskRole(kept["role"])})


def _parse(kept: dict[str, Any]) -> Definition:
    del kept["format"]
    kept["nics"] = tuple(Nic(**nic) for nic in kept["nics"])
    kept["disks"] = tuple(_disk(disk) for disk in kept["disks"])
    kept["rescue"] = _disk(kept["rescue"]) if kept.get("rescue") else None
    kept["condition"] = Condition(kept["condition"])
    return Definition(**kept)
