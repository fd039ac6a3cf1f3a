"""Audit periods: the stretches of time that usage is told for, one after the other (contract §10.5).

Times are UTC. A period is ended by the next boundary of its unit; a boundary belongs to the period that begins with it.
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from kilonova.domain.errors import SettingsUnusable
from kilonova.domain.model import Instant

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FORM: Final = re.compile(r"(hour|day|month|year)(?:@(\d{1,3}))?\Z")
_OFFSETS: Final = {"hour": (0, 59), "day": (0, 23), "month": (1, 28), "year": (1, 12)}
"""The offsets that every period of a unit has: minutes, hours, days of the month, months."""


class Period(NamedTuple):
    """From ``begin``, included, to ``end``, excluded."""

    begin: Instant
    end: Instant


class Cycle(NamedTuple):
    """How time is cut into periods: hour, day, month or year, each from its offset on."""

    unit: str
    offset: int

    def current(self, now: Instant) -> Period:
        """What of the period that goes on has passed: from the last boundary before ``now`` to ``now``."""
        return Period(self._boundary_before(now), now)

    def completed(self, now: Instant) -> Period:
        """The last period that was over before ``now``; a boundary of this very moment is not over yet."""
        end = self._boundary_before(now)
        return Period(self._stepped(end, -1), end)

    def following(self, since: Instant, now: Instant) -> Period | None:
        """The first completed period from ``since`` on, None where it goes on still.

        It begins at ``since`` exactly, and so it is shorter than the others where ``since`` is no boundary: periods
        of different cycles follow one another without gap and without overlap.
        """
        end = self._stepped(self._boundary_before(Instant(since + 1)), 1)
        return Period(since, end) if end < now else None

    def holding(self, moment: Instant) -> Instant:
        """The beginning of the period that ``moment`` is in."""
        return self._boundary_before(Instant(moment + 1))

    def _boundary_before(self, now: Instant) -> Instant:
        """The latest boundary strictly before ``now``."""
        moment = _EPOCH + timedelta(microseconds=now)
        found = _instant(self._boundary_in(moment))
        return found if found < now else self._stepped(found, -1)

    def _boundary_in(self, moment: datetime) -> datetime:
        """The boundary in the hour, day, month or year of the moment."""
        floor = moment.replace(minute=0, second=0, microsecond=0)
        match self.unit:
            case "hour":
                return floor.replace(minute=self.offset)
            case "day":
                return floor.replace(hour=self.offset)
            case "month":
                return floor.replace(day=self.offset, hour=0)
            case _:
                return floor.replace(month=self.offset, day=1, hour=0)

    def _stepped(self, boundary: Instant, by: int) -> Instant:
        moment = _EPOCH + timedelta(microseconds=boundary)
        match self.unit:
            case "hour":
                return _instant(moment + timedelta(hours=by))
            case "day":
                return _instant(moment + timedelta(days=by))
            case "month":
                months = moment.year * 12 + moment.month - 1 + by
                return _instant(moment.replace(year=months // 12, month=months % 12 + 1))
            case _:
                return _instant(moment.replace(year=moment.year + by))


MONTHS: Final = Cycle("month", 1)
"""Nova's default."""


@lru_cache(maxsize=16)
def parse_cycle(text: str) -> Cycle:
    """The cycle of ``instance_usage_audit_period``: ``month``, ``day@6``, ... SettingsUnusable for anything else.

    Offsets that not every period has, such as ``month@31``, are refused: Nova fails in the first month without one.
    """
    match = _FORM.match(text)
    unit, offset = match.groups() if match else ("", None)
    if not match:
        raise SettingsUnusable(
            f"The setting instance_usage_audit_period in [DEFAULT] is {text!r}; it must be hour, day, month or year, "
            "and may have an offset, as in day@6."
        )
    least, most = _OFFSETS[unit]
    # Nova's month@0 and year@0 are the first (contract §10.5).
    number = max(least, int(offset or 0))
    if number > most:
        raise SettingsUnusable(
            f"The setting instance_usage_audit_period in [DEFAULT] is {text!r}; "
            f"the offset of {unit} is {least} to {most}."
        )
    return Cycle(unit, number)


def current_period(setting: str, now: Instant) -> Period:
    """``Cycle.current`` of the cycle that the setting says."""
    return parse_cycle(setting).current(now)


def digest(uuids: Iterable[str]) -> str:
    """What a manifest says of the servers of a period: SHA-256 in hex of their uuids in order, a line each."""
    found = hashlib.sha256()
    for uuid in uuids:
        found.update(f"{uuid}\n".encode())
    return found.hexdigest()


def _instant(moment: datetime) -> Instant:
    return Instant((moment - _EPOCH) // _MICROSECOND)
