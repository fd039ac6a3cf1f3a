"""What drivers count of guests: on QEMU, real numbers that grow."""

from pathlib import Path
from typing import cast

import pytest

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers.protocol import CanDiagnose
from tests.backends.driver.worlds import World, guest_spec


def _driver(world: World) -> CanDiagnose:
    assert isinstance(world.driver, CanDiagnose)
    return cast("CanDiagnose", world.driver)


def test_a_running_guest_has_counters(world: World, tmp_path: Path) -> None:
    spec = guest_spec()
    found = _driver(world).diagnose(world.spawn_ready(spec))
    assert found is not None
    assert len(found.cpu_times) == spec.vcpus
    assert all(time is not None and time >= 0 for time in found.cpu_times)
    assert found.memory_maximum_mb == spec.memory_mb
    assert found.memory_used_mb is not None
    root = found.disks[0]
    assert root.device == "vda"
    assert root.read_bytes is not None
    assert root.read_requests is not None
    assert root.read_bytes >= root.read_requests > 0


def test_a_guest_that_is_off_has_none(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.power_off(guest, timeout_seconds=0)
    assert _driver(world).diagnose(guest) is None


def test_a_guest_that_is_not_there_is_missing(world: World) -> None:
    with pytest.raises(GuestFailure) as failure:
        _driver(world).diagnose("99999999-9999-4999-8999-999999999999")
    assert failure.value.cause is FaultCause.GUEST_MISSING
