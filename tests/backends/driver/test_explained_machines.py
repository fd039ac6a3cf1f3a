"""What goes wrong with real machines is what the console names first, as with simulated ones."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kilonova.drivers import host
from kilonova.notifications import NotificationOptions, render
from tests.backends.driver.explained import REAL_FAILURES, Machines, RealFailure, no_daemon
from tests.backends.driver.libvirt_hosts import EmulatedHost
from tests.backends.driver.libvirt_world import Hosts
from tests.plane.explaining import assert_told, in_time, judge
from tests.plane.house import lived_in
from tests.services_available import require_or_skip

_HOST_NUMBER = 7
"""A host of its own: its daemon is killed."""
_MOUNT = ("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs")


@pytest.mark.parametrize("row", REAL_FAILURES, ids=lambda row: row.name)
def test_the_cause_below_a_real_machine_is_named_first(
    row: RealFailure, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if host.find_qemu() is None:
        require_or_skip(f"QEMU is not installed; {host.INSTALL_LINE}")
    below: EmulatedHost | None = None
    if row.driver == "libvirt":
        hosts: Hosts = request.getfixturevalue("emulated_hosts")
        below = hosts(_HOST_NUMBER)
    with _machines(row, tmp_path, below) as machines:
        judge(row, row.script(machines), machines.house)


def test_a_libvirt_that_is_really_gone_is_told_in_the_words_of_nova(tmp_path: Path, emulated_hosts: Hosts) -> None:
    row = next(row for row in REAL_FAILURES if row.script is no_daemon)
    with _machines(row, tmp_path, emulated_hosts(_HOST_NUMBER)) as machines:
        row.script(machines)
        options = NotificationOptions(host="control", image_url="http://control/image")
        rows = machines.house.told("condition")
        told = [message for row in rows for message in render(row, options)]
    (gone,) = [message.payload["nova_object.data"] for message in told if message.event_type == "libvirt.connect.error"]
    assert gone["ip"] not in ("", "0.0.0.0")  # noqa: S104 - nothing is bound to it
    assert gone["reason"]["nova_object.data"]["exception_message"].startswith("libvirt does not answer")


def test_the_guide_has_all_failures_of_real_machines() -> None:
    assert_told(REAL_FAILURES, "On real machines")


@contextmanager
def _machines(row: RealFailure, folder: Path, below: EmulatedHost | None) -> Iterator[Machines]:
    """A cloud of one host, in its time; what runs there is ended, whatever happened to it."""
    place = folder / row.driver
    place.mkdir()
    if row.small_disk and subprocess.run([*_MOUNT, place], check=False).returncode:
        require_or_skip("no disk can be mounted here")
    options = {} if below is None else {"libvirt": {"connection_uri": below.uri}}
    try:
        with lived_in(folder, driver=row.driver, **options) as house:
            machines = Machines(in_time(house), place, below)
            try:
                yield machines
            finally:
                (place / "filler").unlink(missing_ok=True)
                if below is not None and not below.answers():
                    below.start()
                for agent in house.cloud.plane.agents:
                    for guest in agent.driver.list_guests():
                        agent.driver.destroy(guest)
    finally:
        if row.small_disk:
            subprocess.run(["umount", "--lazy", place], check=True)
