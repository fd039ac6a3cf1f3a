import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.domain.errors import Invalid
from kilonova.images.formats import DISK_FORMATS, HEAD_BYTES, check_head, check_whole, virtual_size


def qcow2(
    *, version: int = 3, backing: int = 0, cluster_bits: int = 16, features: int = 0, l1_offset: int = 104
) -> bytes:
    head = struct.pack(">4sIQIIQIIQ", b"QFI\xfb", version, backing, 0, cluster_bits, 64 << 20, 0, 1, l1_offset)
    return head + struct.pack(">QIIQQQQII", 0, 0, 0, 0, features, 0, 0, 4, 104) + bytes(512)


def test_a_plain_qcow2_is_accepted_and_its_virtual_size_read() -> None:
    head = qcow2()
    check_head("x", "qcow2", head)
    check_whole("x", "qcow2", head, len(head))
    assert virtual_size("qcow2", head, len(head)) == 64 << 20


def test_a_version_2_header_has_no_features_to_check() -> None:
    check_head("x", "qcow2", qcow2(version=2)[:72])


@pytest.mark.parametrize(
    "head, reason",
    [
        (b"", "not the qcow2 it claims to be"),
        (b"hello", "not the qcow2 it claims to be"),
        (bytes(4096), "not the qcow2 it claims to be"),
        (qcow2()[:40], "not the qcow2 it claims to be"),
        (qcow2()[:76], "cut off"),
        (qcow2(version=9), "makes no sense"),
        (qcow2(cluster_bits=63), "makes no sense"),
        (qcow2(backing=1024), "backing file"),
        (qcow2(version=2, backing=1024), "backing file"),
        (qcow2(features=4), "external data file"),
    ],
)
def test_what_is_no_safe_qcow2_is_refused(head: bytes, reason: str) -> None:
    with pytest.raises(Invalid, match=f"image web.*{reason}"):
        check_head("web", "qcow2", head)


def test_a_qcow2_whose_tables_lie_behind_its_end_is_refused() -> None:
    with pytest.raises(Invalid, match="cut off"):
        check_whole("web", "qcow2", qcow2(l1_offset=1 << 40), 4096)


def test_an_iso_is_known_by_its_volume_descriptor() -> None:
    check_head("cd", "iso", bytes(32769) + b"CD001")
    with pytest.raises(Invalid, match="image cd is not the iso it claims to be"):
        check_head("cd", "iso", bytes(HEAD_BYTES))


def test_a_qcow2_is_not_taken_for_a_raw_disk() -> None:
    check_head("disk", "raw", b"\xeb\xfe" + bytes(510))
    with pytest.raises(Invalid, match="image disk is a qcow2, and not raw"):
        check_head("disk", "raw", qcow2())


@given(st.sampled_from(DISK_FORMATS), st.binary(max_size=200), st.booleans())
def test_any_bytes_are_either_accepted_or_refused(disk_format: str, data: bytes, has_magic: bool) -> None:
    data = b"QFI\xfb" + data if has_magic else data
    try:
        check_head("x", disk_format, data)
        check_whole("x", disk_format, data, len(data))
    except Invalid:
        return
    assert virtual_size(disk_format, data, len(data)) >= 0
