"""What the first bytes of an image say about it, judged in pure Python before anything else opens it.

A qcow2 can name another file of the host as its backing or data file, and whoever opens it reads that file: such
images are refused at the door.
"""

import struct
from typing import Final

from kilonova.domain.errors import Invalid

AMAZONS: Final = ("ami", "aki", "ari")
"""Both formats at once, of a machine's disk that needs a kernel, of a kernel, and of a ramdisk."""
DISK_FORMATS: Final = ("raw", "qcow2", "iso", *AMAZONS)
CONTAINER_FORMATS: Final = ("bare", *AMAZONS)

HEAD_BYTES: Final = 32768 + 8
"""How much of the start of an image is needed to judge it: up to the ISO 9660 volume descriptor's name."""

_QCOW2_MAGIC: Final = b"QFI\xfb"
_QCOW2_HEADER: Final = struct.Struct(">4sIQIIQIIQ")
_QCOW2_INCOMPATIBLE: Final = struct.Struct(">Q")
_INCOMPATIBLE_AT: Final = 72
_DATA_FILE_BIT: Final = 4
_CLUSTER_BITS: Final = range(9, 22)
_ISO_MAGIC: Final = b"CD001"
_ISO_MAGIC_AT: Final = 32769


def matched_formats(disk_format: str | None, container_format: str | None) -> tuple[str | None, str | None]:
    """The two formats of an image, of which one of Amazon's gives the other. Invalid, in Glance's words, for a mix."""
    given = {disk_format, container_format} - {None}
    if not given & set(AMAZONS):
        return disk_format, container_format
    if len(given) > 1:
        raise Invalid(
            "Invalid mix of disk and container formats. When setting a disk or container format to one of 'aki', "
            "'ari', or 'ami', the container and disk formats must match."
        )
    return disk_format or container_format, container_format or disk_format


def check_head(label: str, disk_format: str, head: bytes) -> None:
    """Judge the first ``HEAD_BYTES`` (or all there is) of an image called ``label``.

    Invalid where it is not what ``disk_format`` says, or refers to other files.
    """
    if disk_format == "qcow2":
        _check_qcow2(label, head)
    elif disk_format == "iso":
        if head[_ISO_MAGIC_AT : _ISO_MAGIC_AT + len(_ISO_MAGIC)] != _ISO_MAGIC:
            raise Invalid(f"image {label} is not the iso it claims to be")
    elif head.startswith(_QCOW2_MAGIC):
        raise Invalid(f"image {label} is a qcow2, and not {disk_format} as it claims")


def check_whole(label: str, disk_format: str, head: bytes, size: int) -> None:
    """Judge an image of which all ``size`` bytes have arrived. Invalid where a part is missing."""
    if disk_format == "qcow2":
        *_, l1_entries, l1_offset = _QCOW2_HEADER.unpack_from(head)
        if l1_offset + l1_entries * 8 > size:
            raise Invalid(f"image {label} is a qcow2 that was cut off: its tables lie behind its end")


def virtual_size(disk_format: str, head: bytes, size: int) -> int:
    """The bytes that a guest sees of an image that was judged good."""
    if disk_format != "qcow2":
        return size
    bytes_seen: int = _QCOW2_HEADER.unpack_from(head)[5]
    return bytes_seen


def _check_qcow2(label: str, head: bytes) -> None:
    if len(head) < _QCOW2_HEADER.size or not head.startswith(_QCOW2_MAGIC):
        raise Invalid(f"image {label} is not the qcow2 it claims to be")
    _, version, backing_offset, _, cluster_bits, *_ = _QCOW2_HEADER.unpack_from(head)
    if version not in (2, 3) or cluster_bits not in _CLUSTER_BITS:
        raise Invalid(f"image {label} is not the qcow2 it claims to be: its header makes no sense")
    if backing_offset:
        raise Invalid(f"image {label} is a qcow2 with a backing file; flatten it first (qemu-img convert)")
    if version == 3:
        _check_qcow2_features(label, head)


def _check_qcow2_features(label: str, head: bytes) -> None:
    if len(head) < _INCOMPATIBLE_AT + _QCOW2_INCOMPATIBLE.size:
        raise Invalid(f"image {label} is not the qcow2 it claims to be: its header is cut off")
    (features,) = _QCOW2_INCOMPATIBLE.unpack_from(head, _INCOMPATIBLE_AT)
    if features & _DATA_FILE_BIT:
        raise Invalid(f"image {label} is a qcow2 with an external data file; convert it first (qemu-img convert)")
