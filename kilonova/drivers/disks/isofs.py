"""A small writer of ISO 9660 file systems (ECMA-119, with Joliet): enough for a config drive.

Everything is in blocks of 2048 bytes: 16 empty ones, the volume descriptors, then for each of the two trees (plain
names for everybody, Joliet's for those who want the names as they are) a path table in both byte orders and the
directories; the files come last and belong to both.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

BLOCK: Final = 2048
_FIRST_DESCRIPTOR: Final = 16
_FIRST_TABLE: Final = 19  # after the primary, the Joliet and the closing descriptor
_JOLIET_LEVEL_3: Final = b"%/E"
_NO_TIME: Final = b"0" * 16 + b"\0"
_EPOCH: Final = bytes((70, 1, 1, 0, 0, 0, 0))


@dataclass(slots=True)
class _Directory:
    name: str
    parent: "_Directory | None" = None
    directories: dict[str, "_Directory"] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def family(self) -> Iterator["_Directory"]:
        """It and all below, level by level, as a path table wants them."""
        level = [self]
        while level:
            yield from level
            level = [child for each in level for _, child in sorted(each.directories.items())]


class _Tree:
    """The directories in one spelling, laid out from a block on."""

    def __init__(self, root: _Directory, first_block: int, *, joliet: bool) -> None:
        self.joliet = joliet
        self.directories = list(root.family())
        self.little_table, self.big_table = first_block, first_block + 1
        # One block each holds some forty entries; a config drive has three.
        self.block_of = {id(each): first_block + 2 + n for n, each in enumerate(self.directories)}
        self.end = first_block + 2 + len(self.directories)

    def spell(self, name: str, *, is_file: bool = False) -> bytes:
        if self.joliet:
            return name.encode("utf-16-be")
        plain = name.upper() if "." in name or not is_file else f"{name.upper()}."
        return f"{plain};1".encode("ascii") if is_file else plain.encode("ascii")

    def path_table(self, order: str) -> bytes:
        numbers = {id(each): n for n, each in enumerate(self.directories, 1)}
        table = b""
        for each in self.directories:
            name = self.spell(each.name) if each.parent else b"\0"
            above = numbers[id(each.parent or each)]
            head = struct.pack(f"{order}BBIH", len(name), 0, self.block_of[id(each)], above)
            table += head + name + bytes(len(name) % 2)
        return table

    def record(self, directory: _Directory, name: bytes) -> bytes:
        return _record(name, self.block_of[id(directory)], BLOCK, is_directory=True)

    def contents(self, directory: _Directory, block_of_file: Mapping[tuple[int, str], int]) -> bytes:
        found = [
            *(
                (self.spell(name), self.record(child, self.spell(name)))
                for name, child in directory.directories.items()
            ),
            *(
                (
                    self.spell(name, is_file=True),
                    _record(self.spell(name, is_file=True), block_of_file[id(directory), name], len(data)),
                )
                for name, data in directory.files.items()
            ),
        ]
        itself = self.record(directory, b"\0") + self.record(directory.parent or directory, b"\1")
        return itself + b"".join(record for _, record in sorted(found))


def iso_image(label: str, files: Mapping[str, bytes]) -> bytes:
    """A file system with these files by path (``a/b/name``; lower-case ASCII, at most 30 characters a part)."""
    root = _tree_of(files)
    plain = _Tree(root, _FIRST_TABLE, joliet=False)
    joliet = _Tree(root, plain.end, joliet=True)
    blocks: dict[int, bytes] = {}
    block_of_file: dict[tuple[int, str], int] = {}
    at = joliet.end
    for directory in root.family():
        for name, data in directory.files.items():
            block_of_file[id(directory), name] = at
            blocks[at] = data
            at += -(-len(data) // BLOCK) or 1
    for number, tree in enumerate((plain, joliet)):
        blocks[_FIRST_DESCRIPTOR + number] = _descriptor(label, tree, root, total=at)
        blocks[tree.little_table], blocks[tree.big_table] = tree.path_table("<"), tree.path_table(">")
        for directory in tree.directories:
            blocks[tree.block_of[id(directory)]] = tree.contents(directory, block_of_file)
    blocks[_FIRST_DESCRIPTOR + 2] = b"\xffCD001\1"
    image = bytearray(at * BLOCK)
    for number, data in blocks.items():
        image[number * BLOCK : number * BLOCK + len(data)] = data
    return bytes(image)


def _tree_of(files: Mapping[str, bytes]) -> _Directory:
    root = _Directory("")
    for path, data in files.items():
        *folders, name = path.split("/")
        here = root
        for folder in folders:
            here = here.directories.setdefault(folder, _Directory(folder, here))
        here.files[name] = data
    return root


def _both(layout: str, value: int) -> bytes:
    """A number in both byte orders, as the format likes it."""
    return struct.pack(f"<{layout}", value) + struct.pack(f">{layout}", value)


def _record(name: bytes, block: int, size: int, *, is_directory: bool = False) -> bytes:
    length = 33 + len(name) + (len(name) + 1) % 2
    head = struct.pack("BB", length, 0) + _both("I", block) + _both("I", size) + _EPOCH
    head += struct.pack("BBB", 2 * is_directory, 0, 0) + _both("H", 1) + bytes((len(name),))
    return (head + name).ljust(length, b"\0")


def _descriptor(label: str, tree: _Tree, root: _Directory, *, total: int) -> bytes:
    def blank(size: int) -> bytes:
        return (b"\0 " * size)[:size] if tree.joliet else b" " * size

    return b"".join(
        (
            bytes((2 if tree.joliet else 1,)) + b"CD001\1\0",
            blank(32),
            (label.encode("utf-16-be" if tree.joliet else "ascii") + blank(32))[:32],
            bytes(8) + _both("I", total),
            (_JOLIET_LEVEL_3 if tree.joliet else b"").ljust(32, b"\0"),
            _both("H", 1) + _both("H", 1) + _both("H", BLOCK) + _both("I", len(tree.path_table("<"))),
            struct.pack("<II", tree.little_table, 0) + struct.pack(">II", tree.big_table, 0),
            tree.record(root, b"\0"),
            blank(128) * 4 + blank(37) * 3,
            _NO_TIME * 4 + b"\1\0",
        )
    )
