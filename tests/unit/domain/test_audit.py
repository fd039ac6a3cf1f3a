"""Audit periods (contract §10.5): boundaries strictly before the present, offsets, and periods without gap."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.domain.audit import Cycle, Period, digest, parse_cycle
from kilonova.domain.errors import SettingsUnusable
from kilonova.domain.model import Instant

_OFFSETS = {"hour": (0, 59), "day": (0, 23), "month": (1, 28), "year": (1, 12)}
_CYCLES = st.sampled_from(sorted(_OFFSETS)).flatmap(
    lambda unit: st.integers(*_OFFSETS[unit]).map(lambda offset: Cycle(unit, offset))
)
_MOMENTS = st.integers(10**15, 4 * 10**15).map(Instant)


def _at(text: str) -> Instant:
    return Instant(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000)


@pytest.mark.parametrize(
    "cycle, begin, end",
    [
        ("hour", "2026-11-22T09:00:00", "2026-11-22T10:00:00"),
        ("hour@45", "2026-11-22T08:45:00", "2026-11-22T09:45:00"),
        ("day", "2026-11-21T00:00:00", "2026-11-22T00:00:00"),
        ("day@11", "2026-11-20T11:00:00", "2026-11-21T11:00:00"),
        ("month", "2026-10-01T00:00:00", "2026-11-01T00:00:00"),
        ("month@0", "2026-10-01T00:00:00", "2026-11-01T00:00:00"),
        ("month@25", "2026-09-25T00:00:00", "2026-10-25T00:00:00"),
        ("year", "2025-01-01T00:00:00", "2026-01-01T00:00:00"),
        ("year@12", "2024-12-01T00:00:00", "2025-12-01T00:00:00"),
    ],
)
def test_the_completed_period_ends_at_the_last_boundary(cycle: str, begin: str, end: str) -> None:
    assert parse_cycle(cycle).completed(_at("2026-11-22T10:30:00")) == Period(_at(begin), _at(end))


def test_a_period_that_ends_this_very_moment_is_not_over_yet() -> None:
    assert parse_cycle("hour").completed(_at("2026-11-22T10:00:00")).end == _at("2026-11-22T09:00:00")


def test_the_current_period_goes_from_the_last_boundary_to_now() -> None:
    now = _at("2026-11-22T10:30:00")
    assert parse_cycle("month").current(now) == Period(_at("2026-11-01T00:00:00"), now)


@pytest.mark.parametrize(
    "text", ["", "week", "month@", "month@29", "hour@60", "day@24", "year@13", "month@-1", "Month"]
)
def test_what_is_no_cycle_is_refused(text: str) -> None:
    with pytest.raises(SettingsUnusable, match="instance_usage_audit_period"):
        parse_cycle(text)


@given(_CYCLES, _MOMENTS)
def test_every_moment_is_in_the_period_that_begins_last_before_it(cycle: Cycle, moment: Instant) -> None:
    begin = cycle.holding(moment)
    following = cycle.following(begin, Instant(2**60))
    assert following is not None
    assert begin <= moment < following.end


@given(_CYCLES, _CYCLES, _MOMENTS)
def test_periods_follow_one_another_whatever_cycle_comes_next(first: Cycle, second: Cycle, moment: Instant) -> None:
    done = first.completed(moment)
    bridge = second.following(done.end, Instant(2**60))
    assert bridge is not None
    assert bridge.begin == done.end < bridge.end
    further = second.following(bridge.end, Instant(2**60))
    assert further is not None
    assert second.completed(Instant(further.end + 1)) == further


def test_a_period_that_goes_on_is_not_told() -> None:
    assert parse_cycle("day").following(_at("2026-11-22T00:00:00"), _at("2026-11-23T00:00:00")) is None


def test_a_digest_is_that_of_the_lines() -> None:
    assert digest([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest(["a", "b"]) != digest(["b", "a"])
