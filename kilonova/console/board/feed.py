"""The journal as it grows, with who is told of it; of another Nova, what its message bus tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kilonova.console.board.heard import heard_lately
from kilonova.console.board.look import Look, checked_id
from kilonova.console.board.recorded import gone_servers
from kilonova.console.client import BEYOND_ALL, Client
from kilonova.console.intake import Notice, Notices

_SHOWN: Final = 200
_LOOKED_BACK: Final = 5000
KINDS: Final = (
    "instance",
    "service",
    "condition",
    "decision",
    "aggregate",
    "flavor",
    "keypair",
    "server_group",
    "quota",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """The newest rows first; ``head`` is the journal's last number, None where there is no journal.

    ``notices`` were heard on the message bus of a cloud that has no journal. ``gone`` are servers that are no more,
    where this login may not see their pages. ``is_everyones`` says that this login is shown what all projects do:
    numbers count that, and are for nobody else to read.
    """

    rows: Sequence[Mapping[str, Any]]
    head: int | None
    sinks: Sequence[Mapping[str, Any]]
    notices: Sequence[Notice]
    gone: frozenset[str]
    is_everyones: bool
    look: Look


def feed(client: Client, *, topic: str = "", server: str = "", notices: Notices | None = None) -> Feed:
    """The newest rows, of one topic or one server if wanted."""
    look = Look(client=client)
    chosen: dict[str, Any] = {"topic": checked_id(topic)} if topic else {}
    chosen |= {"server": checked_id(server)} if server else {}
    head = look.state("journal", "/events", {"head": None}, after=BEYOND_ALL, limit=1)["head"]
    rows = [] if head is None else _newest(look, head, chosen)
    look.check_told("journal", "events")
    journal = look.state("journal", "/journal", None)
    return Feed(
        rows=rows,
        head=head,
        sinks=look.state("sinks", "/sinks", {"sinks": []})["sinks"],
        notices=heard_lately(look, notices, topic=topic, server=server),
        gone=gone_servers(look, rows),
        is_everyones=journal is not None or "admin" in look.client.sign_in_once().roles,
        look=look,
    )


def _newest(look: Look, head: int, chosen: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The last rows that match, looked for further and further back."""
    found: list[Mapping[str, Any]] = []
    back = _SHOWN
    while back <= _LOOKED_BACK:
        after = max(0, head - back)
        found = look.state("events", "/events", {"events": []}, after=after, limit=1000, **chosen)["events"]
        if len(found) >= _SHOWN or after == 0:
            break
        back *= 5
    return list(reversed(found))[:_SHOWN]
