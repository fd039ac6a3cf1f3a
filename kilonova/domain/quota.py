"""Limits against counts: what a project may still have (contract §4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kilonova.domain.errors import QuotaExceeded

UNLIMITED: Final = -1
"""The limit that is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a project has: live servers, their virtual CPUs, and their memory in MiB."""

    instances: int = 0
    cores: int = 0
    ram: int = 0


def enforce(limits: Mapping[str, int], used: Usage, wanted: Usage) -> None:
    """Raise ``QuotaExceeded`` if ``used`` and ``wanted`` together pass a limit.

    ``limits`` maps ``instances``, ``cores`` and ``ram`` to a number or ``UNLIMITED``. The text is Nova's, with
    every exceeded resource in alphabetical order (contract §0.5, §4.3).
    """
    over = [name for name in ("cores", "instances", "ram") if _exceeds(limits[name], used, wanted, name)]
    if not over:
        return
    raise QuotaExceeded(
        f"Quota exceeded for {', '.join(over)}: "
        f"Requested {', '.join(str(getattr(wanted, name)) for name in over)}, "
        f"but already used {', '.join(str(getattr(used, name)) for name in over)} "
        f"of {', '.join(str(limits[name]) for name in over)} {', '.join(over)}"
    )


def _exceeds(limit: int, used: Usage, wanted: Usage, name: str) -> bool:
    total: int = getattr(used, name) + getattr(wanted, name)
    return limit != UNLIMITED and total > limit
