"""Which driver is chosen, and what is said about it."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.errors import HypervisorUnavailable, SettingsUnusable
from kilonova.drivers.choice import Choice, Surroundings, choose
from kilonova.drivers.host import Accelerator, QemuVersion, find_accelerator

QEMU = QemuVersion("/usr/bin/qemu-system-x86_64", 7, 2, 22)
SLOW = Accelerator("tcg", "the reason")


def chosen(name: str, *, qemu: QemuVersion | None = QEMU, has_binding: bool = True, **around: Any) -> Choice:
    given: dict[str, Any] = {"libvirt_sockets": (), **around}
    looks: dict[str, Any] = {"find_qemu": lambda: qemu, "find_accelerator": lambda: SLOW}
    return choose(name, Surroundings(**given, **looks, has_binding=lambda: has_binding))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "libvirt-sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        yield path


def test_auto_takes_qemu_where_there_is_no_libvirt(tmp_path: Path) -> None:
    expected = "QEMU 7.2.22 found; emulated (TCG, slower): the reason; no libvirt daemon"
    assert chosen("auto", libvirt_sockets=(tmp_path / "none",)) == Choice("qemu", expected)


def test_auto_takes_libvirt_where_it_answers(daemon: Path) -> None:
    found = chosen("auto", libvirt_sockets=(daemon,))
    assert found.driver_name == "libvirt"
    assert found.reason.startswith(f"libvirt answers at {daemon}; QEMU 7.2.22")


def test_auto_says_what_is_missing_where_libvirt_answers_and_has_no_binding(daemon: Path) -> None:
    found = chosen("auto", libvirt_sockets=(daemon,), has_binding=False)
    assert found.driver_name == "qemu"
    assert found.reason.endswith(f"libvirt answers at {daemon}, for the driver of it: make virt")


def test_auto_takes_libvirt_where_the_settings_name_a_daemon() -> None:
    assert chosen("auto", libvirt_uri="qemu:///embed?root=/x").driver_name == "libvirt"
    with pytest.raises(HypervisorUnavailable, match="make virt"):
        chosen("auto", libvirt_uri="qemu:///system", has_binding=False)


@pytest.mark.parametrize("name", ["qemu", "libvirt"])
def test_auto_stays_with_the_driver_that_has_guests(name: str, daemon: Path, tmp_path: Path) -> None:
    (tmp_path / name / "instances" / "11111111-2222-4333-8444-555555555555").mkdir(parents=True)
    found = chosen("auto", libvirt_sockets=(daemon,) if name == "qemu" else (), state_dir=tmp_path)
    assert found.driver_name == name
    assert "its guests are here already" in found.reason


def test_a_socket_that_nobody_listens_on_is_no_libvirt(tmp_path: Path) -> None:
    path = tmp_path / "libvirt-sock"
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(path))
    assert chosen("auto", libvirt_sockets=(path,)).reason.endswith("no libvirt daemon")


@pytest.mark.parametrize("name", ["auto", "qemu"])
def test_without_any_hypervisor_the_line_is_told_that_installs_one(name: str) -> None:
    with pytest.raises(HypervisorUnavailable, match="apt-get install -y --no-install-recommends qemu-system-x86 qemu"):
        chosen(name, qemu=None)


def test_the_simulated_driver_is_chosen_by_name_only() -> None:
    assert chosen("simulated", qemu=None).driver_name == "simulated"


def test_libvirt_by_name_needs_its_binding() -> None:
    assert chosen("libvirt").driver_name == "libvirt"
    with pytest.raises(HypervisorUnavailable, match="make virt"):
        chosen("libvirt", has_binding=False)


def test_an_unknown_driver_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsUnusable, match="auto, qemu, simulated, libvirt"):
        chosen("xen")


@pytest.mark.parametrize(
    "flags, device, kind",
    [
        ("fpu vmx sse", True, "kvm"),
        ("fpu svm sse", True, "kvm"),
        ("fpu sse", True, "tcg"),
        ("fpu vmx_flag_of_another_name", True, "tcg"),
        ("fpu vmx", False, "tcg"),
    ],
)
def test_hardware_is_used_where_the_processor_and_the_device_have_it(
    tmp_path: Path, flags: str, device: bool, kind: str
) -> None:
    cpuinfo, kvm = tmp_path / "cpuinfo", tmp_path / "kvm"
    cpuinfo.write_text(f"processor : 0\nflags : {flags}\n")
    if device:
        kvm.touch()
    found = find_accelerator(cpuinfo=cpuinfo, device=kvm)
    assert found.kind == kind
    assert found.reason
