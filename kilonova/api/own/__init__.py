"""Our own surface beside Nova's, one module a noun; ``ROUTES`` are all of its rows."""

from typing import Final

from kilonova.api.own import (
    audits,
    conditions,
    counts,
    decisions,
    events,
    faults,
    fleet,
    host_history,
    operations,
    past,
    sinks,
    stats,
    usage,
)

_EACH: Final = (
    conditions,
    decisions,
    operations,
    events,
    past,
    sinks,
    faults,
    usage,
    audits,
    counts,
    fleet,
    host_history,
    stats,
)
ROUTES: Final = tuple(row for each in _EACH for row in each.ROUTES)
