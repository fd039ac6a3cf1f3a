"""The tiny kernel's bytes."""

import shutil
import struct

import pytest

from kilonova.images.guests import tiny_kernel


def test_it_has_the_header_of_linuxs_boot_protocol() -> None:
    data = tiny_kernel.image()
    assert data[0x1FE:0x200] == b"\x55\xaa"
    assert struct.unpack_from("<4sH", data, 0x202) == (b"HdrS", 0x202)
    assert len(data) > (data[0x1F1] + 1) * 512, "there is something behind its setup code"


def test_it_says_what_the_module_promises() -> None:
    for text in (tiny_kernel.TOLD, tiny_kernel.RAMDISK_SAYS):
        assert text.encode() in tiny_kernel.image()


def test_the_bytes_are_those_of_the_source() -> None:
    if shutil.which("as") is None or shutil.which("ld") is None:
        pytest.skip("binutils are not installed: the bytes cannot be compared with the source")
    assert bytes(0x1F0) + tiny_kernel.assemble() == tiny_kernel.image().rstrip(b"\0")
