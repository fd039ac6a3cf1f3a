"""What does not conform yet, and why: the work list. ``not_yet.txt`` has it, a line ``# reason`` above its members.

The list is strict: a member that conforms fails its test until it is struck off.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("not_yet.txt")


def reasons(text: str | None = None) -> dict[str, str]:
    """Member → reason. ValueError for a member without a reason, or one that stands there twice."""
    found: dict[str, str] = {}
    reason = ""
    for line in (FILE.read_text("utf-8") if text is None else text).splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line:
            if not reason or line in found:
                raise ValueError(f"{line} stands twice, or without a reason")
            found[line] = reason
    return found


def text_of(found: Mapping[str, str]) -> str:
    """The list as it is kept: reasons in their order of the alphabet, members in their own order."""
    return "\n".join(
        f"# {reason}\n" + "".join(f"{member}\n" for member in _members(found, reason))
        for reason in sorted(set(found.values()), key=str.lower)
    )


def _members(found: Mapping[str, str], reason: str) -> Iterable[str]:
    return (member for member in found if found[member] == reason)
