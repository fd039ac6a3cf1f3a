"""An agent counts its guests, and keeps that until a heartbeat was heard."""

from collections.abc import Iterator

import pytest

from kilonova.domain.errors import HypervisorUnavailable
from kilonova.domain.model import Instant
from kilonova.drivers.protocol import GuestSpec
from kilonova.drivers.simulated import Instant as NoTime
from kilonova.drivers.simulated import SimulatedDriver
from kilonova.services.sampling import Sampler, groups

UUID = "11111111-2222-4333-8444-555555555555"
SPEC = GuestSpec(
    uuid=UUID,
    name="instance-00000001",
    display_name="web1",
    project_id="p",
    user_id="u",
    vcpus=1,
    memory_mb=128,
    root_gb=1,
    image=None,
)


class OneByOne(SimulatedDriver):
    """A driver that cannot count all of its guests together."""

    count_all = None  # type: ignore[assignment]


@pytest.fixture(params=[SimulatedDriver, OneByOne])
def driver(request: pytest.FixtureRequest) -> Iterator[SimulatedDriver]:
    """Both kinds."""
    made: SimulatedDriver = request.param(pace=NoTime())
    made.start(lambda _: None)
    yield made
    made.close()


def test_what_was_counted_waits_until_it_was_taken(driver: SimulatedDriver) -> None:
    driver.spawn(SPEC)
    sampler = Sampler(driver, lambda: Instant(5))
    assert sampler.is_able
    assert sampler.step() is False
    first = sampler.waiting()
    assert [(sample.at, list(sample.guests)) for sample in first] == [(5, [UUID])]
    sampler.step()
    sampler.taken(first)
    assert len(sampler.waiting()) == 1


def test_a_guest_that_is_off_is_told_of_as_such(driver: SimulatedDriver) -> None:
    driver.spawn(SPEC)
    driver.power_off(UUID, timeout_seconds=0)
    sampler = Sampler(driver, lambda: Instant(5))
    sampler.step()
    assert sampler.waiting()[0].guests == {UUID: None}


def test_a_host_without_guests_tells_so_once(driver: SimulatedDriver) -> None:
    sampler = Sampler(driver, lambda: Instant(5))
    sampler.step()
    assert sampler.waiting() == ()
    driver.spawn(SPEC)
    sampler.step()
    driver.destroy(UUID)
    sampler.step()
    sampler.step()
    assert [len(sample.guests) for sample in sampler.waiting()] == [1, 0]


def test_what_waits_too_long_is_forgotten_the_oldest_first(driver: SimulatedDriver) -> None:
    driver.spawn(SPEC)
    times = iter(range(100))
    sampler = Sampler(driver, lambda: Instant(next(times)))
    for _ in range(20):
        sampler.step()
    assert [sample.at for sample in sampler.waiting()] == [14, 15, 16, 17, 18, 19]


def test_many_hosts_are_counted_in_few_groups_and_none_is_left_out() -> None:
    seen: list[int] = []

    class Numbered(Sampler):
        def __init__(self, number: int) -> None:
            super().__init__(SimulatedDriver(), lambda: Instant(0))
            self.number = number

        def step(self) -> bool:
            seen.append(self.number)
            if self.number == 3:
                raise HypervisorUnavailable("it hangs")
            return False

    steps = groups([Numbered(number) for number in range(100)])
    assert len(steps) == 16
    failed = 0
    for step in steps:
        try:
            assert step() is False
        except HypervisorUnavailable:
            failed += 1
    assert sorted(seen) == list(range(100))
    assert failed == 1
    assert len(groups([Numbered(1), Numbered(2)])) == 2
    assert groups([]) == []
