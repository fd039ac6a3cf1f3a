"""What the qemu driver boots, and what it refuses before QEMU sees it."""

import dataclasses
import errno
import json
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.errors import GuestFailure, NotFound
from kilonova.domain.faults import FaultCause
from kilonova.drivers.disks.cache import ImageCache
from kilonova.drivers.disks.settings import ImageCacheSettings
from kilonova.drivers.instances.definition import find_definition
from kilonova.drivers.protocol import ImageSource, KernelSource
from kilonova.drivers.qemu import QemuDriver
from kilonova.images.guests import tiny, tiny_kernel
from tests.backends.driver import images
from tests.backends.driver.worlds import NODE, QemuWorld, guest_spec, image_of

GIB = 1 << 30


def virtual_size(qemu: QemuWorld, uuid: str) -> int:
    disk = qemu.instances / uuid / "root.qcow2"
    said = subprocess.run(["qemu-img", "info", "-U", "--output=json", disk], check=True, capture_output=True).stdout
    return int(json.loads(said)["virtual-size"])


def failure_to_spawn(qemu: QemuWorld, image: ImageSource, **changes: object) -> GuestFailure:
    """Spawn, which must fail and leave nothing behind, neither guest nor half an image."""
    with pytest.raises(GuestFailure) as failure:
        qemu.driver.spawn(guest_spec(image=image, **changes))
    assert qemu.driver.list_guests() == {}
    assert list(qemu.instances.iterdir()) == []
    assert list((qemu.state_dir / "images").glob("*.part")) == []
    return failure.value


# --- what boots --------------------------------------------------------------------------------------------


def test_a_raw_image_boots_and_the_guest_writes_to_its_own_copy(qemu: QemuWorld) -> None:
    image = image_of(tiny.image(), "raw")
    first = qemu.spawn_ready(guest_spec(image=image))
    qemu.driver.reboot(first, hard=True, timeout_seconds=0)
    qemu.await_boots(first, 2)
    qemu.spawn_ready(guest_spec(image=image))
    assert [path.read_bytes() == tiny.image() for path in (qemu.state_dir / "images").iterdir()] == [True]


def test_a_cd_boots_while_the_root_disk_is_empty(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec(image=image_of(images.bootable_cd(), "iso"), root_gb=1))
    assert virtual_size(qemu, guest) == GIB


def test_a_cd_boots_without_a_root_disk(qemu: QemuWorld) -> None:
    qemu.spawn_ready(guest_spec(image=image_of(images.bootable_cd(), "iso"), root_gb=0))


@pytest.mark.parametrize("disk_format", ["raw", "qcow2"])
def test_the_root_disk_grows_to_the_size_of_the_flavor(qemu: QemuWorld, disk_format: str) -> None:
    data = tiny.image() if disk_format == "raw" else tiny.qcow2_image()
    guest = qemu.spawn_ready(guest_spec(image=image_of(data, disk_format), root_gb=3))
    assert virtual_size(qemu, guest) == 3 * GIB


def test_the_root_disk_is_as_large_as_the_image_when_the_flavor_has_none(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec(root_gb=0))
    assert virtual_size(qemu, guest) == tiny.VIRTUAL_SIZE


def test_a_guest_has_the_further_disks_and_cards_of_its_flavor(qemu: QemuWorld) -> None:
    nic = guest_spec().nics[0]
    nics = tuple(dataclasses.replace(nic, mac=f"fa:16:3e:00:00:0{n}", address=f"10.0.0.{n}") for n in (1, 2, 3))
    guest = qemu.spawn_ready(guest_spec(ephemeral_gb=2, swap_mb=64, nics=nics, vcpus=3))
    assert {path.name for path in (qemu.instances / guest).glob("*.qcow2")} == {
        "root.qcow2",
        "ephemeral.qcow2",
        "swap.qcow2",
    }
    qemu.driver.reboot(guest, hard=True, timeout_seconds=0)
    qemu.await_boots(guest, 2)


def test_parallel_spawns_fetch_an_image_once(qemu: QemuWorld) -> None:
    fetched: list[Path] = []
    both_wait = threading.Barrier(2)

    def fetch(path: Path) -> None:
        fetched.append(path)
        path.write_bytes(tiny.image())

    def spawn(_: int) -> str:
        both_wait.wait()
        return qemu.spawn_ready(guest_spec(image=image_of(tiny.image(), "raw", fetch=fetch)))

    with ThreadPoolExecutor(2) as callers:
        guests = set(callers.map(spawn, range(2)))
    assert len(guests) == 2
    assert len(fetched) == 1


def test_a_cached_image_is_not_fetched_again_after_a_restart(qemu: QemuWorld) -> None:
    qemu.spawn_ready(guest_spec())
    qemu.restart()

    def never(path: Path) -> None:
        raise AssertionError(path)

    qemu.spawn_ready(guest_spec(image=image_of(tiny.qcow2_image(), fetch=never)))


DAY_SECONDS = 24 * 3600


def test_an_image_that_nobody_uses_is_forgotten_after_a_day(qemu: QemuWorld) -> None:
    user = qemu.spawn_ready(guest_spec())
    other = image_of(tiny.image(), "raw", image_id="other")
    qemu.driver.destroy(qemu.spawn_ready(guest_spec(image=other)))
    cache = ImageCache(qemu.state_dir / "images")
    kept = find_definition(qemu.instances / user)
    assert kept is not None
    cache.forget_unused(lambda: kept.base_images, idle_seconds=DAY_SECONDS, now=time.time() + 23 * 3600)
    assert len(list(cache.directory.iterdir())) == 2
    cache.forget_unused(lambda: None, idle_seconds=DAY_SECONDS, now=time.time() + 25 * 3600)
    assert len(list(cache.directory.iterdir())) == 2
    cache.forget_unused(lambda: kept.base_images, idle_seconds=DAY_SECONDS, now=time.time() + 25 * 3600)
    assert [path.name for path in cache.directory.iterdir()] == list(kept.base_images)
    qemu.driver.reboot(user, hard=True, timeout_seconds=0)
    qemu.await_boots(user, 2)


def _driver(qemu: QemuWorld, **settings: Any) -> QemuDriver:
    """The world's driver, with settings of the image cache."""
    qemu.driver.close()
    driver = QemuDriver(state_dir=qemu.state_dir, node=NODE, images=ImageCacheSettings(**settings))
    driver.start(qemu.events.append)
    qemu.driver = driver
    return driver


def test_an_image_that_is_in_use_is_never_forgotten_however_eager_the_settings(qemu: QemuWorld) -> None:
    driver = _driver(qemu, remove_unused_original_minimum_age_seconds=0)
    images = qemu.state_dir / "images"

    def image(name: str) -> ImageSource:
        return image_of(tiny.image(), "raw", image_id=name)

    running, stopped, rescued = (qemu.spawn_ready(guest_spec(image=image(name))) for name in ("a", "b", "c"))
    kernel = image_of(tiny_kernel.image(), "aki", image_id="e")
    with_kernel = dataclasses.replace(image("f"), boot=KernelSource(kernel=kernel, ramdisk=image("g")))
    booted = qemu.spawn_ready(guest_spec(image=with_kernel))
    driver.power_off(stopped, timeout_seconds=0)
    driver.rescue(rescued, image("d"), timeout_seconds=0)
    driver.cache_image(image("nobody"))
    driver.forget_images()
    assert sorted(path.name[:1] for path in images.iterdir()) == ["a", "b", "c", "d", "e", "f", "g"]
    driver.unrescue(rescued)
    for guest in (running, stopped, rescued, booted):
        driver.destroy(guest)
    driver.forget_images()
    assert list(images.iterdir()) == []


def test_an_image_is_not_forgotten_between_its_fetching_and_the_making_of_a_disk(qemu: QemuWorld) -> None:
    driver = _driver(qemu, remove_unused_original_minimum_age_seconds=0)

    def fetch(path: Path) -> None:
        path.write_bytes(tiny.image())
        driver.forget_images()

    other = qemu.spawn_ready(guest_spec(image=image_of(tiny.image(), "raw", image_id="other")))
    driver.destroy(other)
    qemu.spawn_ready(guest_spec(image=image_of(tiny.image(), "raw", image_id="new", fetch=fetch)))
    assert len(list((qemu.state_dir / "images").iterdir())) == 2, "while a disk was made, nothing was forgotten"
    driver.forget_images()
    assert [path.name[:3] for path in (qemu.state_dir / "images").iterdir()] == ["new"]


@pytest.mark.parametrize(
    "settings", [{"manager_interval": -1}, {"remove_unused_base_images": False, "manager_interval": 0}]
)
def test_nothing_is_forgotten_where_the_settings_say_so(settings: dict[str, Any]) -> None:
    assert ImageCacheSettings(**settings).period_seconds is None
    assert ImageCacheSettings(manager_interval=0).period_seconds == 60


# --- what does not -----------------------------------------------------------------------------------------


def test_garbage_is_not_the_qcow2_it_claims_to_be(qemu: QemuWorld) -> None:
    failure = failure_to_spawn(qemu, image_of(b"not an image" * 1000))
    assert failure.cause is FaultCause.IMAGE_CORRUPT
    assert failure.message == "image 11111111-2222-4333-8444-555555555555 is not the qcow2 it claims to be"


def test_a_qcow2_that_claims_to_be_raw_is_refused(qemu: QemuWorld) -> None:
    failure = failure_to_spawn(qemu, image_of(tiny.qcow2_image(), "raw"))
    assert failure.cause is FaultCause.IMAGE_CORRUPT
    assert "qcow2" in (failure.detail or "")


def test_an_image_with_a_backing_file_is_refused(qemu: QemuWorld, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * 4096)
    failure = failure_to_spawn(qemu, image_of(images.qcow2_with_backing_file(tmp_path, secret)))
    assert failure.cause is FaultCause.IMAGE_REFUSED
    assert str(secret) not in failure.message


def test_an_image_with_its_data_elsewhere_is_refused(qemu: QemuWorld, tmp_path: Path) -> None:
    failure = failure_to_spawn(qemu, image_of(images.qcow2_with_data_file(tmp_path)))
    assert failure.cause is FaultCause.IMAGE_REFUSED


def test_an_image_in_an_unknown_format_is_refused(qemu: QemuWorld) -> None:
    assert failure_to_spawn(qemu, image_of(b"KDMV" * 100, "vmdk")).cause is FaultCause.IMAGE_REFUSED


def test_an_image_that_was_cut_off_is_found_out(qemu: QemuWorld, tmp_path: Path) -> None:
    failure = failure_to_spawn(qemu, image_of(images.cut_off_qcow2(tmp_path)))
    assert failure.cause is FaultCause.IMAGE_CORRUPT
    assert "cut off" in failure.message


def test_an_image_that_arrives_incomplete_is_found_out(qemu: QemuWorld) -> None:
    def half(path: Path) -> None:
        path.write_bytes(tiny.image()[: 1 << 19])

    failure = failure_to_spawn(qemu, image_of(tiny.image(), "raw", fetch=half))
    assert failure.cause is FaultCause.IMAGE_CORRUPT
    assert "524288 bytes, not the 1048576" in failure.message


def test_an_image_with_another_checksum_is_found_out_and_may_be_fetched_again(qemu: QemuWorld) -> None:
    def other(path: Path) -> None:
        path.write_bytes(bytes(tiny.VIRTUAL_SIZE))

    good = image_of(tiny.image(), "raw")
    failure = failure_to_spawn(qemu, dataclasses.replace(good, fetch=other))
    assert failure.cause is FaultCause.IMAGE_CORRUPT
    assert "checksum" in failure.message
    qemu.spawn_ready(guest_spec(image=good))


def test_an_image_larger_than_the_flavor_is_refused(qemu: QemuWorld, tmp_path: Path) -> None:
    failure = failure_to_spawn(qemu, image_of(images.qcow2_of_size(tmp_path, "2G")), root_gb=1)
    assert failure.cause is FaultCause.IMAGE_TOO_LARGE
    assert failure.message.endswith("needs a disk of 2 GB; the flavor has 1 GB")


def test_a_small_image_of_an_enormous_disk_takes_no_room_and_fits_no_flavor(qemu: QemuWorld, tmp_path: Path) -> None:
    bomb = image_of(images.qcow2_of_size(tmp_path, "16T"), image_id="bomb")
    assert bomb.size_bytes < 1 << 20
    failure = failure_to_spawn(qemu, bomb, root_gb=100)
    assert failure.cause is FaultCause.IMAGE_TOO_LARGE
    assert list(qemu.instances.iterdir()) == []
    qemu.driver.spawn(guest_spec(image=bomb, root_gb=0))  # where an administrator wants it so
    assert sum(file.stat().st_blocks * 512 for file in qemu.state_dir.rglob("*") if file.is_file()) < 16 << 20


def test_an_image_that_unpacks_to_more_than_it_has_stays_packed(qemu: QemuWorld, tmp_path: Path) -> None:
    packed, unpacked = tmp_path / "packed.qcow2", tmp_path / "unpacked.raw"
    unpacked.write_bytes(b"\1" * (64 << 20))
    subprocess.run(["qemu-img", "convert", "-c", "-O", "qcow2", unpacked, packed], check=True)
    assert packed.stat().st_size < 2 << 20
    qemu.driver.spawn(guest_spec(image=image_of(packed.read_bytes(), image_id="packed"), root_gb=1))
    assert sum(file.stat().st_blocks * 512 for file in qemu.state_dir.rglob("*") if file.is_file()) < 8 << 20


@pytest.mark.parametrize(
    "trouble", [NotFound("no such image"), ConnectionResetError("gone"), FileNotFoundError("no blob")]
)
def test_an_image_that_cannot_be_fetched_is_unavailable(qemu: QemuWorld, trouble: Exception) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"the first few bytes")
        raise trouble

    failure = failure_to_spawn(qemu, image_of(tiny.image(), "raw", fetch=fail))
    assert failure.cause is FaultCause.IMAGE_UNAVAILABLE
    assert str(trouble) in (failure.detail or "")


def test_a_full_disk_is_told_as_such(qemu: QemuWorld) -> None:
    def fill(path: Path) -> None:
        path.write_bytes(b"as much as fits")
        raise OSError(errno.ENOSPC, "No space left on device")

    assert failure_to_spawn(qemu, image_of(tiny.image(), "raw", fetch=fill)).cause is FaultCause.DISK_FULL


def test_an_image_larger_than_the_free_disk_is_not_even_fetched(qemu: QemuWorld) -> None:
    huge = dataclasses.replace(image_of(tiny.image(), "raw"), size_bytes=1 << 60)
    assert failure_to_spawn(qemu, huge).cause is FaultCause.DISK_FULL
