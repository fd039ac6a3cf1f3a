"""Where an instance can live: filters and weighers over candidate hosts, and the decision with its reasons.

Pure: candidates are a snapshot, and the answer is a proposal. The claim that follows it is guarded by the store,
so a proposal made from a stale snapshot is refused there and the next host on the list is tried.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Final

from kilonova.domain.groups import Company


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What one instance needs of a host. Memory in MiB, disk in GiB; zone, host and node None for any.

    ``company`` is what its server group demands, None where it is in none.
    """

    vcpus: int
    memory_mb: int
    disk_gb: int
    availability_zone: str | None = None
    host: str | None = None
    node: str | None = None
    tried: frozenset[str] = frozenset()
    company: Company | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A compute node as it stands, with what is still free after overcommit and reservation."""

    node_uuid: str
    host: str
    node: str
    availability_zone: str
    is_enabled: bool
    is_up: bool
    disabled_reason: str | None
    vcpus_free: int
    memory_mb_free: int
    disk_gb_free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """One thing that a candidate lacks.

    ``dimension`` names what was looked at. For capacities ``asked`` and ``free`` are numbers in its unit; for the
    others ``reason`` says it in words. ``reason`` is for the owner and never names the host; ``detail`` is for the
    operator, in an operator's own words.
    """

    dimension: str
    reason: str
    asked: int | None = None
    free: int | None = None
    detail: str | None = None

    @property
    def short(self) -> int:
        """How much is missing, 0 where that has no meaning."""
        return 0 if self.asked is None or self.free is None else self.asked - self.free


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A candidate that a filter took off the list, and everything it lacked there."""

    host: str
    node: str
    filter: str
    lacks: tuple[Lack, ...]

    @property
    def distance(self) -> float:
        """How far it is from fitting: the shares of what was asked that are missing, together."""
        return sum(lack.short / lack.asked if lack.asked else 1.0 for lack in self.lacks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A candidate that passed every filter, with its weight; more is better."""

    node_uuid: str
    host: str
    node: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One scheduling attempt: how many candidates there were, who fell out where and why, who is left in order."""

    ask: Ask
    candidates: int
    removed: tuple[Removal, ...]
    weighed: tuple[Weighed, ...]

    @property
    def chosen(self) -> Weighed | None:
        """The best host, or None where none is left."""
        return self.weighed[0] if self.weighed else None

    def counts(self) -> list[tuple[str, str, int]]:
        """How many candidates each filter removed for each reason (their first lack), in the filters' order."""
        found = Counter((removal.filter, removal.lacks[0].reason) for removal in self.removed)
        return [(name, reason, number) for (name, reason), number in found.items()]

    def nearest(self, most: int) -> list[Removal]:
        """The removed candidates that came nearest to fitting: past the most filters, and then with the least lack."""
        order = {name: place for place, (name, _) in enumerate(FILTERS)}
        return nsmallest(
            most, self.removed, key=lambda one: (-order.get(one.filter, 0), one.distance, one.host, one.node)
        )

    def summary(self) -> str:
        """One line for the owner, without any host's name.

        Such as ``1 candidate, short of 7 vcpus (asked 8, free 1)`` or
        ``12 candidates: 3 disabled, 9 short of memory (nearest: asked 8192 MiB, free 4096 MiB)``.
        """
        if self.candidates == 0:
            return "no compute host has reported yet"
        if self.candidates == 1:
            return f"1 candidate, {' and '.join(self._of_the_only_one())}"
        fitting = [f"{len(self.weighed)} fitting"] if self.weighed else []
        return f"{self.candidates} candidates: {', '.join(fitting + _of_many(self.removed))}"

    def _of_the_only_one(self) -> list[str]:
        return [_of_one(lack) for removal in self.removed for lack in removal.lacks] or ["fitting"]


Filter = Callable[[Ask, Candidate], tuple[Lack, ...]]
"""What the candidate lacks; nothing where it passes."""

Weigher = Callable[[Ask, Candidate], float]
"""How good the candidate is, in a unit of the weigher's own."""


def state_filter(ask: Ask, candidate: Candidate) -> tuple[Lack, ...]:
    """Hosts that are down or disabled take nothing new."""
    del ask
    if not candidate.is_up:
        return (Lack(dimension="state", reason="down"),)
    if not candidate.is_enabled:
        return (Lack(dimension="state", reason="disabled", detail=candidate.disabled_reason),)
    return ()


def tried_filter(ask: Ask, candidate: Candidate) -> tuple[Lack, ...]:
    """A host that already failed to build this instance is not asked again."""
    return (Lack(dimension="tried", reason="tried before"),) if candidate.host in ask.tried else ()


def place_filter(ask: Ask, candidate: Candidate) -> tuple[Lack, ...]:
    """The zone, the host and the node that were named, if any were."""
    if ask.availability_zone and candidate.availability_zone != ask.availability_zone:
        return (Lack(dimension="zone", reason=f"outside zone {ask.availability_zone}"),)
    if ask.host and candidate.host != ask.host:
        return (Lack(dimension="host", reason="not the host that was named"),)
    if ask.node and candidate.node != ask.node:
        return (Lack(dimension="node", reason="not the node that was named"),)
    return ()


def group_filter(ask: Ask, candidate: Candidate) -> tuple[Lack, ...]:
    """Members of a server group lie together, or apart, where its policy is a hard one."""
    reason = ask.company and ask.company.refusal(candidate.host)
    return (Lack(dimension="group", reason=reason),) if reason else ()


def capacity_filter(ask: Ask, candidate: Candidate) -> tuple[Lack, ...]:
    """Virtual CPUs, memory and disk that are still free."""
    wanted = (
        ("vcpus", ask.vcpus, candidate.vcpus_free),
        ("memory", ask.memory_mb, candidate.memory_mb_free),
        ("disk", ask.disk_gb, candidate.disk_gb_free),
    )
    return tuple(
        Lack(dimension=dimension, reason=f"short of {dimension}", asked=asked, free=max(free, 0))
        for dimension, asked, free in wanted
        if asked > max(free, 0)
    )


def free_memory_weigher(ask: Ask, candidate: Candidate) -> float:
    """Spread: the most free memory wins, as by Nova's default RAM weigher."""
    return float(candidate.memory_mb_free - ask.memory_mb)


def group_weigher(ask: Ask, candidate: Candidate) -> float:
    """What a server group would like: one member more or less counts for more than any amount of memory."""
    return 0.0 if ask.company is None else ask.company.attraction(candidate.host) * _A_MEMBER


_A_MEMBER: Final = float(2**40)
"""More than any host has MiB of memory, and still exact beside them in a float."""

FILTERS: Final[tuple[tuple[str, Filter], ...]] = (
    ("state", state_filter),
    ("tried", tried_filter),
    ("place", place_filter),
    ("group", group_filter),
    ("capacity", capacity_filter),
)
WEIGHERS: Final[tuple[Weigher, ...]] = (free_memory_weigher, group_weigher)


def decide(ask: Ask, candidates: Sequence[Candidate]) -> Decision:
    """Send the candidates through every filter in turn and order those who are left, best first.

    Equal weights are ordered by host name, so that the same snapshot always gives the same answer.
    """
    removed: list[Removal] = []
    left = list(candidates)
    for name, passes in FILTERS:
        judged = [(candidate, passes(ask, candidate)) for candidate in left]
        removed += [
            Removal(host=candidate.host, node=candidate.node, filter=name, lacks=lacks)
            for candidate, lacks in judged
            if lacks
        ]
        left = [candidate for candidate, lacks in judged if not lacks]
    weighed = [
        Weighed(
            node_uuid=candidate.node_uuid,
            host=candidate.host,
            node=candidate.node,
            weight=sum(weigh(ask, candidate) for weigh in WEIGHERS),
        )
        for candidate in left
    ]
    weighed.sort(key=lambda one: (-one.weight, one.host, one.node))
    return Decision(ask=ask, candidates=len(candidates), removed=tuple(removed), weighed=tuple(weighed))


_UNITS: Final = {"memory": " MiB", "disk": " GiB"}


def _amount(dimension: str, number: int | None) -> str:
    return f"{number}{_UNITS.get(dimension, '')}"


def _of_one(lack: Lack) -> str:
    if lack.asked is None:
        return lack.reason
    if lack.dimension == "vcpus":
        return f"short of {lack.short} vcpus (asked {lack.asked}, free {lack.free})"
    asked, free = _amount(lack.dimension, lack.asked), _amount(lack.dimension, lack.free)
    return f"short of {_amount(lack.dimension, lack.short)} {lack.dimension} (asked {asked}, free {free})"


def _of_many(removed: Sequence[Removal]) -> list[str]:
    """``count reason`` for each first lack, the most frequent first, with the nearest miss of a capacity."""
    first = [removal.lacks[0] for removal in removed]
    counts = sorted(Counter(lack.reason for lack in first).items(), key=lambda one: (-one[1], one[0]))
    return [f"{count} {reason}{_nearest(reason, first)}" for reason, count in counts]


def _nearest(reason: str, lacks: Sequence[Lack]) -> str:
    sized = [lack for lack in lacks if lack.reason == reason and lack.asked is not None]
    if not sized:
        return ""
    nearest = min(sized, key=lambda lack: lack.short)
    asked, free = _amount(nearest.dimension, nearest.asked), _amount(nearest.dimension, nearest.free)
    return f" (nearest: asked {asked}, free {free})"
