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
    power: PowerState = PowerState.NOSTATE
    boots: int = 0
    console: list[str] = field(default_factory=list)
    is_suspended: bool = False
    rescue_image: str | None = None
    """The image that it runs from while it is rescued."""


class Shelf:
    """Guests by uuid, written to a directory if there is one."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def load(self) -> Iterator[SimulatedGuest]:
        """Every guest that was kept; a file that cannot be read is left alone, and logged."""
        for path in sorted(self._directory.glob("*.json")) if self._directory else ():
            try:
                yield _parse(path.read_text(encoding="utf-8"))
            except (OSError, ValueError, KeyError, TypeError) as error:
                _LOG.warning("no simulated guest can be read from %s: %s", path, error)

    def put(self, guest: SimulatedGuest) -> None:
        """Keep it as it is now; a reader finds the old text or the new one."""
        if self._directory is not None:
            part = self._directory / f".{guest.uuid}.part"
            part.write_text(json.dumps({"format": _FORMAT, **asdict(guest)}), encoding="utf-8")
            part.rename(self._directory / f"{guest.uuid}.json")

    def drop(self, uuid: str) -> None:
        """Keep it no more."""
        if self._directory is not None:
            (self._directory / f"{uuid}.json").unlink(missing_ok=True)


def _parse(text: str) -> SimulatedGuest:
    kept = json.loads(text)
    if kept.pop("format") != _FORMAT:
        raise ValueError("not a format of this version")
    return SimulatedGuest(**{**kept, "power": PowerState(kept["power"])})
