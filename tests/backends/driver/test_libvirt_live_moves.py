"""How libvirt moves guests that run, from one emulated host to another: disks, calling off, failing."""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, cast

import pytest

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.libvirt.driver import LibvirtDriver
from kilonova.drivers.protocol import CanLiveMigrate, GuestSpec
from kilonova.images.guests import tiny
from tests.backends.driver.libvirt_hosts import EmulatedHost
from tests.backends.driver.libvirt_world import Hosts, LibvirtWorld
from tests.backends.driver.worlds import guest_spec, image_of
from tests.ports import free_port
from tests.waiting import wait_until


@pytest.fixture
def other(libvirt: LibvirtWorld, tmp_path: Path) -> Iterator[LibvirtWorld]:
    """Another host."""
    made = libvirt.another(tmp_path / "other")
    yield made
    made.clean_up()


@pytest.fixture
def far_host() -> Iterator[EmulatedHost]:
    """A host whose daemon is reached by TCP."""
    made = EmulatedHost("far", port=free_port())
    made.start()
    yield made
    made.end()
    made.remove()


def driver_of(world: LibvirtWorld) -> LibvirtDriver:
    assert isinstance(world.driver, CanLiveMigrate)
    return cast("LibvirtDriver", world.driver)


def prepared(world: LibvirtWorld, other: LibvirtWorld, spec: GuestSpec) -> Mapping[str, Any]:
    driver_of(other).check_live_destination(spec)
    driver_of(world).check_live_source(spec.uuid)
    return driver_of(other).prepare_live(spec)


def heavy_image() -> bytes:
    """The tiny guest with a disk that takes a while to be sent."""
    return tiny.image() + os.urandom(20 << 20)


@pytest.fixture
def slow(libvirt: LibvirtWorld, emulated_hosts: Hosts, tmp_path: Path) -> Iterator[LibvirtWorld]:
    """The first host, from which guests go at 2 MiB a second."""
    assert not libvirt.driver.list_guests()
    made = LibvirtWorld(tmp_path / "slow", emulated_hosts, live_migration_bandwidth=2)
    yield made
    made.clean_up()


def moved_meanwhile(
    here: LibvirtWorld, there: LibvirtWorld, spec: GuestSpec, meddle: Callable[[], None]
) -> Mapping[str, Any] | GuestFailure:
    """What comes of a move when somebody meddles with it while it is under way."""
    blank = image_of(bytes(len(heavy_image())), "raw", image_id="44444444-2222-4333-8444-555555555555")
    target = prepared(here, there, replace(spec, image=blank))  # so that all of its disk is sent
    under_way = Event()
    with ThreadPoolExecutor() as pool:
        moving = pool.submit(driver_of(here).live_migrate, spec.uuid, target, lambda _: under_way.set())
        wait_until(lambda: under_way.is_set() or moving.done(), "the move to be under way")
        meddle()
        failure = moving.exception(timeout=100)
    if isinstance(failure, GuestFailure):
        return failure
    return moving.result()


def test_a_guest_moves_there_and_back(libvirt: LibvirtWorld, other: LibvirtWorld) -> None:
    spec = guest_spec(config_drive=True)
    guest = libvirt.spawn_ready(spec)
    for here, there in ((libvirt, other), (other, libvirt)):
        parcel = driver_of(here).live_migrate(guest, prepared(here, there, spec), print)
        driver_of(there).arrive(spec, parcel)
        driver_of(here).confirm_move(guest)
    assert libvirt.driver.list_guests() == {guest: PowerState.RUNNING}
    assert other.driver.list_guests() == {}
    libvirt.driver.power_off(guest, timeout_seconds=20)
    libvirt.driver.power_on(guest)
    libvirt.await_boots(guest, 2)


def test_a_guest_moves_to_a_machine_that_is_reached_by_tcp_only(
    libvirt: LibvirtWorld, far_host: EmulatedHost, tmp_path: Path
) -> None:
    far = LibvirtWorld(tmp_path / "far", lambda _: far_host, live_migration_uri=f"qemu+tcp://%s:{far_host.port}/system")
    try:
        spec = guest_spec()
        guest = libvirt.spawn_ready(spec)
        target = {**prepared(libvirt, far, spec), "machine": "another run of another machine"}
        parcel = driver_of(libvirt).live_migrate(guest, target, print)
        driver_of(far).arrive(spec, {**parcel, "directory": str(tmp_path / "of another machine")})
        driver_of(libvirt).confirm_move(guest)
        assert far.driver.list_guests() == {guest: PowerState.RUNNING}
        assert libvirt.driver.list_guests() == {}
        far.driver.power_off(guest, timeout_seconds=20)
        far.driver.power_on(guest)
        far.await_boots(guest, 2)
    finally:
        far.clean_up()


def test_a_disk_that_stands_on_another_image_is_sent_whole(libvirt: LibvirtWorld, other: LibvirtWorld) -> None:
    spec = guest_spec()
    guest = libvirt.spawn_ready(spec)
    blank = image_of(bytes(len(tiny.image())), "raw", image_id="44444444-2222-4333-8444-555555555555")
    target = prepared(libvirt, other, replace(spec, image=blank))
    driver_of(other).arrive(spec, driver_of(libvirt).live_migrate(guest, target, print))
    driver_of(libvirt).confirm_move(guest)
    other.driver.reboot(guest, hard=True, timeout_seconds=0)
    other.await_boots(guest, 2)


def test_a_move_that_is_called_off_leaves_the_guest_running(slow: LibvirtWorld, other: LibvirtWorld) -> None:
    spec = guest_spec(image=image_of(heavy_image(), "raw"))
    guest = slow.spawn_ready(spec)
    outcome = moved_meanwhile(slow, other, spec, lambda: driver_of(slow).abort_live(guest))
    assert isinstance(outcome, GuestFailure)
    assert outcome.cause is FaultCause.ABORTED
    driver_of(slow).stay(guest)
    driver_of(other).cancel_live(guest)
    assert slow.driver.list_guests() == {guest: PowerState.RUNNING}
    assert other.driver.list_guests() == {}
    assert "boots=2" not in slow.driver.console_log(guest, lines=None)


def test_a_guest_that_is_hurried_stands_still_until_it_goes_on_there(slow: LibvirtWorld, other: LibvirtWorld) -> None:
    spec = guest_spec(image=image_of(heavy_image(), "raw"))
    guest = slow.spawn_ready(spec)

    def hurry() -> None:
        driver_of(slow).force_complete_live(guest)
        assert slow.driver.power_state(guest) is PowerState.PAUSED

    outcome = moved_meanwhile(slow, other, spec, hurry)
    assert isinstance(outcome, Mapping), outcome
    driver_of(other).arrive(spec, outcome)
    driver_of(slow).confirm_move(guest)
    assert other.driver.list_guests() == {guest: PowerState.RUNNING}
    other.driver.power_off(guest, timeout_seconds=20)
    assert "power button, off" in other.driver.console_log(guest, lines=None), "it hears, so it runs"


def test_a_move_that_fails_leaves_the_guest_running_and_may_be_tried_again(
    libvirt: LibvirtWorld, other: LibvirtWorld
) -> None:
    spec = guest_spec()
    guest = libvirt.spawn_ready(spec)
    target = prepared(libvirt, other, spec)
    Path(target["files"]["root"]).write_bytes(b"no disk")
    with pytest.raises(GuestFailure):
        driver_of(libvirt).live_migrate(guest, target, print)
    driver_of(libvirt).stay(guest)
    driver_of(other).cancel_live(guest)
    assert libvirt.driver.list_guests() == {guest: PowerState.RUNNING}
    driver_of(other).arrive(spec, driver_of(libvirt).live_migrate(guest, prepared(libvirt, other, spec), print))
    driver_of(other).cancel_live(guest)
    assert other.driver.list_guests() == {guest: PowerState.RUNNING}
    driver_of(libvirt).confirm_move(guest)
