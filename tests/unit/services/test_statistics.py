"""The ring of counts in memory: what is kept, for how long, and for whom there is room."""

from collections.abc import Mapping
from typing import Any

from kilonova.domain.diagnostics import Diagnostics, DiskCounters, NicCounters
from kilonova.domain.model import SECOND, Instant
from kilonova.domain.statistics import Point, point_of, rates_between
from kilonova.services.door import HostReport, Sample
from kilonova.services.settings import StatisticsSettings
from kilonova.services.statistics import Statistics

START = Instant(1_795_000_000_000_000)


def counted(seconds: float = 10, **changes: Any) -> Diagnostics:
    """Two processors, one of them half busy; a page a second read and two written; ten packets a second received."""
    nic = {"rx_errors": 0, "rx_drop": 0, "tx_octets": 0, "tx_packets": 0, "tx_errors": 0, "tx_drop": 0}
    facts: dict[str, Any] = {
        "hypervisor": "qemu",
        "cpu_times": (int(seconds * 5e8), 0),
        "disks": (
            DiskCounters(device="vda", read_bytes=int(seconds * 4096), read_requests=int(seconds)),
            DiskCounters(device="vdb", read_bytes=0, read_requests=0, write_bytes=int(seconds * 8192)),
        ),
        "nics": (
            NicCounters(
                mac="fa:16:3e:00:00:01",
                device="vnet0",
                rx_octets=int(seconds * 1000),
                rx_packets=int(seconds * 10),
                **nic,
            ),
        ),
        "memory_maximum_mb": 64,
        "memory_used_mb": 32,
    }
    return Diagnostics(**(facts | changes))


class Clock:
    """The control plane's."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> Instant:
        return self.at

    def move(self, seconds: float) -> None:
        self.at = Instant(int(self.at + seconds * SECOND))


def ring(clock: Clock, **settings: int) -> Statistics:
    return Statistics(clock, settings=StatisticsSettings(**settings))


def tell(
    statistics: Statistics, guests: Mapping[str, Diagnostics | None], *, host: str = "h1", sent: int = 0, ago: int = 0
) -> None:
    """A heartbeat with one sample, by a clock of the agent's own."""
    sample = Sample(at=Instant(sent - ago * SECOND), guests=guests)
    statistics.take(
        HostReport(host=host, agent_id="a", run_id="r", sent_at=Instant(sent), nodes=(), working=(), samples=(sample,))
    )


def test_counters_are_summed_over_devices_and_what_nobody_counts_is_none() -> None:
    point = point_of(counted(), START)
    assert (point.vcpus, point.cpu_ns, point.memory_used_mb) == (2, 5_000_000_000, 32)
    assert (point.disk_read_bytes, point.disk_write_bytes, point.disk_write_requests) == (40960, 81920, None)
    assert (point.rx_bytes, point.tx_packets) == (10_000, 0)
    nothing = point_of(counted(cpu_times=(None,), nics=(), memory_used_mb=None), START)
    assert (nothing.cpu_ns, nothing.rx_bytes, nothing.memory_used_mb) == (None, None, None)


def test_a_number_that_no_counter_can_have_is_kept_as_the_nearest_that_it_can() -> None:
    clock = Clock()
    statistics = ring(clock)
    tell(statistics, {"a": counted(cpu_times=(10**30,), memory_used_mb=-5)})
    found = statistics.find("h1", "a")
    assert found is not None
    assert (found.points[0].cpu_ns, found.points[0].memory_used_mb) == (2**63 - 1, 0)


def test_rates_are_growth_over_time() -> None:
    earlier, later = point_of(counted(10), START), point_of(counted(20), Instant(START + 10 * SECOND))
    rates = rates_between(earlier, later)
    assert rates is not None
    assert (rates.seconds, rates.cpu_percent) == (10, 25)
    assert (rates.disk_read_bytes, rates.disk_write_bytes, rates.rx_packets) == (4096, 8192, 10)
    assert rates.disk_write_requests is None


def test_there_are_no_rates_over_a_new_start_or_over_no_time() -> None:
    point = Point(at=START, vcpus=1, cpu_ns=10)
    assert rates_between(point, point) is None
    assert rates_between(point, Point(at=Instant(START + SECOND), vcpus=1, cpu_ns=9)) is None
    assert rates_between(point, Point(at=Instant(START + SECOND), vcpus=0, cpu_ns=10)) is not None


def test_the_agents_clock_counts_for_nothing_but_how_long_ago_it_was() -> None:
    clock = Clock()
    statistics = ring(clock)
    tell(statistics, {"a": counted()}, sent=99 * SECOND, ago=4)
    found = statistics.find("h1", "a")
    assert found is not None
    assert found.counted_at == START - 4 * SECOND
    clock.move(3)
    assert found.age_seconds(clock()) == 7


def test_only_so_many_points_are_kept_of_a_guest() -> None:
    clock = Clock()
    statistics = ring(clock, points=3)
    for second in range(10):
        tell(statistics, {"a": counted(second)})
        clock.move(10)
    found = statistics.find("h1", "a")
    assert found is not None
    assert [point.cpu_ns for point in found.points] == [7 * 5 * 10**8, 8 * 5 * 10**8, 9 * 5 * 10**8]


def test_a_guest_that_stopped_keeps_its_last_count() -> None:
    statistics = ring(Clock())
    tell(statistics, {"a": counted(), "b": None})
    tell(statistics, {"a": None, "b": None})
    stopped, never = statistics.find("h1", "a"), statistics.find("h1", "b")
    assert stopped is not None
    assert never is not None
    assert (stopped.is_running, stopped.counted) == (False, counted())
    assert (never.is_running, never.counted, never.points) == (False, None, ())


def test_what_one_host_tells_of_a_guest_is_not_taken_for_anothers() -> None:
    statistics = ring(Clock())
    tell(statistics, {"a": counted(1)})
    tell(statistics, {"a": counted(9)}, host="h2")
    found = statistics.find("h1", "a")
    assert found is not None
    assert found.counted == counted(1)


def test_with_no_room_left_a_newcomer_waits_until_somebody_was_not_heard_of_for_long() -> None:
    clock = Clock()
    statistics = ring(clock, servers=2, interval=10)
    tell(statistics, {"a": counted(), "b": counted()})
    tell(statistics, {"b": counted(), "c": counted()})
    assert statistics.find("h1", "c") is None
    assert statistics.left_out == 1
    clock.move(31)
    tell(statistics, {"b": counted(), "c": counted()})
    assert statistics.find("h1", "a") is None
    assert statistics.find("h1", "c") is not None
    assert (statistics.size, statistics.left_out) == (2, 0)


def test_the_newest_are_those_that_run_and_were_told_of_lately() -> None:
    clock = Clock()
    statistics = ring(clock, interval=10)
    tell(statistics, {"b": counted(), "a": counted(), "c": counted(), "off": None})
    assert [uuid for _, uuid, _ in statistics.newest(2)] == ["a", "b"]
    clock.move(31)
    tell(statistics, {"c": counted()})
    assert [uuid for _, uuid, _ in statistics.newest(9)] == ["c"]
