"""How the bytes of the project's own guests come of their sources: by an assembler, into the modules that have them."""

import subprocess
import tempfile
from pathlib import Path
from typing import Final

_BEGIN: Final = 'bytes.fromhex(\n    """\n'
_END: Final = '    """'
_WIDTH: Final = 100


def assemble(source: Path, *, at: int) -> bytes:
    """The bytes that the assembler makes of a source for 16-bit code at this address; needs binutils."""
    with tempfile.TemporaryDirectory() as scratch:
        parts = Path(scratch, "made.o"), Path(scratch, "made.bin")
        linked = ("-m", "elf_i386", "-Ttext", f"{at:#x}", "-e", "start", "--oformat", "binary")
        subprocess.run(("as", "--32", "-o", parts[0], source), check=True)  # noqa: S607 - binutils are on the PATH
        subprocess.run(("ld", *linked, "-o", parts[1], parts[0]), check=True)  # noqa: S607
        return parts[1].read_bytes()


def rebuild(module: Path, code: bytes) -> str:
    """Put the code into the one ``bytes.fromhex`` of a module; says what was done."""
    text = module.read_text()
    before, rest = text.split(_BEGIN, 1)
    _, after = rest.split(_END, 1)
    digits = code.hex()
    lines = "".join(f"    {digits[at : at + _WIDTH]}\n" for at in range(0, len(digits), _WIDTH))
    made = f"{before}{_BEGIN}{lines}{_END}{after}"
    if made == text:
        return f"{module.stem}: the bytes are those of the source"
    module.write_text(made)
    return f"{module.stem}: rebuilt, {len(code)} bytes of code"
