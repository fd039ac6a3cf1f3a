"""Which driver is chosen, and what is said about it."""

import socket
from pathlib import Path

import pytest

from kilonova.domain.errors import HypervisorUnavailable, NotSupported, SettingsUnusable
from kilonova.drivers.choice import Choice, choose
from kilonova.drivers.host import Accelerator, QemuVersion, find_accelerator

QEMU = QemuVersion("/usr/bin/qemu-system-x86_64", 7, 2, 22)
SLOW = Accelerator("tcg", "the reason")


def chosen(name: str, *, libvirt: tuple[Path, ...] = (), qemu: QemuVersion | None = QEMU) -> Choice:
    return choose(name, libvirt_sockets=libvirt, find_qemu=lambda: qemu, find_accelerator=lambda: SLOW)


def test_auto_takes_qemu_where_there_is_no_libvirt(tmp_path: Path) -> None:
    expected = "QEMU 7.2.22 found; emulated (TCG, slower): the reason; no libvirt daemon"
    assert chosen("auto", libvirt=(tmp_path / "none",)) == Choice("qemu", expected)


def test_auto_says_so_where_libvirt_answers_and_has_no_driver_yet(tmp_path: Path) -> None:
    path = tmp_path / "libvirt-sock"
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(path))
        daemon.listen()
        found = chosen("auto", libvirt=(path,))
    assert found.driver_name == "qemu"
    assert found.reason.endswith(f"libvirt answers at {path}, and its driver is not there yet")


def test_a_socket_that_nobody_listens_on_is_no_libvirt(tmp_path: Path) -> None:
    path = tmp_path / "libvirt-sock"
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(path))
    assert chosen("auto", libvirt=(path,)).reason.endswith("no libvirt daemon")


@pytest.mark.parametrize("name", ["auto", "qemu"])
def test_without_any_hypervisor_the_line_is_told_that_installs_one(name: str) -> None:
    with pytest.raises(HypervisorUnavailable, match="apt-get install -y --no-install-recommends qemu-system-x86 qemu"):
        chosen(name, qemu=None)


def test_the_simulated_driver_is_chosen_by_name_only() -> None:
    assert chosen("simulated", qemu=None).driver_name == "simulated"


def test_libvirt_is_refused_with_a_sentence() -> None:
    with pytest.raises(NotSupported, match="not there yet"):
        chosen("libvirt")


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
