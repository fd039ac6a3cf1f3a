"""Images made of guests, by the drivers that make them; the qemu driver's are booted."""

from pathlib import Path

import pytest

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.images.guests import tiny
from tests.backends.driver.worlds import QemuWorld, World, guest_spec, image_of

ABSENT = "99999999-9999-4999-8999-999999999999"


def _image(world: World, guest: str, to: Path) -> tuple[bytes, str]:
    disk_format = world.driver.snapshot(guest, to)
    return to.read_bytes(), disk_format


def test_a_guest_goes_on_while_an_image_is_made_of_it(world: World, tmp_path: Path) -> None:
    guest = world.spawn_ready(guest_spec())
    data, disk_format = _image(world, guest, tmp_path / "image")
    assert data
    assert disk_format in ("raw", "qcow2")
    assert world.driver.power_state(guest) is PowerState.RUNNING
    world.driver.power_off(guest, timeout_seconds=20)
    assert "power button, off" in world.driver.console_log(guest, lines=None)
    assert world.events == []


@pytest.mark.parametrize("verb", ["pause", "suspend", "power_off"])
def test_an_image_is_made_of_a_guest_that_does_not_run_and_leaves_it_so(
    world: World, verb: str, tmp_path: Path
) -> None:
    guest = world.spawn_ready(guest_spec())
    if verb == "power_off":
        world.driver.power_off(guest, timeout_seconds=0)
    else:
        getattr(world.driver, verb)(guest)
    before = world.driver.power_state(guest)
    assert _image(world, guest, tmp_path / "image")[0]
    assert world.driver.power_state(guest) is before


def test_an_image_takes_the_place_of_what_was_there(world: World, tmp_path: Path) -> None:
    guest = world.spawn_ready(guest_spec())
    (tmp_path / "image").write_bytes(b"half of another")
    data, _ = _image(world, guest, tmp_path / "image")
    assert not data.startswith(b"half of another")
    assert _image(world, guest, tmp_path / "image")[0]


def test_no_image_is_made_of_a_guest_that_is_not_there(world: World, tmp_path: Path) -> None:
    with pytest.raises(GuestFailure) as failure:
        world.driver.snapshot(ABSENT, tmp_path / "image")
    assert failure.value.cause is FaultCause.GUEST_MISSING


def test_no_image_is_made_of_a_guest_without_a_disk(qemu: QemuWorld, tmp_path: Path) -> None:
    guest = guest_spec(image=None)
    qemu.driver.spawn(guest)
    with pytest.raises(GuestFailure, match="no disk"):
        qemu.driver.snapshot(guest.uuid, tmp_path / "image")


@pytest.mark.parametrize("is_off", [False, True])
def test_an_image_boots_with_what_the_guest_had_written(qemu: QemuWorld, is_off: bool, tmp_path: Path) -> None:
    guest = qemu.spawn_ready(guest_spec())
    qemu.driver.reboot(guest, hard=True, timeout_seconds=0)
    qemu.await_boots(guest, 2)
    if is_off:
        qemu.driver.power_off(guest, timeout_seconds=0)
    data, disk_format = _image(qemu, guest, tmp_path / "image")
    copy = guest_spec(image=image_of(data, disk_format, image_id="33333333-2222-4333-8444-555555555555"))
    qemu.driver.spawn(copy)
    qemu.await_boots(copy.uuid, 3)


def test_an_image_has_the_whole_disk_and_not_only_what_differs(qemu: QemuWorld, tmp_path: Path) -> None:
    guest = qemu.spawn_ready(guest_spec(root_gb=1, image=image_of(tiny.image(), "raw")))
    data, disk_format = _image(qemu, guest, tmp_path / "image")
    assert disk_format == "qcow2"
    assert int.from_bytes(data[24:32], "big") == 1 << 30
    assert int.from_bytes(data[8:16], "big") == 0, "it names no backing file"
    assert len(data) < 8 << 20, "what was never written takes no room"


def test_an_image_that_has_no_room_leaves_the_guest_running_and_can_be_tried_again(
    qemu: QemuWorld, tmp_path: Path
) -> None:
    guest = qemu.spawn_ready(guest_spec())
    with pytest.raises(GuestFailure):
        qemu.driver.snapshot(guest, Path("/dev/full/no-such-directory"))
    assert qemu.driver.power_state(guest) is PowerState.RUNNING
    assert _image(qemu, guest, tmp_path / "image")[0]


def test_a_copy_that_was_cut_off_is_begun_anew(qemu: QemuWorld, tmp_path: Path) -> None:
    guest = qemu.spawn_ready(guest_spec(root_gb=1))
    qemu.leave_copy_behind(guest, tmp_path / "cut-off")
    qemu.restart()
    assert _image(qemu, guest, tmp_path / "image")[0]
    assert qemu.driver.power_state(guest) is PowerState.RUNNING


# --- interrupts --------------------------------------------------------------------------------------------


def test_a_guest_is_struck_by_an_interrupt_and_not_switched_off(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.inject_nmi(guest)
    assert world.driver.power_state(guest) is PowerState.RUNNING


def test_a_guest_that_is_off_is_not_struck(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.power_off(guest, timeout_seconds=0)
    with pytest.raises(GuestFailure, match="not running"):
        world.driver.inject_nmi(guest)
