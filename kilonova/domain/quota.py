"""Limits against counts: what a project may still have (contract §4)."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

from kilonova.domain.errors import Invalid, QuotaExceeded

UNLIMITED: Final = -1
"""The limit that is none."""


RESOURCES: Final[Mapping[str, str | None]] = {
    "cores": "cores",
    "fixed_ips": None,
    "floating_ips": None,
    "injected_file_content_bytes": "injected_file_content_bytes",
    "injected_file_path_bytes": "injected_file_path_length",
    "injected_files": "injected_files",
    "instances": "instances",
    "key_pairs": "key_pairs",
    "metadata_items": "metadata_items",
    "ram": "ram",
    "security_group_rules": None,
    "security_groups": None,
    "server_group_members": "server_group_members",
    "server_groups": "server_groups",
}
"""Every resource that has a limit, with the setting that gives its default; None: there is no limit by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a project may have, and what one of its users may, by resource; ``user`` is None where nothing says so."""

    project: Mapping[str, int]
    user: Mapping[str, int] | None = None

    @property
    def effective(self) -> Mapping[str, int]:
        """The user's limits, or else the project's."""
        return self.project if self.user is None else self.user


def check_limit(name: str, limit: int, *, least: int, most: int = UNLIMITED) -> None:
    """Raise ``Invalid``, in Nova's words, for a limit below ``least`` or above ``most`` (contract §4.3)."""
    if _reach(limit) < least:
        raise Invalid(
            f"Quota limit {limit} for {name} must be greater than or equal to already used and reserved {least}."
        )
    if _reach(limit) > _reach(most):
        raise Invalid(f"Quota limit {limit} for {name} must be less than or equal to {most}.")


def _reach(limit: int) -> float:
    return inf if limit == UNLIMITED else limit


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


def check_growth(limits: Mapping[str, int], used: Usage, others: Iterable[Usage], growth: Usage) -> None:
    """Raise ``QuotaExceeded`` where a server's growth passes a limit, beside that of ``others`` under way.

    What it does not grow in is not looked at, nor what others give back once they are done.
    """
    grown = list(others)
    total = Usage(
        instances=used.instances,
        cores=used.cores + sum(max(each.cores, 0) for each in grown),
        ram=used.ram + sum(max(each.ram, 0) for each in grown),
    )
    looked_at = {name: limits[name] if getattr(growth, name) > 0 else UNLIMITED for name in _NAMES}
    enforce(looked_at, total, growth)


def _room(limit: int, used: Usage, each: Usage, name: str) -> int:
    if limit == UNLIMITED:
        return sys.maxsize
    had, size = getattr(used, name), getattr(each, name)
    if had > limit:
        return 0  # also for what needs none of it, as in Nova
    return (limit - had) // size if size else sys.maxsize


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
