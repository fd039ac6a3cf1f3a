"""Guests that move while they are off: to another size, to another host and back, whenever they are cut off."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.disks.moving import virtual_size
from kilonova.drivers.instances.definition import DiskRole, find_definition
from kilonova.drivers.protocol import CanMove, GuestSpec
from kilonova.drivers.qemu import QemuDriver
from kilonova.images.guests import tiny
from tests.backends.driver.worlds import QemuWorld, World, guest_spec, image_of

GIB = 1 << 30


@pytest.fixture
def other(world: World, tmp_path: Path) -> Iterator[World]:
    """Another host of the same kind."""
    made = world.another(tmp_path / "other")
    yield made
    made.clean_up()


def mover(world: World) -> CanMove:
    assert isinstance(world.driver, CanMove)
    return cast("CanMove", world.driver)


def resized(spec: GuestSpec, **changes: object) -> GuestSpec:
    """The same guest of another flavor."""
    return replace(spec, memory_mb=24, **changes)  # type: ignore[arg-type]


# --- on one host -------------------------------------------------------------------------------------------


def test_a_guest_is_resized_on_its_host_and_goes_on_with_its_disk(world: World) -> None:
    spec = guest_spec()
    guest = world.spawn_ready(spec)
    mover(world).prepare_move(resized(spec))
    parcel = mover(world).migrate_out(guest, timeout_seconds=20)
    assert world.driver.power_state(guest) is PowerState.SHUTDOWN
    assert mover(world).migrate_out(guest, timeout_seconds=20) == parcel
    mover(world).take_in(resized(spec, root_gb=2), parcel, power_on=True)
    assert "power button, off" in world.await_boots(guest, 2)
    assert world.driver.list_guests() == {guest: PowerState.RUNNING}
    mover(world).confirm_move(guest)
    mover(world).confirm_move(guest)
    world.driver.reboot(guest, hard=True, timeout_seconds=0)
    world.await_boots(guest, 3)
    world.driver.destroy(guest)
    assert world.driver.list_guests() == {}


def test_a_resize_that_is_reverted_leaves_the_guest_as_it_was(world: World) -> None:
    spec = guest_spec()
    guest = world.spawn_ready(spec)
    parcel = mover(world).migrate_out(guest, timeout_seconds=20)
    mover(world).take_in(resized(spec, root_gb=2), parcel, power_on=True)
    world.await_boots(guest, 2)
    for _ in range(2):
        mover(world).drop_moved(guest)
    assert world.driver.power_state(guest) is PowerState.SHUTDOWN
    for _ in range(2):
        mover(world).revert_move(guest, power_on=True)
    console = world.await_boots(guest, 2)
    assert console.count("READY boots=2") == 1


def test_a_stopped_guest_stays_stopped_wherever_it_goes(world: World, other: World) -> None:
    spec = guest_spec()
    guest = world.spawn_ready(spec)
    world.driver.power_off(guest, timeout_seconds=20)
    parcel = mover(world).migrate_out(guest, timeout_seconds=20)
    mover(other).take_in(spec, parcel, power_on=False)
    assert other.driver.power_state(guest) is PowerState.SHUTDOWN
    mover(other).drop_moved(guest)
    mover(world).revert_move(guest, power_on=False)
    assert world.driver.power_state(guest) is PowerState.SHUTDOWN
    world.driver.power_on(guest)
    world.await_boots(guest, 2)


def test_a_disk_does_not_shrink_and_what_failed_leaves_nothing(world: World) -> None:
    spec = guest_spec(root_gb=2)
    guest = world.spawn_ready(spec)
    parcel = mover(world).migrate_out(guest, timeout_seconds=0)
    with pytest.raises(GuestFailure, match="cannot shrink from 2 to 1 GiB") as failure:
        mover(world).take_in(resized(spec, root_gb=1), parcel, power_on=True)
    assert failure.value.cause is FaultCause.NOT_SUPPORTED
    mover(world).drop_moved(guest)
    mover(world).revert_move(guest, power_on=True)
    world.await_boots(guest, 2)


# --- to another host ---------------------------------------------------------------------------------------


def test_a_guest_moves_to_another_host_and_its_old_one_forgets_it(world: World, other: World) -> None:
    spec = guest_spec()
    guest = world.spawn_ready(spec)
    parcel = mover(world).migrate_out(guest, timeout_seconds=20)
    for _ in range(2):
        mover(other).take_in(spec, parcel, power_on=True)
    other.await_boots(guest, 2)
    assert world.driver.list_guests() == {guest: PowerState.SHUTDOWN}
    mover(world).confirm_move(guest)
    assert world.driver.list_guests() == {}
    other.driver.reboot(guest, hard=True, timeout_seconds=0)
    other.await_boots(guest, 3)


def test_what_is_set_aside_is_found_by_a_later_driver(world: World, other: World) -> None:
    spec = guest_spec()
    guest = world.spawn_ready(spec)
    parcel = mover(world).migrate_out(guest, timeout_seconds=20)
    mover(other).take_in(spec, parcel, power_on=True)
    world.restart()
    other.restart()
    assert world.driver.list_guests() == {guest: PowerState.SHUTDOWN}
    assert mover(world).migrate_out(guest, timeout_seconds=20) == parcel
    mover(other).drop_moved(guest)
    assert other.driver.list_guests() == {}
    mover(world).revert_move(guest, power_on=True)
    world.await_boots(guest, 2)


def test_what_is_set_aside_goes_with_the_guest_that_is_destroyed(world: World) -> None:
    spec = guest_spec()
    guest = world.spawn_ready(spec)
    parcel = mover(world).migrate_out(guest, timeout_seconds=0)
    mover(world).take_in(spec, parcel, power_on=False)
    world.driver.destroy(guest)
    assert world.driver.list_guests() == {}


def test_a_guest_that_is_nowhere_cannot_move(world: World) -> None:
    verbs: list[Callable[[str], object]] = [
        lambda uuid: mover(world).migrate_out(uuid, timeout_seconds=0),
        lambda uuid: mover(world).revert_move(uuid, power_on=False),
    ]
    for verb in verbs:
        with pytest.raises(GuestFailure) as failure:
            verb("99999999-9999-4999-8999-999999999999")
        assert failure.value.cause is FaultCause.GUEST_MISSING


# --- what QEMU's disks become ------------------------------------------------------------------------------


def sizes(world: QemuWorld, guest: str) -> dict[DiskRole, int]:
    """Bytes of the guest's own disks."""
    definition = find_definition(world.instances / guest)
    assert definition is not None
    own = [disk for disk in definition.disks if disk.format == "qcow2"]
    return {disk.role: virtual_size(world.instances / guest / disk.file) for disk in own}


def test_disks_grow_to_the_new_flavor_and_what_was_not_there_is_made(qemu: QemuWorld) -> None:
    spec = guest_spec(root_gb=1, ephemeral_gb=1, config_drive=True)
    guest = qemu.spawn_ready(spec)
    parcel = mover(qemu).migrate_out(guest, timeout_seconds=20)
    before = (Path(parcel["directory"]) / "config.iso").read_bytes()
    mover(qemu).take_in(resized(spec, root_gb=3, ephemeral_gb=2, swap_mb=64), parcel, power_on=True)
    qemu.await_boots(guest, 2)
    grown = {DiskRole.ROOT: 3 * GIB, DiskRole.EPHEMERAL: 2 * GIB, DiskRole.SWAP: 64 << 20}
    assert sizes(qemu, guest) == grown
    assert (qemu.instances / guest / "config.iso").read_bytes() == before


def test_an_ephemeral_disk_is_not_lost_to_a_flavor_without_one(qemu: QemuWorld) -> None:
    spec = guest_spec(ephemeral_gb=1)
    guest = qemu.spawn_ready(spec)
    parcel = mover(qemu).migrate_out(guest, timeout_seconds=20)
    with pytest.raises(GuestFailure, match="the ephemeral disk cannot shrink from 1 to 0 GiB"):
        mover(qemu).take_in(resized(spec, ephemeral_gb=0), parcel, power_on=True)


def test_a_host_takes_over_the_image_under_the_disk_also_where_the_store_has_it_no_more(
    qemu: QemuWorld, tmp_path: Path
) -> None:
    def gone(_: Path) -> None:
        raise FileNotFoundError("the image was deleted")

    spec = guest_spec()
    guest = qemu.spawn_ready(spec)
    there = QemuWorld(tmp_path / "other")
    try:
        parcel = mover(qemu).migrate_out(guest, timeout_seconds=20)
        moved = replace(spec, image=image_of(tiny.qcow2_image(), fetch=gone))
        mover(there).take_in(moved, parcel, power_on=True)
        mover(qemu).confirm_move(guest)
        for cached in (qemu.state_dir / "images").iterdir():
            cached.unlink()
        there.await_boots(guest, 2)
        there.driver.reboot(guest, hard=True, timeout_seconds=0)
        there.await_boots(guest, 3)
    finally:
        there.clean_up()


def test_an_image_that_only_what_is_set_aside_stands_on_is_not_forgotten(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec())
    mover(qemu).migrate_out(guest, timeout_seconds=0)
    (image,) = (qemu.state_dir / "images").iterdir()
    os.utime(image, (0, 0))
    driver = qemu.driver
    assert isinstance(driver, QemuDriver)
    driver.forget_images()
    assert image.exists()
    driver.confirm_move(guest)
    driver.forget_images()
    assert not image.exists()


def test_a_guest_of_another_name_or_nowhere_is_not_taken_in(qemu: QemuWorld) -> None:
    first, second = guest_spec(), guest_spec()
    guest = qemu.spawn_ready(first)
    parcel = mover(qemu).migrate_out(guest, timeout_seconds=0)
    for place in (parcel["directory"], "/nowhere", "/etc"):
        with pytest.raises(GuestFailure, match="cannot be reached") as failure:
            mover(qemu).take_in(second, {"directory": place}, power_on=True)
        assert failure.value.cause is FaultCause.GUEST_MISSING
    assert second.uuid not in qemu.driver.list_guests()
