"""What a check comes to."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """Not there, and not needed; or worth knowing."""
    WARN = "warn"
    """It works, and not as well as it could or should."""
    FAIL = "fail"
    """A cloud cannot be run, or would lose something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor's: what was ``seen``, in words, and how to ``mend`` it; empty where nothing need be."""

    check: str
    status: Status
    seen: str
    mend: str = ""
