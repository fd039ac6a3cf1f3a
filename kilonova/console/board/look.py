"""One look at a cloud: asks, and remembers where each figure is from, how old it is, and what was not told."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from kilonova.console.client import Client
from kilonova.console.errors import CloudError
from kilonova.console.intake import Hearing, Notices

_REFUSED: Final = frozenset({403, 404, 405, 409, 410, 500, 501, 502, 503, 504, None})
"""What keeps a part from being told, and is no reason to show nothing: a hypervisor that is gone is one of them."""
_ID: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.:@-]{0,254}")
"""Ids, request ids and names of hosts: nothing in them means anything in an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a figure is from: the address that told it, and when."""

    path: str
    at: datetime


@dataclass(kw_only=True)
class Look:
    """One look at a cloud. ``unknown`` are the parts that it, or its login, was not told.

    ``failed`` are those of them for which the cloud did not answer, or answered that it is broken. ``hearing`` is how
    well its message bus is heard, where that was looked at too.
    """

    client: Client
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    unknown: list[str] = field(default_factory=list)
    failed: dict[str, CloudError] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    hearing: Hearing | None = None

    def compute(self, what: str, path: str, default: Any, **query: Any) -> Any:
        """A part of Nova's API that this login may not see, or this cloud may not have; then ``default``."""
        return self._tried(what, path, default, lambda: self.client.compute(path, **query))

    def state(self, what: str, path: str, default: Any, **query: Any) -> Any:
        """A part of Kilonova's own surface; ``default`` where there is none."""
        if not self.client.has_state():
            self.unknown.append(what)
            return default
        return self._tried(what, f"/state/v1{path}", default, lambda: self.client.state(path, **query))

    def hears(self, notices: Notices) -> bool:
        """Whether what was heard on the message bus is to be looked at: a Kilonova's journal says all of it, and more.

        Where the bus is, and how much is told there, is for who administers the cloud.
        """
        if self.client.has_state():
            return False
        is_admin = "admin" in self.client.sign_in_once().roles
        self.hearing = notices.hearing if is_admin else notices.hearing.for_tenants()
        self.sources["notifications"] = Source(path=self.hearing.place, at=self.hearing.last_at or self.hearing.since)
        return True

    def check_told(self, *parts: str) -> None:
        """CloudError where the cloud failed to tell one of these parts, without which there is nothing to show.

        Without any named: where it told nothing at all, for then it is the cloud that is away, and not a part of it.
        """
        for part in parts:
            if part in self.failed:
                raise self.failed[part]
        if not parts and not self.sources:
            raise CloudError("The cloud does not answer.")

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
            if error.status is None or error.status >= 500:
                self.failed[what] = error
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
