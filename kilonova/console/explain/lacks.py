"""What to do when no host could take a server: by what the hosts lacked. Pure.

What they lacked is told by the decision, and to who may not read decisions by the fault, in the same words. Another
Nova tells neither; then the advice is the general one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

_ONE: Final = re.compile(r"1 candidate, (.+)", re.DOTALL)
_MANY: Final = re.compile(r"\d+ candidates: (.+)", re.DOTALL)
_NEXT_COUNT: Final = re.compile(r", (?=\d+ )")
_COUNT: Final = re.compile(r"\d+ ")

KINDS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("none", r"no compute host has reported yet"),
        ("own", r"the server's own host"),
        ("tried", r"tried before"),
        ("absent", r"down|hypervisor not answering"),
        ("disabled", r"disabled"),
        ("zone", r"outside zone .+"),
        ("named", r"not the (host|node) that was named"),
        ("apart", r"taken by members of an anti-affinity group"),
        ("together", r"apart from the members of an affinity group"),
        ("hint", r"apart from the servers to be near|taken by a server to keep away from"),
        ("hint", r"outside the network to be near|not what the query asks for"),
        ("flavor", r"in no aggregate with the wanted .+|without the wanted .+"),
        ("image", r"kept for images with another .+|not for isolated images|kept for isolated images"),
        ("image", r"of another (architecture|hypervisor|mode) than the image"),
        ("project", r"kept for other projects"),
        ("busy", r"full of servers|too busy"),
        ("capacity", r"short of .+"),
    )
)
"""What kind of lack a reason tells of."""
_BESIDE: Final = frozenset({"own", "tried"})
"""What is no trouble of its own where other hosts lacked something else."""
_AWAY: Final = frozenset({"absent", "disabled"})
_ROOM: Final = frozenset({"capacity", "busy"})

GENERAL: Final = "Choose a smaller flavor or another zone, or free or add capacity on the hosts that were nearest."
MIXED: Final = (
    "Hosts were turned down for different reasons: mend the one that is mended most easily, or ask for less. A smaller "
    "flavor helps only where hosts are short of something."
)


def _mends(kinds: AbstractSet[str], advice: str) -> tuple[AbstractSet[str], str]:
    return kinds, advice


ADVICE: Final[tuple[tuple[AbstractSet[str], str], ...]] = (
    _mends(
        {"none"},
        "Add a compute host, or see that the agents of those that should be there run and reach the control plane.",
    ),
    _mends(
        _BESIDE,
        "Every other host was tried, and failed: see why in the timeline, mend that, then ask again.",
    ),
    _mends(
        {"capacity"},
        "Choose a smaller flavor, or free or add capacity on the hosts that were nearest.",
    ),
    _mends(
        {"busy"},
        "Hosts have as many servers or operations as the settings allow: ask again later, move servers away, or add "
        "hosts.",
    ),
    _mends(
        {"disabled"},
        "Enable a host again, or add one: those that are disabled take no new servers.",
    ),
    _mends(
        {"absent"},
        "Bring hosts back: see that the machines, their agents and their hypervisors run.",
    ),
    _mends(
        _AWAY,
        "Bring back hosts that are down, or enable some that are disabled.",
    ),
    _mends(
        _AWAY | _ROOM,
        "Choose a smaller flavor, free or add capacity, or bring back or enable the other hosts.",
    ),
    _mends(
        {"apart"},
        "Each host has as many servers of the group as its policy allows: add a host, delete or move one of them, or "
        "use a group with the policy soft-anti-affinity. A smaller flavor does not help.",
    ),
    _mends(
        {"apart"} | _AWAY | _ROOM,
        "Hosts where the group allows another server are full, down or disabled: make room there, bring them back, add "
        "a host, or use a group with the policy soft-anti-affinity.",
    ),
    _mends(
        {"together"} | _AWAY | _ROOM,
        "The group keeps its servers together: make room on the host where they are, or move them to one that has it. "
        "A group with the policy soft-affinity would let this one go elsewhere.",
    ),
    _mends(
        {"zone"},
        "No host of that zone reports: choose one that the list of zones has, or none.",
    ),
    _mends(
        {"zone"} | _AWAY,
        "Bring back or enable hosts of the zone, or choose another zone, or none.",
    ),
    _mends(
        {"zone"} | _AWAY | _ROOM,
        "Choose another zone, or none, or a smaller flavor, or free or add capacity on hosts of the zone.",
    ),
    _mends(
        {"named"},
        "No host of that name reports: name one that the list of hosts has, or none, and let the cloud choose.",
    ),
    _mends(
        {"named", "zone"} | _AWAY,
        "See that the host that was named exists, is in the zone, is up and enabled; or name none, and let the cloud "
        "choose.",
    ),
    _mends(
        {"named", "zone"} | _AWAY | _ROOM,
        "The host that was named has no room: choose a smaller flavor, make room there, or name another host, or none.",
    ),
    _mends(
        {"flavor"},
        "The flavor's extra specs ask for what no host has: choose another flavor, or give a host or its aggregate "
        "what they ask for.",
    ),
    _mends(
        {"image"},
        "The image and the hosts do not go together: see the image's properties (such as hw_architecture) and the "
        "aggregates' metadata, use another image, or add a host for it.",
    ),
    _mends(
        {"project"},
        "The hosts are kept for other projects: let an administrator add this one to an aggregate's filter_tenant_id, "
        "or add hosts.",
    ),
    _mends(
        {"hint"},
        "The scheduler hints leave no host: change them, or leave them out.",
    ),
)
"""Kinds of lacks, and what mends them: the first row that has all that were found."""


def count_lacks(decision: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """How many candidates of a decision each filter turned down, and why; empty where that is not told."""
    return (decision.get("document") or {}).get("counts") or []


def find_reasons(decision: Mapping[str, Any], said: str) -> list[str]:
    """Why candidates were turned down, each once: by the decision, or by what the fault ``said`` of it."""
    rows = count_lacks(decision)
    return [str(row.get("reason")) for row in rows] if rows else _reasons_in(str(decision.get("summary") or said))


def advise(reasons: Iterable[str]) -> str:
    """What to do where candidates were turned down for these reasons."""
    kinds = {_kind(reason) for reason in reasons}
    kinds = kinds - _BESIDE or kinds
    if not kinds or None in kinds:
        return GENERAL
    return next((advice for mended, advice in ADVICE if kinds <= mended), MIXED)


def _kind(reason: str) -> str | None:
    return next((kind for kind, pattern in KINDS if pattern.fullmatch(reason)), None)


def _reasons_in(summary: str) -> list[str]:
    only = _ONE.fullmatch(summary)
    if only:
        return only[1].split(" and ")
    many = _MANY.fullmatch(summary)
    return [_COUNT.sub("", part, count=1) for part in _NEXT_COUNT.split(many[1])] if many else [summary]
