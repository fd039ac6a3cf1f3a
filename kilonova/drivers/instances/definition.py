"""A guest's definition: what it is made of, kept in its directory as ``guest.json`` for as long as it exists."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers.protocol import GuestSpec, Nic

DEFINITION_FILE: Final = "guest.json"
PLACES: Final = 16
"""How many network cards a guest can have."""
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
class Boot:
    """A kernel that QEMU puts into the guest's memory and starts; its files are cached images, by their names."""

    kernel: str
    ramdisk: str | None = None
    command_line: str = ""
    """What the kernel is told; empty for what is told to all."""

    @property
    def images(self) -> tuple[str, ...]:
        """The names of the cached images."""
        return (self.kernel,) if self.ramdisk is None else (self.kernel, self.ramdisk)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A disk file, by its path from the guest's directory."""

    role: DiskRole
    file: str
    format: str
    base: str | None = None
    """The name of the cached image under it."""
    boot: Boot | None = None
    """The kernel that goes with it, where it does not boot by itself."""

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
    nics: tuple[Nic | None, ...]
    """The network card in each place; None in one that is free, before others that are not."""
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
    has_agent: bool = False
    """Whether there is a way to QEMU's agent inside."""
    admin_user: str = "root"
    """Whose password that agent sets."""
    left: Condition | None = None
    """How it was when all of it had been sent to another host, where it waits to go on; None while it has not."""
    unwanted: tuple[tuple[int, Nic], ...] = ()
    """Cards that are not its own, with their places, and may be in what runs of it: they are to be taken out."""
    unsure: tuple[int, ...] = ()
    """The places whose cards what runs may lack: it was asked to let go of them, or they were being put in."""

    @property
    def attached(self) -> tuple[Disk, ...]:
        """The disks that it has now."""
        return self.disks if self.rescue is None else (self.rescue, *self.disks)

    @property
    def boot(self) -> Boot | None:
        """The kernel that it boots; None for what is on its first disk, or on a CD."""
        return next((disk.boot for disk in self.attached), None)

    def find_disk(self, role: DiskRole) -> Disk | None:
        """Its disk of this role, if it has one."""
        return next((disk for disk in self.disks if disk.role is role), None)

    @property
    def cards(self) -> tuple[tuple[int, Nic], ...]:
        """Its network cards, each with the place that it keeps for as long as it is there."""
        return tuple((place, nic) for place, nic in enumerate(self.nics[:PLACES]) if nic is not None)

    @property
    def places(self) -> tuple[str | None, ...]:
        """The MAC address of the card in each place, as ``placed`` takes them."""
        return tuple(None if nic is None else nic.mac for nic in self.nics)

    def place_of(self, mac: str) -> int | None:
        """The place of the card with this MAC address; None where it has no such card."""
        return next((place for place, nic in self.cards if nic.mac == mac), None)

    def find_card(self, mac: str) -> tuple[int, Nic] | None:
        """The card with this MAC address and its place, its own or an unwanted one; None where there is neither."""
        return next(((place, nic) for place, nic in (*self.cards, *self.unwanted) if nic.mac == mac), None)

    @property
    def free_place(self) -> int:
        """The first place for another card. Raises GuestFailure where there is none."""
        taken = {place for place, _ in (*self.cards, *self.unwanted)}
        free = next((place for place in range(PLACES) if place not in taken), None)
        if free is None:
            text = f"the server has as many network cards as it can: {PLACES}"
            raise GuestFailure(FaultCause.NOT_SUPPORTED, text)
        return free

    def nics_with(self, place: int, nic: Nic | None) -> tuple[Nic | None, ...]:
        """Its cards with this one in that place, or with none there."""
        found = [*self.nics, *[None] * (place + 1 - len(self.nics))]
        found[place] = nic
        while found and found[-1] is None:
            found.pop()
        return tuple(found)

    def with_card(self, place: int, nic: Nic) -> "Definition":
        """It with this card in that place. One that was unwanted there may have been asked to go already."""
        was_unwanted = any(each == place for each, _ in self.unwanted)
        return replace(
            self.surely_with(place) if not was_unwanted else self.unsurely_with(place),
            nics=self.nics_with(place, nic),
            unwanted=self._unwanted_but(place),
        )

    def without_card(self, place: int, unwanted: Nic | None = None) -> "Definition":
        """It with no card in that place; ``unwanted`` is one that may be in what runs of it all the same."""
        left = () if unwanted is None else ((place, unwanted),)
        return replace(
            self.surely_with(place), nics=self.nics_with(place, None), unwanted=(*self._unwanted_but(place), *left)
        )

    def unsurely_with(self, place: int) -> "Definition":
        """It, where what runs may lack the card in that place."""
        return replace(self, unsure=tuple(sorted({*self.unsure, place})))

    def surely_with(self, place: int) -> "Definition":
        """It, where what runs is known to be right about that place."""
        return replace(self, unsure=tuple(each for each in self.unsure if each != place))

    def _unwanted_but(self, place: int) -> tuple[tuple[int, Nic], ...]:
        return tuple(each for each in self.unwanted if each[0] != place)

    @property
    def base_images(self) -> frozenset[str]:
        """The names of the cached images that its disks stand on, and that it boots."""
        boots = (disk.boot for disk in self.attached if disk.boot is not None)
        return frozenset(
            (
                *(disk.base for disk in self.attached if disk.base is not None),
                *(name for boot in boots for name in boot.images),
            )
        )

    @classmethod
    def of(cls, spec: GuestSpec, places: Sequence[str | None] = ()) -> "Definition":
        """What a spec says, before there are disks; ``places`` are those that its cards had elsewhere."""
        return cls(
            uuid=spec.uuid,
            name=spec.name,
            display_name=spec.display_name,
            project_id=spec.project_id,
            user_id=spec.user_id,
            vcpus=spec.vcpus,
            memory_mb=spec.memory_mb,
            nics=placed(spec.nics, places),
            root_gb=spec.root_gb,
            ephemeral_gb=spec.ephemeral_gb,
            swap_mb=spec.swap_mb,
            flavor_name=spec.flavor_name,
            flavor_id=spec.flavor_id,
            image_id=spec.image.image_id if spec.image is not None else "",
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            has_agent=spec.has_agent,
            admin_user=spec.admin_user,
        )


def placed(nics: Iterable[Nic], places: Sequence[str | None]) -> tuple[Nic | None, ...]:
    """The cards in the places of their MAC addresses, and what has none there in what is free."""
    waiting = {nic.mac: nic for nic in nics}
    found = [waiting.pop(mac, None) if mac is not None else None for mac in places]
    for nic in waiting.values():
        if None in found:
            found[found.index(None)] = nic
        else:
            found.append(nic)
    while found and found[-1] is None:
        found.pop()
    return tuple(found)


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
    boot = Boot(**kept["boot"]) if kept.get("boot") else None
    return Disk(**{**kept, "role": DiskRole(kept["role"]), "boot": boot})


def _parse(kept: dict[str, Any]) -> Definition:
    del kept["format"]
    kept["nics"] = tuple(nic and Nic(**nic) for nic in kept["nics"])
    kept["disks"] = tuple(_disk(disk) for disk in kept["disks"])
    kept["rescue"] = _disk(kept["rescue"]) if kept.get("rescue") else None
    kept["condition"] = Condition(kept["condition"])
    kept["left"] = Condition(kept["left"]) if kept.get("left") else None
    kept["unwanted"] = tuple((place, Nic(**nic)) for place, nic in kept.get("unwanted", ()))
    kept["unsure"] = tuple(kept.get("unsure", ()))
    return Definition(**kept)
