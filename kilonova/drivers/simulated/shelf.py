"""Where simulated guests are kept: one JSON file each, so that a restart finds them; or nowhere."""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from kilonova.domain.states import PowerState

_FORMAT: Final = 1
_LOG = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class SimulatedGuest:
    """All that there is of a simulated guest."""

    uuid: str
    name: str
    display_name: str
    vcpus: int
    memory_mb: int
    root_gb: int
    metadata: dict[str, str]
    macs: list[str] = field(default_factory=list)
    """Of its network cards."""
    power: PowerState = PowerState.NOSTATE
    boots: int = 0
    booted_at: float = 0.0
    """Seconds since 1970."""
    console: list[str] = field(default_factory=list)
    is_suspended: bool = False
    rescue_image: str | None = None
    """The image that it runs from while it is rescued."""
    kernel_image: str | None = None
    """The kernel that its own disk goes with."""
    is_aside: bool = False
    """Whether it is what a guest that moved away left behind, until that is confirmed."""


class Shelf:
    """Guests by uuid, written to a directory if there is one."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        # Made with the first guest: most of ten thousand hosts never have one.
        self._is_there = directory is not None and directory.is_dir()

    def load(self) -> Iterator[SimulatedGuest]:
        """Every guest that was kept; a file that cannot be read is left alone, and logged."""
        for path in sorted(self._directory.glob("*.json")) if self._directory and self._is_there else ():
            try:
                yield _parse(path.read_text(encoding="utf-8"))
            except (OSError, ValueError, KeyError, TypeError) as error:
                _LOG.warning("no simulated guest can be read from %s: %s", path, error)

    def put(self, guest: SimulatedGuest) -> None:
        """Keep it as it is now; a reader finds the old text or the new one."""
        if self._directory is not None:
            name = _name(guest.uuid, is_aside=guest.is_aside)
            if not self._is_there:
                self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._is_there = True
            part = self._directory / f".{name}.part"
            part.write_text(json.dumps({"format": _FORMAT, **asdict(guest)}), encoding="utf-8")
            part.rename(self._directory / name)

    def drop(self, uuid: str, *, is_aside: bool = False) -> None:
        """Keep it no more; one that is set aside is another one than that which took its place."""
        if self._directory is not None:
            (self._directory / _name(uuid, is_aside=is_aside)).unlink(missing_ok=True)


def _name(uuid: str, *, is_aside: bool) -> str:
    return f"{uuid}.aside.json" if is_aside else f"{uuid}.json"


def _parse(text: str) -> SimulatedGuest:
    kept = json.loads(text)
    if kept.pop("format") != _FORMAT:
        raise ValueError("not a format of this version")
    return SimulatedGuest(**{**kept, "power": PowerState(kept["power"])})
