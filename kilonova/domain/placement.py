"""Where an instance can live: candidate hosts through filters and weighers, and the decision with its reasons.

Pure: candidates are a snapshot, and the answer is a proposal. The claim that follows it is guarded by the store,
so a proposal made from a stale snapshot is refused there and the next host on the list is tried.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Final

from kilonova.domain.candidates import Ask, Candidate, Lack, Removal, Weighed
from kilonova.domain.filters import ALWAYS, FILTERS, USUAL, Limits, Question
from kilonova.domain.weighers import MULTIPLIERS, weigh

__all__ = ["Ask", "Candidate", "Decision", "Lack", "Removal", "Rules", "Weighed", "decide"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How hosts are chosen: the filters that are on beside those that always are, their limits, and the weights."""

    filters: frozenset[str] = frozenset(USUAL)
    limits: Limits = field(default_factory=Limits)
    multipliers: Mapping[str, float] = field(default_factory=lambda: dict(MULTIPLIERS))


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
        order = {name: place for place, name in enumerate(FILTERS)}
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


def decide(ask: Ask, candidates: Sequence[Candidate], rules: Rules | None = None) -> Decision:
    """Send the candidates through every filter in turn and order those who are left, best first.

    Equal weights are ordered by host name, so that the same snapshot always gives the same answer.
    """
    rules = rules or Rules()
    question = Question(ask=ask, limits=rules.limits)
    removed: list[Removal] = []
    left = list(candidates)
    for name, make in FILTERS.items():
        check = make(question) if name in ALWAYS or name in rules.filters else None
        if check is None:
            continue
        judged = [(candidate, check(candidate)) for candidate in left]
        removed += [
            Removal(host=candidate.host, node=candidate.node, filter=name, lacks=lacks)
            for candidate, lacks in judged
            if lacks
        ]
        left = [candidate for candidate, lacks in judged if not lacks]
    return Decision(ask=ask, candidates=len(candidates), removed=tuple(removed), weighed=_weighed(ask, left, rules))


def _weighed(ask: Ask, left: Sequence[Candidate], rules: Rules) -> tuple[Weighed, ...]:
    found = [
        Weighed(
            node_uuid=candidate.node_uuid,
            host=candidate.host,
            node=candidate.node,
            weight=sum(weights.values()),
            weights=weights,
        )
        for candidate, weights in zip(left, weigh(ask, left, rules.multipliers), strict=True)
    ]
    return tuple(sorted(found, key=lambda one: (-one.weight, one.host, one.node)))


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
