"""How libvirt moves guests that run, from one emulated host to another: disks, calling off, failing."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any, cast

import pytest

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.libvirt.driver import LibvirtDriver
from kilonova.drivers.protocol import CanLiveMigrate, GuestSpec
from kilonova.images.guests import tiny
from tests.backends.driver.libvirt_world import Hosts, LibvirtWorld
from tests.backends.driver.worlds import guest_spec, image_of
from tests.waiting import wait_until


@pytest.fixture
def other(libvirt: LibvirtWorld, tmp_path: Path) -> Iterator[LibvirtWorld]:
    """Another host."""
    made = libvirt.another(tmp_path / "other")
    yield made
    made.clean_up()


def driver_of(world: LibvirtWorld) -> LibvirtDriver:
    assert isinstance(world.driver, CanLiveMigrate)
    return cast("LibvirtDriver", world.driver)


def prepared(world: LibvirtWorld, other: LibvirtWorld, spec: GuestSpec) -> Mapping[str, Any]:
    driver_of(other).check_live_destination(spec)
    driver_of(world).check_live_source(spec.uuid)
    return driver_of(other).prepare_live(spec)


def heavy_image() -> bytes:
    """The tiny guest with a disk that takes a while to be sent."""
    return tiny.image() + os.urandom(24 << 20)


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


def test_a_disk_that_stands_on_another_image_is_sent_whole(libvirt: LibvirtWorld, other: LibvirtWorld) -> None:
    spec = guest_spec()
    guest = libvirt.spawn_ready(spec)
    blank = image_of(bytes(len(tiny.image())), "raw", image_id="44444444-2222-4333-8444-555555555555")
    target = prepared(libvirt, other, replace(spec, image=blank))
    driver_of(other).arrive(spec, driver_of(libvirt).live_migrate(guest, target, print))
    driver_of(libvirt).confirm_move(guest)
    other.driver.reboot(guest, hard=True, timeout_seconds=0)
    other.await_boots(guest, 2)


def test_a_move_that_is_called_off_leaves_the_guest_running(
    emulated_hosts: Hosts, other: LibvirtWorld, tmp_path: Path
) -> None:
    slow = LibvirtWorld(tmp_path / "slow", emulated_hosts, live_migration_bandwidth=1)
    try:
        spec = guest_spec(image=image_of(heavy_image(), "raw"))
        guest = slow.spawn_ready(spec)
        blank = image_of(bytes(len(heavy_image())), "raw", image_id="44444444-2222-4333-8444-555555555555")
        target = prepared(slow, other, replace(spec, image=blank))
        under_way, failures = Event(), list[GuestFailure]()

        def move() -> None:
            try:
                driver_of(slow).live_migrate(guest, target, lambda _: under_way.set())
            except GuestFailure as failure:
                failures.append(failure)

        moving = Thread(target=move)
        moving.start()
        wait_until(under_way.is_set, "the move to be under way")
        driver_of(slow).abort_live(guest)
        moving.join(60)
        assert [failure.cause for failure in failures] == [FaultCause.ABORTED], failures
        driver_of(slow).stay(guest)
        driver_of(other).cancel_live(guest)
        assert slow.driver.list_guests() == {guest: PowerState.RUNNING}
        assert other.driver.list_guests() == {}
        assert "boots=2" not in slow.driver.console_log(guest, lines=None)
    finally:
        slow.clean_up()


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
