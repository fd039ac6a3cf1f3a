"""Deadlines of operations: those of the table, and what the settings say instead."""

from collections.abc import Mapping
from typing import Final

from kilonova.domain.errors import SettingsUnusable
from kilonova.domain.operations import OPERATIONS
from kilonova.services.settings import ServiceSettings

_BUILD: Final = "create"
_LEAST_SECONDS: Final = 1
_MOST_SECONDS: Final = 30 * 24 * 3600


def deadlines_of(settings: ServiceSettings) -> Mapping[str, int]:
    """Seconds by the names of operations, for those that the settings name.

    Of what is said of a build, also by ``instance_build_timeout``, the least counts. SettingsUnusable for a name that
    is no operation's, and for what is no whole number of seconds.
    """
    pairs = [pair.strip() for pair in settings.operation_deadlines.split(",") if pair.strip()]
    found = dict(_parsed(pair) for pair in pairs)
    if settings.instance_build_timeout:
        usual = found.get(_BUILD, OPERATIONS[_BUILD].deadline_seconds)
        found[_BUILD] = min(usual, settings.instance_build_timeout)
    return found


def _parsed(pair: str) -> tuple[str, int]:
    name, _, number = (part.strip() for part in pair.partition("="))
    if name not in OPERATIONS:
        raise SettingsUnusable(f"operation_deadlines in [DEFAULT] names {name!r}, which is no operation.")
    if not number.isdecimal() or not _LEAST_SECONDS <= int(number) <= _MOST_SECONDS:
        raise SettingsUnusable(
            f"operation_deadlines in [DEFAULT] gives {name} {number!r}: not a number of seconds from {_LEAST_SECONDS} "
            f"to {_MOST_SECONDS}."
        )
    return name, int(number)
