"""Scheduling decisions: kept with their reasons, and told in the journal.

What is kept does not grow with the fleet: counts of all candidates by filter and reason, and in full only those that
came nearest to fitting and those that fitted best.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, or_, select

from kilonova.domain.changes import Cause
from kilonova.domain.model import Instant
from kilonova.domain.placement import Decision, Weighed
from kilonova.store import journal
from kilonova.store.database import Database, Transaction
from kilonova.store.rows import many, one
from kilonova.store.schema import decisions, instances

_MOST_REMOVED: Final = 20
_MOST_WEIGHED: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDecision:
    """A decision as it was kept.

    ``chosen_host`` and ``chosen_node`` are who really took the instance, None where no host was left; ``summary`` is
    its line for the owner. ``document_json`` has ``ask`` and the number of the ``attempt``; ``counts`` (``filter``,
    ``reason``, ``count``) of all that were removed; ``removed``, the 20 of them that came nearest to fitting, with all
    that they lacked; ``fitting``, how many were left; and ``weighed``, the best 10 of those.
    """

    id: int
    instance_uuid: str
    request_id: str
    decided_at: Instant
    candidates: int
    chosen_host: str | None
    chosen_node: str | None
    summary: str
    document_json: str

    @property
    def document(self) -> dict[str, Any]:
        """What was asked, who fell out where and why, and who was left in which order."""
        return json.loads(self.document_json)  # type: ignore[no-any-return]


def add_decision(
    tx: Transaction,
    *,
    instance_uuid: str,
    request_id: str,
    decision: Decision,
    now: Instant,
    chosen: Weighed | None = None,
) -> int:
    """Keep one scheduling attempt; returns its id. ``chosen`` is who took the instance, unless that is the best one.

    The journal is told of it without the reasons: they are one look-up by id away.
    """
    taken = chosen or decision.chosen
    row = {
        "instance_uuid": instance_uuid,
        "request_id": request_id,
        "decided_at": now,
        "candidates": decision.candidates,
        "chosen_host": taken and taken.host,
        "chosen_node": taken and taken.node,
        "summary": "" if taken else decision.summary(),
    }
    text = json.dumps(document_of(decision), separators=(",", ":"), ensure_ascii=False, default=sorted)
    key = tx.connection.execute(decisions.insert().values(**row, document_json=text)).inserted_primary_key
    if not key:
        raise RuntimeError("the database gave the new decision no id")
    journal.append(
        tx,
        kind="decision",
        key=instance_uuid,
        operation="select_destinations",
        cause=Cause.REQUESTED,
        occurred_at=now,
        snapshot={"id": key[0], **row},
    )
    return int(key[0])


def list_decisions(connection: Connection, instance_uuid: str) -> list[KeptDecision]:
    """Every scheduling attempt for an instance, oldest first."""
    mine = select(decisions).where(decisions.c.instance_uuid == instance_uuid)
    return many(connection, KeptDecision, mine.order_by(decisions.c.id))


def find_newest(connection: Connection, instance_uuid: str) -> KeptDecision | None:
    """The last scheduling attempt for an instance, or None."""
    mine = select(decisions).where(decisions.c.instance_uuid == instance_uuid)
    return one(connection, KeptDecision, mine.order_by(decisions.c.id.desc()).limit(1))


def prune(database: Database, *, before: Instant, limit: int = 500) -> int:
    """Remove up to ``limit`` old decisions, the newest of every living instance excepted; returns how many."""
    newer = decisions.alias()
    has_newer = select(newer.c.id).where(
        newer.c.instance_uuid == decisions.c.instance_uuid, newer.c.id > decisions.c.id
    )
    is_over = select(instances.c.id).where(
        instances.c.uuid == decisions.c.instance_uuid, instances.c.deleted_at.is_not(None)
    )
    old = (
        select(decisions.c.id)
        .where(decisions.c.decided_at < before, or_(has_newer.exists(), is_over.exists()))
        .order_by(decisions.c.id)
        .limit(limit)
    )

    def work(tx: Transaction) -> int:
        ids = tx.connection.scalars(old).all()
        if ids:
            tx.connection.execute(decisions.delete().where(decisions.c.id.in_(ids)))
        return len(ids)

    return database.run(work)


def document_of(decision: Decision) -> dict[str, Any]:
    """The reasons as they are kept; what is a set among them has to be written as a list."""
    return {
        "ask": asdict(decision.ask),
        "attempt": len(decision.ask.tried) + 1,
        "counts": [{"filter": name, "reason": reason, "count": number} for name, reason, number in decision.counts()],
        "removed": [asdict(removal) for removal in decision.nearest(_MOST_REMOVED)],
        "fitting": len(decision.weighed),
        "weighed": [asdict(weighed) for weighed in decision.weighed[:_MOST_WEIGHED]],
    }
