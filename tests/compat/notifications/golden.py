"""The golden data: Nova's samples, and one example and the sequences of what a real Nova sent."""

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

_FOLDER = Path(__file__).parents[2] / "data" / "notifications"
_UPDATES = ("compute.instance.update", "instance.update")


class Heard(NamedTuple):
    """One message of a sequence: ``states`` are those of an update (old and new vm state, old and new task state)."""

    event_type: str
    publisher_id: str
    priority: str
    states: tuple[str | None, ...] | None

    @property
    def is_update(self) -> bool:
        return self.event_type in _UPDATES


@cache
def samples() -> dict[str, dict[str, Any]]:
    """Nova's samples by file name, their references resolved."""
    return _read("samples")


@cache
def examples() -> dict[str, dict[str, Any]]:
    """A payload of a real Nova for each ``format event_type``, and under ``message`` all the rest of a message."""
    return _read("examples")


@cache
def sequences() -> dict[str, list[Heard]]:
    """What a real Nova sent for an operation, in order, by the operation's name."""
    return {
        name: [
            Heard(event, publisher, priority, tuple(states) if states else None)
            for event, publisher, priority, states in rows
        ]
        for name, rows in _read("sequences").items()
    }


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))
    return found
