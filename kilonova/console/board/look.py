"""One look at a cloud: asks, and remembers where each figure is from, how old it is, and what was not told."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from kilonova.console.client import Client
from kilonova.console.errors import CloudError

_REFUSED: Final = frozenset({403, 404, 405, 409, 410, 501, None})
_ID: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.:@-]{0,254}")
"""Ids, request ids and names of hosts: nothing in them means anything in an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a figure is from: the address that told it, and when."""

    path: str
    at: datetime


@dataclass(kw_only=True)
class Look:
    """One look at a cloud. ``unknown`` are the parts that it, or its login, was not told."""

    client: Client
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    unknown: list[str] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)

    def compute(self, what: str, path: str, default: Any, **query: Any) -> Any:
        """A part of Nova's API that this login may not see, or this cloud may not have; then ``default``."""
        return self._tried(what, path, default, lambda: self.client.compute(path, **query))

    def state(self, what: str, path: str, default: Any, **query: Any) -> Any:
        """A part of Kilonova's own surface; ``default`` where there is none."""
        if not self.client.has_state():
            self.unknown.append(what)
            return default
        return self._tried(what, f"/state/v1{path}", default, lambda: self.client.state(path, **query))

    def source(self, what: str) -> Source | None:
        """Where this part is from; None where it was not told."""
        return self.sources.get(what)

    def _tried(self, what: str, path: str, default: Any, ask: Callable[[], Any]) -> Any:
        try:
            found = ask()
        except CloudError as error:
            if error.status not in _REFUSED:
                raise
            self.unknown.append(what)
            return default
        self.sources[what] = Source(path=path, at=datetime.now(UTC))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """How much of something is taken."""

    name: str
    used: float
    total: float

    @property
    def percent(self) -> float:
        """0 to 100, whatever is promised beyond what there is."""
        return min(100.0, 100.0 * self.used / self.total) if self.total > 0 else 0.0


def checked_id(text: str) -> str:
    """An id, a request id or the name of a host as it may stand in an address. CloudError for what can be none."""
    if not _ID.fullmatch(text):
        raise CloudError("That is no id.", status=404)
    return text
