"""How a module declares its settings: one dataclass field an option, with its meaning beside its default.

``config.py`` gathers the declarations, reads their values once, and hands them down as arguments; the reference page
of settings is generated from the same declarations. Names are Nova's where Nova has the option.
"""

from dataclasses import Field, field
from typing import Any, Final, TypeVar

_T = TypeVar("_T")
_HELP: Final = "help"
_RANGE: Final = "range"


def option(default: _T, meaning: str, *, least: float | None = None, most: float | None = None) -> _T:
    """A dataclass field with this default; ``meaning`` is one or two sentences, with the unit.

    ``least`` and ``most`` are the ends of what a number may be, both included; None for no end.
    """
    return field(default=default, metadata={_HELP: meaning, _RANGE: (least, most)})


def meaning_of(declared: Field[Any]) -> str:
    """What the option means, as its declaration says."""
    return str(declared.metadata.get(_HELP, ""))


def range_of(declared: Field[Any]) -> tuple[float | None, float | None]:
    """The least and the most that a number may be, None for no end."""
    least, most = declared.metadata.get(_RANGE, (None, None))
    return least, most
