"""What does not apply to Kilonova, and why: samples that are not asked for, and requests that are clearly refused.

Patterns are those of ``fnmatch`` over the sample's path (``os-evacuate/v2.14/server-evacuate-req``). What is only not
there *yet* stands in ``not_yet.txt``.
"""

from fnmatch import fnmatchcase
from typing import Final

from tests.compat.golden.golden_data import Capture, Sample

_CELLS: Final = "a cell that does not answer: Kilonova has no cells"
_WRONG: Final = "Nova refuses its own sample: no files are injected from 2.57 on"
_VOLUMES: Final = "no volumes"
_CONSOLES: Final = "no driver of ours offers a remote console of this kind"

UNASKED: Final[dict[str, str]] = {
    "os-server-topology/*": "guests have no NUMA topology; the answer without one is among those recorded",
    "servers/v2.69/servers-*-resp": _CELLS,
    "os-services/v2.69/services-list-get-resp": _CELLS,
}
"""Shapes that no situation of Kilonova can have."""

REFUSED: Final[dict[str, tuple[int, str]]] = {
    "consoles/*": (410, "removed from Nova"),
    "os-admin-actions/admin-actions-reset-network": (410, "removed from Nova"),
    "os-hosts/*": (501, "no driver powers hosts or puts them into maintenance, as libvirt's in Nova"),
    "os-hypervisors/v2.53/hypervisors-uptime-resp": (501, "a simulated host has no uptime, as in Nova"),
    "os-remote-consoles/*rdp-console-*": (400, "removed from Nova"),
    "os-remote-consoles/*spice-console-*": (501, _CONSOLES),
    "os-remote-consoles/*mks-console-*": (501, _CONSOLES),
    "servers/v2.67/server-create-req": (501, _VOLUMES),
    "servers/v2.90/server-create-req": (400, _WRONG),
    "servers/v2.94/server-create-req": (400, _WRONG),
}
"""Requests that get a clear answer, which is no."""

FAILING: Final[dict[str, str]] = {
    "servers/v2.63/server-action-rebuild": "accepted, and then aborted: no signature of an image can be verified",
}
"""Requests that are accepted, as Nova accepts them, and whose operation then fails, as it would there."""

UNCOMPARED: Final[dict[str, str]] = {
    "volumes@2.1": "the recorded cloud had no volume service and failed with 500",
}
"""Recorded answers that no cloud should give."""


MORE: Final[dict[str, tuple[str, str]]] = {
    "server-action-*@latest": ("location", "where the accepted operation can be watched: Nova has no such place"),
}
"""Headers that Kilonova has on purpose where the recorded cloud had none."""


def added_headers(capture: Capture) -> frozenset[str]:
    """The headers of the answer that are Kilonova's own, besides those that were recorded."""
    return frozenset(header for pattern, (header, _) in MORE.items() if fnmatchcase(capture.title, pattern))


def unasked_because(sample: Sample) -> str | None:
    """Why the sample is not asked for; None if it is."""
    return next((why for pattern, why in UNASKED.items() if fnmatchcase(sample.path, pattern)), None)


def refusal(sample: Sample) -> tuple[int, str] | None:
    """The status that the sample's request is refused with, and why; None if it is to be answered."""
    return next((row for pattern, row in REFUSED.items() if fnmatchcase(sample.path, pattern)), None)


def is_to_fail(sample: Sample) -> bool:
    """Whether what the sample asks for is accepted and then fails."""
    return any(fnmatchcase(sample.path, pattern) for pattern in FAILING)


def uncompared_because(capture: Capture) -> str | None:
    """Why the recorded answer is not compared; None if it is."""
    return UNCOMPARED.get(capture.title)
