"""Nova's usage formula (contract §5.4), beside a second telling of it: the part of a life that lies in the window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.domain.model import Instant
from kilonova.domain.usage import ServerUsage, Window, usage_by_project

_MOMENTS = st.integers(0, 10**13).map(Instant)
_HOUR = 3_600_000_000


def _server(uuid: str, project_id: str, launched_at: int, terminated_at: int | None = None) -> ServerUsage:
    return ServerUsage(
        uuid=uuid,
        project_id=project_id,
        display_name=uuid,
        flavor_name="m1",
        vm_state="active",
        vcpus=2,
        memory_mb=512,
        root_gb=3,
        ephemeral_gb=4,
        launched_at=Instant(launched_at),
        terminated_at=None if terminated_at is None else Instant(terminated_at),
    )


@given(_MOMENTS, st.none() | _MOMENTS, _MOMENTS, _MOMENTS)
def test_hours_are_the_part_of_a_life_that_lies_in_the_window(
    launched_at: Instant, terminated_at: Instant | None, start: Instant, stop: Instant
) -> None:
    window = Window(start, stop)
    end = stop if terminated_at is None else terminated_at
    is_orderly = start <= stop and launched_at <= end
    hours = window.hours(launched_at, terminated_at)
    if is_orderly:
        assert hours >= 0
        assert hours == pytest.approx(max(0, min(end, stop) - max(launched_at, start)) / _HOUR)
    if not window.selects(launched_at, terminated_at) and is_orderly:
        assert hours == 0


@given(_MOMENTS, st.none() | _MOMENTS, st.lists(_MOMENTS, min_size=3, max_size=3, unique=True).map(sorted))
def test_hours_of_two_windows_that_meet_add_up(
    launched_at: Instant, terminated_at: Instant | None, edges: list[Instant]
) -> None:
    if terminated_at is not None and terminated_at < launched_at:
        return
    first, middle, last = edges
    parts = [Window(first, middle), Window(middle, last)]
    whole = Window(first, last).hours(launched_at, terminated_at)
    assert sum(part.hours(launched_at, terminated_at) for part in parts) == pytest.approx(whole)


def test_a_server_that_was_never_launched_is_not_selected() -> None:
    assert not Window(Instant(0), Instant(10)).selects(None, None)


def test_a_reversed_window_makes_negative_hours() -> None:
    window = Window(Instant(3 * _HOUR), Instant(_HOUR))
    assert window.selects(Instant(0), None)
    assert window.hours(Instant(0), None) == -2.0


def test_totals_are_hours_times_what_each_server_has() -> None:
    servers = [_server("a", "p1", 0), _server("b", "p1", _HOUR), _server("c", "p2", 0, _HOUR)]
    first, second = usage_by_project(servers, Window(Instant(0), Instant(2 * _HOUR)))
    assert (first.project_id, first.count, first.last_uuid, first.hours) == ("p1", 2, "b", 3.0)
    assert (first.vcpu_hours, first.memory_mb_hours, first.local_gb_hours) == (6.0, 1536.0, 21.0)
    assert (second.project_id, second.hours, second.servers) == ("p2", 1.0, (servers[2],))


def test_uptime_is_of_the_whole_life_in_whole_seconds() -> None:
    assert _server("a", "p", 0, 5_900_000).uptime_seconds(Instant(10**12)) == 5
    assert _server("a", "p", 0).uptime_seconds(Instant(7_999_999)) == 7
    assert _server("a", "p", 0, 5).state == "terminated"
