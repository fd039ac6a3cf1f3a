"""What goes wrong under the libvirt driver, let happen for real: each has its cause, and leaves what can be mended."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from kilonova.domain.errors import GuestFailure, HypervisorUnavailable
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers import host
from kilonova.drivers.libvirt.driver import LibvirtDriver
from kilonova.drivers.protocol import GuestEventKind, GuestSpec
from tests.backends.driver.libvirt_hosts import EmulatedHost
from tests.backends.driver.libvirt_world import Foreigner, LibvirtWorld
from tests.backends.driver.worlds import guest_spec
from tests.waiting import wait_until

NASTY = "</name><x>&\"'\x01\ud800 ]]>"


def cause_of_start(world: LibvirtWorld, guest: str) -> FaultCause:
    with pytest.raises(GuestFailure) as failure:
        world.driver.power_on(guest)
    assert failure.value.detail, "the operator is told libvirt's own words"
    assert world.driver.power_state(guest) is PowerState.SHUTDOWN
    return failure.value.cause


# --- the daemon --------------------------------------------------------------------------------------------


@pytest.fixture
def mortal(libvirt: LibvirtWorld) -> Iterator[LibvirtWorld]:
    """A world whose daemon may be killed; it is there again at the end."""
    yield libvirt
    if not libvirt.host.answers():
        libvirt.host.start()


def test_guests_outlive_the_daemon_and_are_heard_again_once_it_is_back(mortal: LibvirtWorld) -> None:
    guest = mortal.spawn_ready(guest_spec())
    mortal.host.kill_daemon()
    with pytest.raises(HypervisorUnavailable, match="does not answer"):
        mortal.driver.probe()
    with pytest.raises(HypervisorUnavailable):
        mortal.driver.list_guests()
    with pytest.raises(HypervisorUnavailable):
        mortal.driver.power_off(guest, timeout_seconds=0)
    with pytest.raises(HypervisorUnavailable):
        mortal.driver.spawn(guest_spec())
    assert "READY boots=1" in mortal.driver.console_log(guest, lines=None), "its console needs no daemon"
    mortal.host.start()
    mortal.driver.probe()
    assert mortal.driver.list_guests() == {guest: PowerState.RUNNING}
    assert "boots=2" not in mortal.driver.console_log(guest, lines=None)
    mortal.shut_down_from_inside(guest)
    mortal.await_event(guest, GuestEventKind.STOPPED)


def test_what_befell_a_guest_while_the_daemon_was_gone_is_told_once_it_is_back(mortal: LibvirtWorld) -> None:
    guest, other = mortal.spawn_ready(guest_spec()), mortal.spawn_ready(guest_spec())
    mortal.host.kill_daemon()
    mortal.crash(guest)
    mortal.await_no_process(guest)
    mortal.host.start()
    event = mortal.await_event(guest, GuestEventKind.CRASHED)
    assert event.power_state is PowerState.CRASHED
    assert mortal.driver.list_guests() == {guest: PowerState.CRASHED, other: PowerState.RUNNING}
    mortal.driver.power_on(guest)
    mortal.await_boots(guest, 2)


def test_a_driver_without_a_daemon_does_not_start_and_says_what_to_do(tmp_path: Path) -> None:
    uri = f"qemu+unix:///system?socket={tmp_path}/nobody"
    driver = LibvirtDriver(state_dir=tmp_path / "state", node="host-1", uri=uri)
    for _ in range(2):  # the second attempt finds the state directory free
        with pytest.raises(HypervisorUnavailable, match=r"does not answer at .*; install and start it with: make virt"):
            driver.start(print)


def test_one_driver_at_a_time_has_a_state_directory(libvirt: LibvirtWorld) -> None:
    with pytest.raises(HypervisorUnavailable, match="another process"):
        libvirt.make().start(print)


# --- disks and memory --------------------------------------------------------------------------------------


@pytest.fixture
def stopped(libvirt: LibvirtWorld) -> str:
    """A guest that ran once and is off."""
    guest = libvirt.spawn_ready(guest_spec())
    libvirt.driver.power_off(guest, timeout_seconds=0)
    return guest


def test_a_missing_backing_file_is_said_to_be_missing_and_can_be_put_back(libvirt: LibvirtWorld, stopped: str) -> None:
    (image,) = (libvirt.state_dir / "images").iterdir()
    away = image.rename(libvirt.state_dir / "away")
    assert cause_of_start(libvirt, stopped) is FaultCause.IMAGE_UNAVAILABLE
    away.rename(image)
    libvirt.driver.power_on(stopped)
    libvirt.await_boots(stopped, 2)


def test_a_missing_disk_means_that_the_server_is_lost(libvirt: LibvirtWorld, stopped: str) -> None:
    (libvirt.instances / stopped / "root.qcow2").unlink()
    assert cause_of_start(libvirt, stopped) is FaultCause.GUEST_MISSING


@pytest.mark.parametrize("kept", [0, 70], ids=["garbage", "cut off"])
def test_a_damaged_disk_is_said_to_be_damaged(libvirt: LibvirtWorld, stopped: str, kept: int) -> None:
    disk = libvirt.instances / stopped / "root.qcow2"
    disk.write_bytes(disk.read_bytes()[:kept] or b"no disk" * 1000)
    assert cause_of_start(libvirt, stopped) is FaultCause.IMAGE_CORRUPT


def test_a_guest_beyond_the_hosts_memory_is_refused_before_it_is_made(libvirt: LibvirtWorld) -> None:
    with pytest.raises(GuestFailure) as failure:
        libvirt.driver.spawn(guest_spec(memory_mb=host.memory_mb("MemTotal") * 2))
    assert failure.value.cause is FaultCause.MEMORY_SHORT
    assert libvirt.driver.list_guests() == {}


@pytest.fixture
def cramped() -> Iterator[LibvirtWorld]:
    """A world on a disk of 4 MiB."""
    made = EmulatedHost("host-small")
    disk = made.directory / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=True)
    made.start()
    world = LibvirtWorld(disk / "state", lambda _: made)
    yield world
    world.clean_up()
    made.end()
    subprocess.run(["umount", "--lazy", disk], check=True)
    made.remove()


def fill(world: LibvirtWorld) -> Path:
    """Take all the room that is left."""
    filler = world.state_dir.parent / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    return filler


def test_a_full_disk_stops_a_guest_that_goes_on_once_there_is_room(cramped: LibvirtWorld) -> None:
    guest = cramped.spawn_ready(guest_spec())
    cramped.driver.power_off(guest, timeout_seconds=0)
    (image,) = (cramped.state_dir / "images").iterdir()
    root = cramped.instances / guest / "root.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, root], check=True)
    filler = fill(cramped)
    with pytest.raises(GuestFailure) as failure:
        cramped.driver.spawn(guest_spec())
    assert failure.value.cause is FaultCause.DISK_FULL
    cramped.driver.power_on(guest)
    event = cramped.await_event(guest, GuestEventKind.IO_ERROR)
    assert event.power_state is PowerState.PAUSED
    assert event.detail
    filler.unlink()
    cramped.driver.unpause(guest)
    assert cramped.driver.power_state(guest) is PowerState.RUNNING
    wait_until(lambda: cramped.driver.console_log(guest, lines=None).count("READY") >= 2, "the guest to go on")


# --- others' machines --------------------------------------------------------------------------------------


@pytest.fixture
def foreigner(libvirt: LibvirtWorld) -> Iterator[Foreigner]:
    """A machine on the host that somebody else made, with the name and uuid that a guest of ours would have."""
    made = Foreigner(libvirt.host)
    yield made
    made.remove()


def test_a_foreign_machine_of_the_same_name_is_in_the_way_and_is_not_touched(
    libvirt: LibvirtWorld, foreigner: Foreigner
) -> None:
    spec = guest_spec(name=foreigner.name)
    with pytest.raises(GuestFailure) as failure:
        libvirt.driver.spawn(spec)
    assert failure.value.cause is FaultCause.NAME_TAKEN
    assert foreigner.is_untouched
    assert libvirt.driver.list_guests() == {}
    foreigner.remove()
    libvirt.spawn_ready(spec)


def test_a_foreign_machine_of_the_same_uuid_is_in_the_way_and_is_not_touched(
    libvirt: LibvirtWorld, foreigner: Foreigner
) -> None:
    with pytest.raises(GuestFailure) as failure:
        libvirt.driver.spawn(guest_spec(uuid=foreigner.uuid))
    assert failure.value.cause is FaultCause.NAME_TAKEN
    libvirt.driver.destroy(foreigner.uuid)
    assert libvirt.driver.power_state(foreigner.uuid) is PowerState.NOSTATE
    assert foreigner.is_untouched


def test_a_guest_that_was_removed_behind_our_back_is_told_of_and_brought_back(libvirt: LibvirtWorld) -> None:
    guest = libvirt.spawn_ready(guest_spec())
    libvirt.remove_behind_back(guest)
    event = libvirt.await_event(guest, GuestEventKind.STOPPED)
    assert event.power_state is PowerState.SHUTDOWN
    assert libvirt.driver.list_guests() == {guest: PowerState.SHUTDOWN}
    libvirt.driver.power_on(guest)
    libvirt.await_boots(guest, 2)


def test_two_clouds_on_one_daemon_do_not_see_each_others_guests(libvirt: LibvirtWorld, tmp_path: Path) -> None:
    other = LibvirtWorld(tmp_path / "other", lambda _: libvirt.host)
    try:
        guest = libvirt.spawn_ready(guest_spec())
        assert other.driver.list_guests() == {}
        other.driver.destroy(guest)
        assert libvirt.driver.list_guests() == {guest: PowerState.RUNNING}
    finally:
        other.driver.close()


# --- what owners write -------------------------------------------------------------------------------------


def nasty_spec() -> GuestSpec:
    return guest_spec(display_name=NASTY, flavor_name=NASTY, metadata={NASTY: NASTY}, config_drive=True)


def test_names_are_told_as_they_are_and_never_read_as_xml(libvirt: LibvirtWorld) -> None:
    spec = nasty_spec()
    guest = libvirt.spawn_ready(spec)
    nova = ET.fromstring(libvirt.metadata_of(guest))  # noqa: S314 - libvirt's own words
    told = nova.findtext("name")
    assert told is not None
    assert told.startswith("</name><x>&\"'")
    flavor, project, root = nova.find("flavor"), nova.find("owner/project"), nova.find("root")
    assert flavor is not None
    assert project is not None
    assert root is not None
    assert (flavor.get("name"), flavor.findtext("memory"), flavor.findtext("vcpus")) == (told, "16", "1")
    assert project.get("uuid") == spec.project_id
    assert spec.image is not None
    assert (root.get("type"), root.get("uuid")) == ("image", spec.image.image_id)


# --- inside the guest --------------------------------------------------------------------------------------


def test_a_guest_without_an_agent_is_said_to_have_none(libvirt: LibvirtWorld) -> None:
    guest = libvirt.spawn_ready(guest_spec(has_agent=True))
    driver = libvirt.driver
    assert isinstance(driver, LibvirtDriver)
    with pytest.raises(GuestFailure, match="agent inside the server does not answer") as failure:
        driver.set_password(guest, "secret-of-the-owner")
    assert failure.value.cause is FaultCause.GUEST_UNRESPONSIVE
    assert "secret-of-the-owner" not in f"{failure.value} {failure.value.detail}"


@pytest.mark.slow
def test_a_qemu_that_hangs_is_cured_by_a_hard_reboot(libvirt: LibvirtWorld) -> None:
    guest = libvirt.spawn_ready(guest_spec())
    libvirt.signal(guest, signal.SIGSTOP)
    assert libvirt.driver.list_guests() == {guest: PowerState.RUNNING}
    libvirt.driver.reboot(guest, hard=True, timeout_seconds=0)
    libvirt.await_boots(guest, 2)
