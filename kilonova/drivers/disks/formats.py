"""What a disk image really is, read from its first bytes before any program of QEMU's sees it.

Images come from strangers. QEMU's own tools would follow what a header says (a backing file, an external data file)
to any path on the host, so nothing is opened by them that this module has not passed, and always with its format
named.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause

_QCOW2: Final = struct.Struct(">4sIQIIQIIQQIIQ")
_QCOW2_V3: Final = struct.Struct(">QQQII")
_QCOW2_MAGIC: Final = b"QFI\xfb"
_DATA_FILE_BIT: Final = 1 << 2
# dirty, corrupt (refused elsewhere), compression type, extended L2 entries: all harmless to read
_READABLE_BITS: Final = 0b11001
_DATA_FILE_NAME: Final = 0x44415441
_ISO_MAGIC_AT: Final = 0x8001
_ISO_MAGIC: Final = b"CD001"
_SIGNATURES: Final = (
    (0, _QCOW2_MAGIC, "qcow2"),
    (0, b"KDMV", "vmdk"),
    (0, b"COWD", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"conectix", "vhd"),
    (0, b"LUKS\xba\xbe", "luks"),
    (0, b"QED\0", "qed"),
    (0x40, b"\x7f\x10\xda\xbe", "vdi"),
    (_ISO_MAGIC_AT, _ISO_MAGIC, "iso"),
)
_PLAIN: Final = ("raw", "ami", "aki", "ari")
"""Formats of which only Amazon's names tell what is inside: a disk, a machine, a kernel, a ramdisk."""
KNOWN_FORMATS: Final = (*_PLAIN, "qcow2", "iso")
DISK_FORMATS: Final = ("raw", "ami", "qcow2")
"""Those of what can be a guest's first disk."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a checked image is."""

    disk_format: str
    virtual_size: int
    """Bytes of the disk that a guest sees."""


def check_image(path: Path, *, image_id: str, claimed: str) -> ImageFacts:
    """See that the file is what its owner said and refers to nothing outside itself.

    Raises GuestFailure: IMAGE_CORRUPT where it is not what it claims to be or is damaged, IMAGE_REFUSED where it
    refers to other files or has a format that is not booted here.
    """
    if claimed not in KNOWN_FORMATS:
        raise _refused(image_id, f"has the format {claimed!r}; what boots here is {', '.join(KNOWN_FORMATS)}")
    with path.open("rb") as file:
        size = file.seek(0, 2)
        found = _signature(file)
        if claimed in _PLAIN and found in (None, "iso"):  # an iso can be written to a disk as it is, and boots
            return ImageFacts("raw", size)
        if found != claimed:
            detail = (
                f"its first bytes are those of {found}" if found else "its first bytes are those of no known format"
            )
            text = f"image {image_id} is not the {claimed} it claims to be"
            raise GuestFailure(FaultCause.IMAGE_CORRUPT, text, detail=detail)
        if claimed == "iso":
            return ImageFacts("iso", size)
        return ImageFacts("qcow2", _Qcow2(file, size, image_id).virtual_size())


def _signature(file: BinaryIO) -> str | None:
    for at, magic, name in _SIGNATURES:
        file.seek(at)
        if file.read(len(magic)) == magic:
            return name
    return None


def _refused(image_id: str, why: str) -> GuestFailure:
    return GuestFailure(FaultCause.IMAGE_REFUSED, f"image {image_id} {why}")


def _damaged(image_id: str, detail: str) -> GuestFailure:
    text = f"image {image_id} is a damaged or cut off qcow2"
    return GuestFailure(FaultCause.IMAGE_CORRUPT, text, detail=detail)


class _Qcow2:
    """The header of a qcow2 file; the fields are named as in QEMU's docs/interop/qcow2.txt."""

    def __init__(self, file: BinaryIO, file_size: int, image_id: str) -> None:
        self._file = file
        self._file_size = file_size
        self._image_id = image_id
        if file_size < _QCOW2.size:
            raise _damaged(image_id, f"{file_size} bytes are no whole header")
        file.seek(0)
        (
            _,
            self.version,
            self.backing_file_offset,
            _,
            self.cluster_bits,
            self.size,
            self.crypt_method,
            self.l1_size,
            self.l1_table_offset,
            self.refcount_table_offset,
            self.refcount_table_clusters,
            _,
            _,
        ) = _QCOW2.unpack(file.read(_QCOW2.size))
        self.incompatible = self._extended_header()[0]

    def virtual_size(self) -> int:
        """Bytes of the disk, once everything else was found to be in order."""
        self._refuse_references()
        if self.version not in (2, 3) or not 9 <= self.cluster_bits <= 21:
            raise _damaged(self._image_id, f"version {self.version}, cluster_bits {self.cluster_bits}")
        if self.incompatible & ~_READABLE_BITS:
            raise _damaged(self._image_id, f"incompatible features {self.incompatible:#x}")
        entries_needed = -(-self.size // (1 << (2 * self.cluster_bits - 3)))
        if self.l1_size < entries_needed:
            raise _damaged(self._image_id, f"{self.l1_size} L1 entries for {self.size} bytes")
        self._inside(self.l1_table_offset, self.l1_size * 8, "the L1 table")
        self._inside(
            self.refcount_table_offset, self.refcount_table_clusters << self.cluster_bits, "the refcount table"
        )
        return int(self.size)

    def _refuse_references(self) -> None:
        if self.backing_file_offset:
            raise _refused(self._image_id, "refers to a backing file")
        if self.incompatible & _DATA_FILE_BIT or _DATA_FILE_NAME in self._extensions():
            raise _refused(self._image_id, "keeps its data in another file")
        if self.crypt_method:
            raise _refused(self._image_id, "is encrypted")

    def _inside(self, offset: int, length: int, what: str) -> None:
        if not offset or offset + length > self._file_size:
            raise _damaged(self._image_id, f"{what} is outside the file of {self._file_size} bytes")

    def _extended_header(self) -> tuple[int, int]:
        """(incompatible features, length of the header)."""
        if self.version < 3:
            return 0, _QCOW2.size
        raw = self._file.read(_QCOW2_V3.size)
        if len(raw) < _QCOW2_V3.size:
            raise _damaged(self._image_id, "the header is cut off")
        incompatible, _, _, _, length = _QCOW2_V3.unpack(raw)
        return incompatible, length

    def _extensions(self) -> set[int]:
        self._file.seek(_QCOW2.size)
        at = self._extended_header()[1]
        found: set[int] = set()
        end = 1 << min(self.cluster_bits, 21)
        while at + 8 <= end:
            self._file.seek(at)
            raw = self._file.read(8)
            kind, length = struct.unpack(">II", raw) if len(raw) == 8 else (0, 0)
            if not kind:
                break
            found.add(kind)
            at += 8 + (length + 7) // 8 * 8
        return found
