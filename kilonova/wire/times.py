"""The spellings of time that Nova uses (contract §0.8), from and to instants in microseconds since the epoch."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NAIVE: Final = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%f")
_SPACED: Final = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f")
_ISO: Final = re.compile(
    r"^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*"
    r"(Z|z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)?$",
    re.ASCII,
)


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    # Not strftime: its %Y has fewer than four digits before the year 1000.
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[: len("2026-11-22T10:54:09")]


def zulu(instant: int) -> str:
    """``2026-11-22T10:54:09Z``: servers' ``created`` and ``updated``, faults, versioned notifications."""
    return _second(instant // 1_000_000) + "Z"


def naive(instant: int) -> str:
    """``2026-11-22T10:54:42.000000``: services, instance actions, usage; UTC, though it does not say so."""
    seconds, micros = divmod(instant, 1_000_000)
    return f"{_second(seconds)}.{micros:06d}"


def zulu_micros(instant: int) -> str:
    """``2026-11-22T10:54:42.000000Z``: Keystone's tokens, and all times of our own API."""
    return naive(instant) + "Z"


def spaced(instant: int) -> str:
    """``2026-11-22 10:54:42.831756``, the fraction only where there is one: audit periods, message stamps."""
    text = naive(instant).replace("T", " ")
    return text.removesuffix(".000000")


def parse_iso(text: str) -> int:
    """The instant of an ISO 8601 date or date-time; without a zone it is UTC. ValueError where it is none."""
    match = _ISO.match(text.strip())
    if not match:
        raise ValueError(f"not an ISO 8601 date-time: {text!r}")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC)
    micros = int((fraction or "0").ljust(6, "0")[:6])
    return int((moment - _EPOCH).total_seconds()) * 1_000_000 + micros - _offset_seconds(zone) * 1_000_000


def parse_naive(text: str) -> int:
    """The instant of a time in one of the three spellings that usage reports know, read as UTC (contract §5.2).

    ``2026-11-22T10:54:42``, and with a fraction after a ``T`` or a blank. ValueError for anything else.
    """
    return _parsed(text, _NAIVE)


def parse_spaced(text: str) -> int:
    """The instant of ``2026-11-22 10:54:42``, with a fraction or without, read as UTC (contract §11.1).

    ValueError for anything else.
    """
    return _parsed(text, _SPACED)


def _parsed(text: str, spellings: tuple[str, ...]) -> int:
    for spelling in spellings:
        try:
            moment = datetime.strptime(text, spelling).replace(tzinfo=UTC)
        except ValueError:
            continue
        return (moment - _EPOCH) // _MICROSECOND
    raise ValueError(f"not a time in any of these spellings: {text!r}")


def _offset_seconds(zone: str | None) -> int:
    if not zone or zone in "Zz":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == "-" else seconds
