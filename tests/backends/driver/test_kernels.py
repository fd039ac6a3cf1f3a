"""Guests that boot with a kernel of their image's, which their hypervisor starts by itself."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.protocol import CanLiveMigrate, CanMove, GuestSpec, ImageSource, KernelSource
from kilonova.images.guests import tiny, tiny_kernel
from tests.backends.driver.libvirt_world import LibvirtWorld
from tests.backends.driver.worlds import QemuWorld, World, guest_spec, image_of

USUAL = f"{tiny_kernel.TOLD}root=/dev/vda console=tty0 console=ttyS0"
KERNEL = image_of(tiny_kernel.image(), "aki", image_id="66666666-2222-4333-8444-555555555555")
RAMDISK = image_of(b"hello\n", "ari", image_id="77777777-2222-4333-8444-555555555555")


@pytest.fixture(params=["qemu", "libvirt"])
def machines(request: pytest.FixtureRequest) -> QemuWorld | LibvirtWorld:
    """Each driver of real machines in turn."""
    made: QemuWorld | LibvirtWorld = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def other(world: World) -> Iterator[World]:
    """Another host of the same machine."""
    made = world.another(world.state_dir.parent / "other")
    yield made
    made.clean_up()


def booting(
    kernel: ImageSource = KERNEL,
    ramdisk: ImageSource | None = RAMDISK,
    *,
    told: str = "",
    image_id: str = "88888888-2222-4333-8444-555555555555",
) -> ImageSource:
    """A disk of the tiny guest's, in the format of Amazon's machines, that goes with a kernel."""
    boot = KernelSource(kernel=kernel, ramdisk=ramdisk, command_line=told)
    made = image_of(tiny.image(), "ami", image_id=image_id)
    return ImageSource(
        image_id=made.image_id,
        disk_format=made.disk_format,
        size_bytes=made.size_bytes,
        sha512=made.sha512,
        fetch=made.fetch,
        boot=boot,
    )


def spec_of(**changes: Any) -> GuestSpec:
    return guest_spec(image=booting(), **changes)


def times_told(world: World, guest: str) -> int:
    """How many times a kernel of ours was started with what all kernels are told."""
    return world.driver.console_log(guest, lines=None).count(USUAL)


def is_simulated(world: World) -> bool:
    """Whether no machine runs, so that nothing is to be seen of a kernel."""
    return not isinstance(world, QemuWorld | LibvirtWorld)


# --- what every driver does ---------------------------------------------------------------------------------


def test_a_guest_boots_with_the_kernel_of_its_image_each_time(world: World) -> None:
    guest = world.spawn_ready(spec_of())
    world.driver.power_off(guest, timeout_seconds=20)
    world.driver.power_on(guest)
    world.await_boots(guest, 2)
    world.restart()
    world.driver.reboot(guest, hard=True, timeout_seconds=0)
    console = world.await_boots(guest, 3)
    if not is_simulated(world):
        assert times_told(world, guest) == 3
        assert console.count(f"{tiny_kernel.RAMDISK_SAYS}hello\n") == 3


def test_a_suspended_guest_with_a_kernel_goes_on_where_it_was(world: World) -> None:
    guest = world.spawn_ready(spec_of())
    world.driver.suspend(guest)
    world.restart()
    world.driver.resume(guest)
    assert world.driver.power_state(guest) is PowerState.RUNNING
    world.driver.power_off(guest, timeout_seconds=20)
    assert "power button, off" in world.driver.console_log(guest, lines=None)
    if not is_simulated(world):
        assert times_told(world, guest) == 1


def test_a_kernel_goes_to_another_host_with_its_guest(world: World, other: World) -> None:
    spec = spec_of()
    guest = world.spawn_ready(spec)
    mover, taker = cast("CanMove", world.driver), cast("CanMove", other.driver)
    taker.take_in(spec, mover.migrate_out(guest, timeout_seconds=20), power_on=True)
    other.await_boots(guest, 2)
    mover.confirm_move(guest)
    other.driver.reboot(guest, hard=True, timeout_seconds=0)
    other.await_boots(guest, 3)
    if not is_simulated(world):
        assert times_told(other, guest) == 3


def test_a_guest_with_a_kernel_moves_while_it_runs(world: World, other: World) -> None:
    spec = spec_of()
    guest = world.spawn_ready(spec)
    sender, taker = cast("CanLiveMigrate", world.driver), cast("CanLiveMigrate", other.driver)
    taker.arrive(spec, sender.live_migrate(guest, taker.prepare_live(spec), lambda _: None))
    cast("CanMove", world.driver).confirm_move(guest)
    assert other.driver.console_log(guest, lines=None).count("READY boots=") == 1
    other.driver.power_off(guest, timeout_seconds=20)
    other.driver.power_on(guest)
    other.await_boots(guest, 2)
    if not is_simulated(world):
        assert times_told(other, guest) == 2


def test_a_rescued_guest_boots_as_the_rescue_image_says_and_then_as_its_own(world: World) -> None:
    guest = world.spawn_ready(spec_of())
    rescue = booting(ramdisk=None, told="rescue", image_id="99999999-2222-4333-8444-555555555555")
    other_rescue = image_of(tiny.image(), "raw", image_id="22222222-2222-4333-8444-555555555555")
    for times, image in ((2, rescue), (3, other_rescue)):
        world.driver.rescue(guest, image, timeout_seconds=20)
        world.await_boot_count(guest, 1, times)
    world.driver.unrescue(guest)
    console = world.await_boots(guest, 2)
    if not is_simulated(world):
        assert times_told(world, guest) == 2
        assert console.count(f"{tiny_kernel.TOLD}rescue\n") == 1
        assert console.count(tiny_kernel.TOLD) == 3, "the other rescue disk boots by itself"


# --- what machines show -------------------------------------------------------------------------------------


def test_a_kernel_is_told_what_its_image_says_letter_by_letter(machines: World) -> None:
    told = "root=LABEL=x a=\"b,,c\" d='<e>&amp;f' ${g} -append %s id=x,y"
    guest = machines.spawn_ready(guest_spec(image=booting(told=told)))
    assert f"{tiny_kernel.TOLD}{told}\n" in machines.driver.console_log(guest, lines=None)


def test_what_is_no_kernel_is_refused_and_leaves_nothing(machines: World) -> None:
    no_kernel = image_of(b"\x7fELF" + bytes(4096), "aki", image_id=KERNEL.image_id)
    with pytest.raises(GuestFailure, match="is not the kernel it claims to be") as failure:
        machines.driver.spawn(guest_spec(image=booting(no_kernel)))
    assert failure.value.cause is FaultCause.KERNEL_UNFIT
    assert machines.driver.list_guests() == {}


def test_a_kernel_that_cannot_be_fetched_is_missed(machines: World) -> None:
    def fetch(_: object) -> None:
        raise OSError("it is gone")

    gone = image_of(tiny_kernel.image(), "aki", image_id=KERNEL.image_id, fetch=fetch)
    with pytest.raises(GuestFailure, match=f"image {KERNEL.image_id} cannot be read") as failure:
        machines.driver.spawn(guest_spec(image=booting(gone)))
    assert failure.value.cause is FaultCause.IMAGE_UNAVAILABLE
    assert machines.driver.list_guests() == {}


def test_a_kernel_is_no_disk(machines: World) -> None:
    with pytest.raises(GuestFailure, match="not a disk") as failure:
        machines.driver.spawn(guest_spec(image=KERNEL))
    assert failure.value.cause is FaultCause.IMAGE_REFUSED


def test_a_ramdisk_that_the_memory_cannot_hold_is_told_of(machines: World) -> None:
    large = image_of(bytes(17 << 20), "ari", image_id=RAMDISK.image_id)
    with pytest.raises(GuestFailure, match="the ramdisk does not fit into the server's memory"):
        machines.driver.spawn(guest_spec(image=booting(ramdisk=large)))
    assert machines.driver.list_guests() == {}
