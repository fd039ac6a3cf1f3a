"""The tiny guest's bytes."""

import shutil
import struct

import pytest

from kilonova.images.guests import tiny


def test_the_boot_sector_is_one_sector_with_its_signature() -> None:
    assert len(tiny.boot_sector()) == 512
    assert tiny.boot_sector().endswith(b"\x55\xaa")


def test_the_image_starts_with_a_boot_counter_of_zero() -> None:
    assert len(tiny.image()) == tiny.VIRTUAL_SIZE
    assert not any(tiny.image()[512:])


def test_the_guest_says_what_the_module_promises() -> None:
    assert tiny.READY.encode() in tiny.boot_sector()


def test_the_qcow2_is_small_and_holds_the_boot_sector() -> None:
    data = tiny.qcow2_image()
    assert data.startswith(b"QFI\xfb")
    assert struct.unpack_from(">Q", data, 24) == (tiny.VIRTUAL_SIZE,)
    assert len(data) == 3072
    assert data.endswith(tiny.boot_sector())


def test_the_bytes_are_those_of_the_source() -> None:
    if shutil.which("as") is None or shutil.which("ld") is None:
        pytest.skip("binutils are not installed: the bytes cannot be compared with the source")
    assert tiny.assemble() == tiny.boot_sector()
