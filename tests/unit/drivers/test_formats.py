"""What an image is, from its header alone."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers.disks.formats import ImageFacts, check_image
from kilonova.images.guests import tiny

GOOD = tiny.qcow2_image()


def check(tmp_path: Path, data: bytes, claimed: str = "qcow2") -> ImageFacts:
    path = tmp_path / "image"
    path.write_bytes(data)
    return check_image(path, image_id="x", claimed=claimed)


def changed(offset: int, layout: str, value: int) -> bytes:
    """The good image with one field of its header changed."""
    data = bytearray(GOOD)
    struct.pack_into(layout, data, offset, value)
    return bytes(data)


def test_a_good_qcow2_has_the_size_that_its_header_says(tmp_path: Path) -> None:
    assert check(tmp_path, GOOD) == ImageFacts("qcow2", tiny.VIRTUAL_SIZE)


def test_a_qcow2_of_version_two_is_good_too(tmp_path: Path) -> None:
    assert check(tmp_path, changed(4, ">I", 2)).virtual_size == tiny.VIRTUAL_SIZE


def test_any_bytes_are_raw_unless_they_are_another_format(tmp_path: Path) -> None:
    assert check(tmp_path, b"anything", "raw") == ImageFacts("raw", 8)
    assert check(tmp_path, b"", "raw") == ImageFacts("raw", 0)


def test_a_cd_image_may_also_be_used_as_a_disk(tmp_path: Path) -> None:
    cd = bytes(0x8001) + b"CD001" + bytes(100)
    assert check(tmp_path, cd, "iso").disk_format == "iso"
    assert check(tmp_path, cd, "raw").disk_format == "raw"


@pytest.mark.parametrize(
    "data, claimed",
    [
        (b"", "qcow2"),
        (b"no image", "qcow2"),
        (b"no image", "iso"),
        (GOOD, "raw"),
        (GOOD, "iso"),
        (b"KDMV" + bytes(600), "raw"),
        (b"vhdxfile" + bytes(600), "raw"),
        (b"LUKS\xba\xbe" + bytes(600), "raw"),
        (bytes(0x40) + b"\x7f\x10\xda\xbe", "raw"),
    ],
)
def test_what_is_not_what_it_claims_is_corrupt(tmp_path: Path, data: bytes, claimed: str) -> None:
    with pytest.raises(GuestFailure, match=f"not the {claimed} it claims to be") as failure:
        check(tmp_path, data, claimed)
    assert failure.value.cause is FaultCause.IMAGE_CORRUPT


@pytest.mark.parametrize(
    "data, why",
    [
        (changed(8, ">Q", 0x200), "backing file"),
        (changed(72, ">Q", 1 << 2), "another file"),
        (changed(104, ">I", 0x44415441), "another file"),
        (changed(32, ">I", 2), "encrypted"),
    ],
    ids=["backing file", "data file bit", "data file name", "encryption"],
)
def test_a_qcow2_that_needs_more_than_itself_is_refused(tmp_path: Path, data: bytes, why: str) -> None:
    with pytest.raises(GuestFailure, match=why) as failure:
        check(tmp_path, data)
    assert failure.value.cause is FaultCause.IMAGE_REFUSED


@pytest.mark.parametrize(
    "data",
    [
        GOOD[:50],
        GOOD[:80],
        GOOD[:1024],
        changed(4, ">I", 4),
        changed(20, ">I", 40),
        changed(24, ">Q", 1 << 50),
        changed(40, ">Q", 1 << 40),
        changed(48, ">Q", 0),
        changed(72, ">Q", 1 << 1),
        changed(72, ">Q", 1 << 60),
    ],
)
def test_a_damaged_header_is_corrupt(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(GuestFailure) as failure:
        check(tmp_path, data)
    assert failure.value.cause is FaultCause.IMAGE_CORRUPT


@given(st.data())
def test_no_header_whatever_makes_the_check_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    damaged = bytearray(GOOD)
    for at in data.draw(st.lists(st.integers(4, 130), max_size=12)):
        damaged[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(4, len(damaged)))
    try:
        facts = check(tmp_path_factory.mktemp("image"), bytes(damaged[:cut]))
    except GuestFailure as failure:
        assert failure.cause in (FaultCause.IMAGE_CORRUPT, FaultCause.IMAGE_REFUSED)  # noqa: PT017 - either is right
    else:
        assert facts.disk_format == "qcow2"
