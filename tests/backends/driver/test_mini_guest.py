"""The mini guest, a Linux, sees what its server was given."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers import host
from kilonova.drivers.libvirt.driver import LibvirtDriver
from kilonova.drivers.protocol import CanSetPassword, Nic
from kilonova.images.guests.mini.__main__ import build, default_cache
from kilonova.images.guests.mini.packages import CannotBuild
from tests.backends.driver.libvirt_world import LibvirtWorld
from tests.backends.driver.worlds import QemuWorld, guest_spec, image_of
from tests.services_available import require_or_skip
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPT = b"#!/bin/sh\necho user data of $(hostname)\n"


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bytes]:
    if host.find_qemu() is None:
        require_or_skip(f"QEMU is not installed; {host.INSTALL_LINE}")
    try:
        made: Path = build(tmp_path_factory.mktemp("mini"), default_cache())
    except CannotBuild as error:
        require_or_skip(f"the mini guest cannot be built: {error}")
    else:
        yield made.read_bytes()


def check_passwords(world: QemuWorld | LibvirtWorld, guest: str) -> None:
    """The guest's agent sets one; and once it has fallen silent, nobody waits for it without end."""
    driver = world.driver
    assert isinstance(driver, CanSetPassword)

    def await_word(word: str) -> None:
        wait_until(lambda: word in driver.console_log(guest, lines=None), word, within_seconds=240)

    await_word("agent listens")
    driver.set_password(guest, "a new one; $HOME")
    await_word("password set: root:$1$")
    world.type_in(guest, b"kill -STOP $(pidof agent) && echo agent $((1))stopped\n")
    await_word("agent 1stopped")
    with pytest.raises(GuestFailure, match="the agent inside the server does not answer") as failure:
        driver.set_password(guest, "a new one; $HOME")
    assert failure.value.cause is FaultCause.GUEST_UNRESPONSIVE
    assert driver.power_state(guest) is PowerState.RUNNING


def test_a_linux_sees_its_disks_its_card_its_address_and_its_user_data(qemu: QemuWorld, mini: bytes) -> None:
    spec = guest_spec(
        image=image_of(mini, image_id="mini"),
        memory_mb=96,
        vcpus=2,
        root_gb=1,
        ephemeral_gb=1,
        hostname="web-one",
        nics=(Nic(mac="fa:16:3e:11:22:33", address="10.1.2.77", label="private"),),
        user_data=base64.b64encode(SCRIPT).decode(),
        has_agent=True,
    )
    qemu.spawn_ready(spec)

    def console() -> str:
        text = qemu.driver.console_log(spec.uuid, lines=None)
        return text if "user data ended" in text and "address=" in text else ""

    text = wait_until(console, "the mini guest to have run its user data", within_seconds=240)
    for words in (
        f"uuid={spec.uuid} cpus=2",
        f"disk vda bytes={1 << 30} serial=root",
        f"disk vdb bytes={1 << 30} serial=ephemeral",
        "nic eth0 mac=fa:16:3e:11:22:33",
        "nic eth0 address=10.1.2.77/24",
        "metadata source=config-drive hostname=web-one",
        "user data of web-one",
    ):
        assert words in text
    check_passwords(qemu, spec.uuid)
    qemu.driver.power_off(spec.uuid, timeout_seconds=60)
    assert qemu.driver.power_state(spec.uuid) is PowerState.SHUTDOWN
    assert "power button, off" in qemu.driver.console_log(spec.uuid, lines=None)


def test_a_linux_sees_a_card_come_and_lets_it_go(qemu: QemuWorld, mini: bytes) -> None:
    spec = guest_spec(image=image_of(mini, image_id="mini"), memory_mb=96, nics=())
    qemu.spawn_ready(spec)
    card = Nic(mac="fa:16:3e:11:22:44", address="10.1.2.78", label="private")

    def knows_card() -> bool:
        """Ask its shell which cards it has."""
        already = len(qemu.driver.console_log(spec.uuid, lines=None))
        qemu.type_in(spec.uuid, b"echo cards: $(cat /sys/class/net/*/address) end\n")

        def said() -> str:
            found = qemu.driver.console_log(spec.uuid, lines=None)[already:]
            return found if re.search(r"cards: [0-9a-f: ]+end", found) else ""

        return card.mac in wait_until(said, "the shell to answer")

    qemu.driver.plug(spec.uuid, card)
    wait_until(knows_card, "the kernel to find the card")
    qemu.driver.unplug(spec.uuid, card.mac)
    assert qemu.macs_of(spec.uuid) == []
    assert not knows_card()


def test_a_linux_on_a_bridge_is_counted_for_real_and_its_agent_sets_a_password(
    bridged: LibvirtWorld, mini: bytes
) -> None:
    nic = Nic(mac="fa:16:3e:00:00:42", address="10.20.30.40", label="private")
    spec = guest_spec(image=image_of(mini, image_id="mini"), memory_mb=96, root_gb=1, nics=(nic,), has_agent=True)
    bridged.spawn_ready(spec)

    def console(words: str) -> bool:
        return words in bridged.driver.console_log(spec.uuid, lines=None)

    driver = bridged.driver
    assert isinstance(driver, LibvirtDriver)

    def has_asked() -> bool:
        """Whether its calls for an address went through the card."""
        counted = driver.count_all()[spec.uuid]
        assert counted is not None
        (card,) = counted.nics
        assert (card.mac, card.device[:4]) == (nic.mac, "vnet")
        return card.tx_octets > 0 and card.tx_packets > 0

    wait_until(has_asked, "the card's counters to grow", within_seconds=240)
    check_passwords(bridged, spec.uuid)
    driver.power_off(spec.uuid, timeout_seconds=60)
    assert console("power button, off")
