"""A rehearsal: where servers would go now, and why not elsewhere, without promising or writing anything."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kilonova.domain.candidates import Ask, Candidate
from kilonova.domain.errors import Invalid
from kilonova.domain.placement import Decision
from kilonova.services.choosing import Chooser
from kilonova.store.database import Connection

MOST_LOOKS: Final = 200_000
"""Candidates that one rehearsal looks at, counted anew for every server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """How many servers each host would take, in the order of asking, and the decision about the last one asked for.

    That is the first one that would find no host, where there is such a one.
    """

    placed: Mapping[str, int]
    decision: Decision

    @property
    def count(self) -> int:
        """How many servers would find a host."""
        return sum(self.placed.values())


def rehearse(chooser: Chooser, connection: Connection, ask: Ask, *, count: int) -> Rehearsed:
    """Place ``count`` servers that ask for the same, one after the other, on the fleet as it stands.

    Invalid for more of them than a fleet of this size can be asked about in a second or so: every one looks at it anew.
    """
    candidates: Sequence[Candidate] = chooser.candidates(connection, counts_servers=True)
    most = max(MOST_LOOKS // max(len(candidates), 1), 1)
    if count > most:
        raise Invalid(f"In a fleet of {len(candidates)} hosts, no more than {most} servers are rehearsed at once.")
    placed: Counter[str] = Counter()
    decision = chooser.decide_among(ask, candidates)
    while decision.chosen is not None:
        placed[decision.chosen.host] += 1
        if placed.total() == count:
            break
        candidates = [_taken(each, ask) if each.node_uuid == decision.chosen.node_uuid else each for each in candidates]
        ask = _joined(ask, decision.chosen.host)
        decision = chooser.decide_among(ask, candidates)
    return Rehearsed(placed=placed, decision=decision)


def _taken(candidate: Candidate, ask: Ask) -> Candidate:
    return replace(
        candidate,
        vcpus_free=candidate.vcpus_free - ask.vcpus,
        memory_mb_free=candidate.memory_mb_free - ask.memory_mb,
        disk_gb_free=candidate.disk_gb_free - ask.disk_gb,
        instances=candidate.instances + 1,
        io_ops=candidate.io_ops + 1,
    )


def _joined(ask: Ask, host: str) -> Ask:
    """The next one's ask: in a server group, the one before it is a member by then."""
    company = ask.company
    if company is None:
        return ask
    members = {**company.members_by_host, host: company.on(host) + 1}
    return replace(ask, company=replace(company, members_by_host=members))
