"""Limits against counts: what a project may still have (contract §4)."""

import sys
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


_NAMES: Final = ("cores", "instances", "ram")


def enforce(limits: Mapping[str, int], used: Usage, wanted: Usage) -> None:
    """Raise ``QuotaExceeded`` if ``used`` and ``wanted`` together pass a limit.

    ``limits`` maps ``instances``, ``cores`` and ``ram`` to a number or ``UNLIMITED``. The text is Nova's, with
    every exceeded resource in alphabetical order (contract §0.5, §4.3).
    """
    _refuse(limits, used, wanted, instances=str(wanted.instances))


def afford(limits: Mapping[str, int], used: Usage, each: Usage, *, least: int, most: int) -> int:
    """How many things of the size ``each`` there may be: ``most`` of them, or as many as fit if that is ``least``.

    Raises ``QuotaExceeded`` otherwise; its text is about ``most``, with a range where the two differ, as in Nova.
    """
    room = min([most, *(_room(limits[name], used, each, name) for name in _NAMES)])
    if room < least:
        wanted = Usage(instances=most * each.instances, cores=most * each.cores, ram=most * each.ram)
        _refuse(limits, used, wanted, instances=str(most) if least == most else f"{least}-{most}")
    return room


def _room(limit: int, used: Usage, each: Usage, name: str) -> int:
    size: int = getattr(each, name)
    if limit == UNLIMITED or size == 0:
        return sys.maxsize
    had: int = getattr(used, name)
    return max(limit - had, 0) // size


def _refuse(limits: Mapping[str, int], used: Usage, wanted: Usage, *, instances: str) -> None:
    """Raise ``QuotaExceeded`` if a limit is passed; ``instances`` is how the number of servers is told."""
    over = [name for name in _NAMES if _exceeds(limits[name], used, wanted, name)]
    if not over:
        return
    asked = {"instances": instances, "cores": str(wanted.cores), "ram": str(wanted.ram)}
    raise QuotaExceeded(
        f"Quota exceeded for {', '.join(over)}: "
        f"Requested {', '.join(asked[name] for name in over)}, "
        f"but already used {', '.join(str(getattr(used, name)) for name in over)} "
        f"of {', '.join(str(limits[name]) for name in over)} {', '.join(over)}"
    )


def _exceeds(limit: int, used: Usage, wanted: Usage, name: str) -> bool:
    total: int = getattr(used, name) + getattr(wanted, name)
    return limit != UNLIMITED and total > limit
