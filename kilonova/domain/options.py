"""How a module declares its settings: one dataclass field an option, with its meaning beside its default.

``config.py`` gathers the declarations, reads their values once, and hands them down as arguments; the reference page
of settings is generated from the same declarations. Names are Nova's where Nova has the option.
"""

from dataclasses import Field, field
from typing import Any, Final, TypeVar

_T = TypeVar("_T")
_HELP: Final = "help"


def option(default: _T, meaning: str) -> _T:
    """A dataclass field with this default; ``meaning`` is one or two sentences, with the unit."""
    return field(default=default, metadata={_HELP: meaning})


def meaning_of(declared: Field[Any]) -> str:
    """What the option means, as its declaration says."""
    return str(declared.metadata.get(_HELP, ""))
