"""What drivers count of guests: on QEMU, real numbers that grow."""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.model import Instant
from kilonova.drivers.protocol import CanCountAll, CanDiagnose
from kilonova.services.sampling import Sampler
from tests.backends.driver.worlds import QemuWorld, World, guest_spec
from tests.waiting import wait_until


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


def test_all_guests_are_counted_together(world: World) -> None:
    running, off = world.spawn_ready(guest_spec()), world.spawn_ready(guest_spec())
    world.driver.power_off(off, timeout_seconds=0)
    sampler = Sampler(world.driver, lambda: Instant(0))

    def counted() -> Mapping[str, Diagnostics | None]:
        """Everybody, once: a guest that does not answer at once is left out."""
        sampler.step()
        found = sampler.waiting()[-1].guests
        return found if set(found) == {running, off} else {}

    found = wait_until(counted, "both to be counted")
    assert found[off] is None
    assert found[running] is not None


def test_counters_grow_with_what_the_guest_does(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    before = _driver(world).diagnose(guest)
    world.driver.reboot(guest, hard=False, timeout_seconds=20)
    world.await_boots(guest, 2)

    def has_run() -> bool:
        now = _driver(world).diagnose(guest)
        return now is not None and bool(now.disks[0].read_bytes) and (now.cpu_times[0] or 0) > 0

    assert before is not None
    wait_until(has_run, "processor time and reads of the second boot")


def test_a_guest_that_hangs_does_not_keep_the_others_from_being_counted(qemu: QemuWorld) -> None:
    hung, well = qemu.spawn_ready(guest_spec()), qemu.spawn_ready(guest_spec())
    qemu.signal(hung, signal.SIGSTOP)
    assert isinstance(qemu.driver, CanCountAll)
    driver = qemu.driver

    def has_counted() -> bool:
        found = driver.count_all()
        assert hung not in found
        return well in found  # if it answers at once

    wait_until(has_counted, "the other one to be counted")
