"""Network cards that come and go: what runs has them at once, and whatever is started later has the same ones."""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import cast
from xml.etree import ElementTree as ET

import pytest

from kilonova.domain.errors import GuestFailure, HypervisorUnavailable
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.instances.cards import Patience, device_of, name_of, refusals_ignored
from kilonova.drivers.instances.definition import Definition, find_definition, save_definition
from kilonova.drivers.leases import user_network
from kilonova.drivers.protocol import CanMove, Nic
from tests.backends.driver.libvirt_world import LibvirtWorld
from tests.backends.driver.test_live_moves import move
from tests.backends.driver.worlds import QemuWorld, SimulatedWorld, SteppedQemuDriver, World, guest_spec, image_of
from tests.waiting import wait_until

ABSENT = "99999999-9999-4999-8999-999999999999"
FIRST = guest_spec().nics[0].mac
SECOND, THIRD = (Nic(mac=f"fa:16:3e:00:00:0{n}", address=f"10.20.30.5{n}", label="private") for n in (2, 3))


def deaf_guest(world: World) -> str:
    """A guest with two cards that hears nothing, for no system runs in it; gives its uuid."""
    spec = guest_spec(image=image_of(bytes(1 << 20), "raw", image_id="blank"), nics=(*guest_spec().nics, SECOND))
    world.lose_patience()
    world.driver.spawn(spec)
    return spec.uuid


@pytest.fixture(params=["simulated", "qemu", "libvirt", "bridged"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Each driver in turn, libvirt's with cards of either kind."""
    if request.param == "simulated":
        return SimulatedWorld(tmp_path / "state")
    made: World = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def other(world: World) -> Iterator[World]:
    """Another host of the same machine, beside the first one."""
    made = world.another(world.state_dir.parent / "other")
    yield made
    made.clean_up()


@pytest.fixture(params=["qemu", "libvirt", "bridged"])
def real(request: pytest.FixtureRequest) -> QemuWorld | LibvirtWorld:
    """The drivers whose guests may be deaf."""
    made: QemuWorld | LibvirtWorld = request.getfixturevalue(request.param)
    return made


def test_a_card_comes_and_goes_while_the_guest_runs(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.plug(guest, SECOND)
    world.driver.plug(guest, THIRD)
    assert world.macs_of(guest) == [FIRST, SECOND.mac, THIRD.mac]
    world.driver.unplug(guest, SECOND.mac)
    assert world.macs_of(guest) == [FIRST, THIRD.mac]
    world.driver.unplug(guest, FIRST)
    assert world.macs_of(guest) == [THIRD.mac]
    assert world.driver.power_state(guest) is PowerState.RUNNING
    assert "boots=2" not in world.driver.console_log(guest, lines=None)


def test_to_plug_what_is_in_and_to_unplug_what_is_not_changes_nothing(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    for _ in range(2):
        world.driver.plug(guest, SECOND)
    assert world.macs_of(guest) == [FIRST, SECOND.mac]
    for _ in range(2):
        world.driver.unplug(guest, SECOND.mac)
    assert world.macs_of(guest) == [FIRST]


def test_a_later_boot_has_the_cards_that_were_plugged_while_it_ran(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.plug(guest, SECOND)
    world.driver.unplug(guest, FIRST)
    world.restart()
    assert world.macs_of(guest) == [SECOND.mac]
    world.driver.reboot(guest, hard=True, timeout_seconds=0)
    world.await_boots(guest, 2)
    assert world.macs_of(guest) == [SECOND.mac]
    world.driver.plug(guest, THIRD)
    assert set(world.macs_of(guest)) == {SECOND.mac, THIRD.mac}


def test_the_cards_of_a_stopped_guest_are_there_at_its_next_boot(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.power_off(guest, timeout_seconds=0)
    world.driver.plug(guest, SECOND)
    world.driver.unplug(guest, FIRST)
    assert world.driver.power_state(guest) is PowerState.SHUTDOWN
    world.driver.power_on(guest)
    world.await_boots(guest, 2)
    assert world.macs_of(guest) == [SECOND.mac]


def test_a_frozen_guest_gets_a_card_and_stays_frozen(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.pause(guest)
    world.driver.plug(guest, SECOND)
    assert world.macs_of(guest) == [FIRST, SECOND.mac]
    assert world.driver.power_state(guest) is PowerState.PAUSED


def test_a_guest_goes_on_after_a_suspension_with_the_cards_that_came(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    world.driver.plug(guest, SECOND)
    world.driver.unplug(guest, FIRST)
    world.driver.suspend(guest)
    world.driver.resume(guest)
    assert world.macs_of(guest) == [SECOND.mac]
    world.driver.power_off(guest, timeout_seconds=20)
    assert "power button, off" in world.driver.console_log(guest, lines=None), "it goes on, so it hears"
    assert "boots=2" not in world.driver.console_log(guest, lines=None)


def test_a_guest_moves_while_it_runs_with_the_cards_that_came(world: World, other: World) -> None:
    spec = guest_spec()
    guest = world.spawn_ready(spec)
    world.driver.plug(guest, SECOND)
    world.driver.plug(guest, THIRD)
    world.driver.unplug(guest, FIRST)
    move(world, other, guest_spec(uuid=guest, name=spec.name, nics=(SECOND, THIRD)))
    assert other.macs_of(guest) == [SECOND.mac, THIRD.mac]
    other.driver.unplug(guest, SECOND.mac)
    other.driver.reboot(guest, hard=True, timeout_seconds=0)
    other.await_boots(guest, 2)
    assert other.macs_of(guest) == [THIRD.mac]


def test_a_guest_that_moves_while_it_is_off_keeps_its_cards_and_their_places(world: World, other: World) -> None:
    spec = guest_spec()
    guest = world.spawn_ready(spec)
    world.driver.plug(guest, SECOND)
    world.driver.unplug(guest, FIRST)
    before = _places(world, guest)
    parcel = cast("CanMove", world.driver).migrate_out(guest, timeout_seconds=20)
    cast("CanMove", other.driver).take_in(replace(spec, nics=(SECOND, THIRD)), parcel, power_on=True)
    cast("CanMove", world.driver).confirm_move(guest)
    assert set(other.macs_of(guest)) == {SECOND.mac, THIRD.mac}
    assert before.items() <= _places(other, guest).items()


def _places(world: World, guest: str) -> dict[str, str]:
    """Where each card is in QEMU, by its MAC address; nowhere without a QEMU."""
    if isinstance(world, SimulatedWorld):
        return {}
    return dict(zip(world.macs_of(guest), world.slots_of(guest), strict=True))


def test_a_guest_that_is_not_there_has_no_cards(world: World) -> None:
    with pytest.raises(GuestFailure) as failure:
        world.driver.plug(ABSENT, SECOND)
    assert failure.value.cause is FaultCause.GUEST_MISSING
    with pytest.raises(GuestFailure) as failure:
        world.driver.unplug(ABSENT, FIRST)
    assert failure.value.cause is FaultCause.GUEST_MISSING


def test_a_guest_that_keeps_its_card_has_it_after_the_failure_too(real: World) -> None:
    guest = deaf_guest(real)
    with pytest.raises(GuestFailure, match="did not let go") as failure:
        real.driver.unplug(guest, FIRST)
    assert failure.value.cause is FaultCause.GUEST_UNRESPONSIVE
    assert real.macs_of(guest) == [FIRST, SECOND.mac]
    real.driver.reboot(guest, hard=True, timeout_seconds=0)
    assert real.macs_of(guest) == [FIRST, SECOND.mac]
    real.driver.power_off(guest, timeout_seconds=0)
    real.driver.unplug(guest, FIRST)
    real.driver.power_on(guest)
    assert real.macs_of(guest) == [SECOND.mac]


def test_a_guest_that_is_to_be_destroyed_is_not_asked_again_and_again_for_its_card(real: World) -> None:
    guest, most = deaf_guest(real), 30
    real.lose_patience(Patience(most, 2.0))
    began = threading.Event()

    def unplug() -> str:
        began.set()
        with pytest.raises(GuestFailure) as failure:
            real.driver.unplug(guest, FIRST)
        return failure.value.detail or ""

    with ThreadPoolExecutor(1) as other:
        unplugging = other.submit(unplug)
        began.wait()
        wait_until(lambda: real.driver._turns._turns, "the card's turn")  # type: ignore[attr-defined]  # noqa: SLF001
        real.driver.destroy(guest)
        asked = int(unplugging.result().split()[1])
    assert 1 <= asked < most
    assert real.driver.list_guests() == {}


@pytest.mark.parametrize("is_by_the_next", [False, True])
def test_a_card_that_goes_after_its_guest_was_told_to_keep_it_is_put_in_again(
    real: World, *, is_by_the_next: bool
) -> None:
    guest = deaf_guest(real)
    with pytest.raises(GuestFailure):
        real.driver.unplug(guest, FIRST)
    if is_by_the_next:
        real.restart()
    command = real.monitor(guest)
    command("qom-set", {"path": real.cards_of(guest)[0], "property": "bootindex", "value": 7})
    command("system_reset", {})  # QEMU takes out then what was to go

    def is_anew() -> bool:
        cards, order = real.cards_of(guest), []
        with refusals_ignored():  # the first one may go between the two looks
            order.append(command("qom-get", {"path": cards[0], "property": "bootindex"}))
        return len(cards) == 2 and order not in ([], [7])

    wait_until(is_anew, "a new card")
    assert real.macs_of(guest) == [FIRST, SECOND.mac]


def test_a_frozen_guest_cannot_let_go(real: World) -> None:
    guest = real.spawn_ready(guest_spec())
    real.driver.pause(guest)
    with pytest.raises(GuestFailure, match="paused"):
        real.driver.unplug(guest, FIRST)
    real.driver.unpause(guest)
    real.driver.unplug(guest, FIRST)
    assert real.macs_of(guest) == []


def test_a_suspended_guest_keeps_its_cards(real: World) -> None:
    guest = real.spawn_ready(guest_spec())
    real.driver.suspend(guest)
    with pytest.raises(GuestFailure, match="suspended"):
        real.driver.plug(guest, SECOND)
    with pytest.raises(GuestFailure, match="suspended"):
        real.driver.unplug(guest, FIRST)
    real.driver.resume(guest)
    assert real.macs_of(guest) == [FIRST]


def test_a_guest_has_no_more_cards_than_it_has_room_for(real: World) -> None:
    guest = real.spawn_ready(guest_spec())
    real.driver.power_off(guest, timeout_seconds=0)
    for number in range(2, 17):
        real.driver.plug(guest, Nic(mac=f"fa:16:3e:00:01:{number:02x}", address=None, label="private"))
    with pytest.raises(GuestFailure, match="as many network cards"):
        real.driver.plug(guest, SECOND)


def test_what_a_killed_driver_left_of_a_card_is_finished_by_the_next(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec())
    qemu.driver.plug(guest, SECOND)
    qemu.driver.close()
    qemu.tell_qemu(guest, ("device_del", {"id": "nic1"}), until="DEVICE_DELETED")  # as ``unplug`` does first
    qemu.restart()
    assert qemu.macs_of(guest) == [FIRST, SECOND.mac]
    qemu.driver.unplug(guest, SECOND.mac)
    assert qemu.macs_of(guest) == [FIRST]
    qemu.driver.plug(guest, THIRD)
    assert qemu.macs_of(guest) == [FIRST, THIRD.mac]


def test_whoever_looks_at_the_domain_is_told_of_its_cards(libvirt: LibvirtWorld) -> None:
    guest = libvirt.spawn_ready(guest_spec())
    libvirt.driver.plug(guest, SECOND)
    libvirt.driver.unplug(guest, FIRST)
    told = ET.fromstring(libvirt.metadata_of(guest))  # noqa: S314 - libvirt's own words
    ports = told.findall("ports/port")
    assert [port.get("mac") for port in ports] == [SECOND.mac]
    assert told.findtext("name") == guest_spec().display_name


def test_a_card_that_qemu_refuses_leaves_nothing_behind(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec())
    with pytest.raises(GuestFailure):
        qemu.driver.plug(guest, Nic(mac="no address", address="10.20.30.50", label="private"))
    definition = find_definition(qemu.instances / guest)
    assert definition is not None
    assert [nic.mac for _, nic in definition.cards] == [FIRST]
    qemu.driver.plug(guest, SECOND)
    assert qemu.macs_of(guest) == [FIRST, SECOND.mac]


def test_a_card_that_came_later_than_anybody_waited_makes_room_for_the_one_that_is_wanted(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec())
    command = qemu.monitor(guest)
    command("netdev_add", user_network(name_of(1), None))
    command("device_add", device_of(1, THIRD))
    command("netdev_del", {"id": name_of(1)})
    qemu.driver.plug(guest, SECOND)
    assert qemu.macs_of(guest) == [FIRST, SECOND.mac]
    (card,) = [path for path in qemu.cards_of(guest) if path.endswith(name_of(1))]
    assert command("qom-get", {"path": card, "property": "netdev"}) == name_of(1)


def test_a_card_that_its_guest_put_out_by_itself_is_there_again_when_it_starts_anew(qemu: QemuWorld) -> None:
    guest = qemu.spawn_ready(guest_spec())
    command = qemu.monitor(guest)
    command("device_del", {"id": name_of(0)})
    wait_until(lambda: qemu.macs_of(guest) == [], "the card to go")
    qemu.driver.plug(guest, SECOND)
    assert qemu.macs_of(guest) == [SECOND.mac]
    qemu.driver.reboot(guest, hard=True, timeout_seconds=0)
    assert qemu.macs_of(guest) == [FIRST, SECOND.mac]


def test_a_plug_that_fails_when_it_is_repeated_leaves_no_card_in_the_guest(qemu: QemuWorld) -> None:
    guest = guest_with_a_card_too_many(qemu)
    assert isinstance(qemu.driver, SteppedQemuDriver)
    qemu.driver.tend()
    wait_until(lambda: qemu.macs_of(guest) == [FIRST], "the card to go")
    wait_until(lambda: not definition_of(qemu, guest).unwanted, "the card to be forgotten")
    qemu.driver.plug(guest, THIRD)
    assert qemu.macs_of(guest) == [FIRST, THIRD.mac]


def test_the_next_driver_takes_out_what_could_not_be_plugged(qemu: QemuWorld) -> None:
    guest = guest_with_a_card_too_many(qemu)
    qemu.restart()
    wait_until(lambda: qemu.macs_of(guest) == [FIRST], "the card to go")


def test_the_next_boot_is_without_what_could_not_be_plugged(qemu: QemuWorld) -> None:
    guest = guest_with_a_card_too_many(qemu)
    qemu.driver.reboot(guest, hard=True, timeout_seconds=0)
    assert qemu.macs_of(guest) == [FIRST]
    assert definition_of(qemu, guest).unwanted == ()


def test_what_could_not_be_plugged_is_plugged_by_another_attempt_or_goes_before_a_suspension(qemu: QemuWorld) -> None:
    guest = guest_with_a_card_too_many(qemu)
    qemu.driver.plug(guest, SECOND)
    assert qemu.macs_of(guest) == known_macs(qemu, guest) == [FIRST, SECOND.mac]
    fail_to_plug(qemu, guest, SECOND)
    qemu.driver.suspend(guest)
    qemu.driver.resume(guest)
    assert qemu.macs_of(guest) == [FIRST]


def test_what_could_not_be_plugged_goes_before_the_same_card_with_another_address_and_when_it_is_unplugged(
    qemu: QemuWorld,
) -> None:
    guest, moved = guest_with_a_card_too_many(qemu), replace(SECOND, address="10.20.99.9")
    qemu.driver.plug(guest, moved)
    assert qemu.macs_of(guest) == [FIRST, SECOND.mac]
    assert "net=10.20.99.0" in qemu.monitor(guest)("human-monitor-command", {"command-line": "info network"})
    fail_to_plug(qemu, guest, moved)
    qemu.driver.unplug(guest, SECOND.mac)
    assert qemu.macs_of(guest) == [FIRST]


def test_a_card_goes_whose_plugging_a_daemon_that_ended_never_answered(libvirt: LibvirtWorld) -> None:
    guest = libvirt.spawn_ready(guest_spec())
    libvirt.driver.plug(guest, SECOND)
    with ThreadPoolExecutor(1) as other:
        libvirt.signal(guest, signal.SIGSTOP)
        plugging = other.submit(libvirt.driver.plug, guest, SECOND)
        wait_until(lambda: definition_of(libvirt, guest).unsure, "the plugging to begin")
        libvirt.host.kill_daemon()
        with pytest.raises(HypervisorUnavailable):
            plugging.result()
    libvirt.signal(guest, signal.SIGCONT)
    assert known_macs(libvirt, guest) == [FIRST]
    libvirt.host.start()
    wait_until(lambda: libvirt.macs_of(guest) == [FIRST], "the card to go")
    libvirt.driver.plug(guest, THIRD)
    assert libvirt.macs_of(guest) == [FIRST, THIRD.mac]


def test_a_card_that_a_driver_had_begun_to_plug_is_put_in_by_the_next(real: QemuWorld | LibvirtWorld) -> None:
    guest = real.spawn_ready(guest_spec())
    real.driver.close()
    begun = definition_of(real, guest).with_card(1, SECOND).unsurely_with(1)
    save_definition(real.instances / guest, begun)
    real.restart()
    wait_until(lambda: real.macs_of(guest) == [FIRST, SECOND.mac], "the card to come")


def guest_with_a_card_too_many(world: QemuWorld) -> str:
    """A guest with a second card that nobody knows of: plugging it was repeated by the next driver, and failed.

    It stays so until the driver is told to tend its guests.
    """
    world.driver_class = SteppedQemuDriver
    guest = world.spawn_ready(guest_spec())
    world.driver.plug(guest, SECOND)
    world.restart()
    fail_to_plug(world, guest, SECOND)
    return guest


def fail_to_plug(world: QemuWorld, guest: str, card: Nic) -> None:
    """Plug the card that is in already, in vain."""
    world.signal(guest, signal.SIGSTOP)
    try:
        with pytest.raises(GuestFailure) as failure:
            world.driver.plug(guest, card)
    finally:
        world.signal(guest, signal.SIGCONT)
    assert failure.value.cause is FaultCause.GUEST_UNRESPONSIVE
    assert world.macs_of(guest) == [FIRST, card.mac]
    assert known_macs(world, guest) == [FIRST]


def definition_of(world: QemuWorld | LibvirtWorld, guest: str) -> Definition:
    found = find_definition(world.instances / guest)
    assert found is not None
    return found


def known_macs(world: QemuWorld | LibvirtWorld, guest: str) -> list[str]:
    return [nic.mac for _, nic in definition_of(world, guest).cards]
