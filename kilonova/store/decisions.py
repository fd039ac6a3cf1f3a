"""Scheduling decisions: kept with their reasons, and told in the journal."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, select

from kilonova.domain.changes import Cause
from kilonova.domain.model import Instant
from kilonova.domain.placement import Decision
from kilonova.store import journal
from kilonova.store.database import Transaction
from kilonova.store.rows import many
from kilonova.store.schema import decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDecision:
    """A decision as it was kept; ``document_json`` has all of ``domain.placement.Decision``.

    ``chosen_host`` and ``chosen_node`` are None where no host was left; ``summary`` is its line for the owner.
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


def add_decision(tx: Transaction, *, instance_uuid: str, request_id: str, decision: Decision, now: Instant) -> None:
    """Keep one scheduling attempt."""
    chosen, document = decision.chosen, _document(decision)
    row = {
        "instance_uuid": instance_uuid,
        "request_id": request_id,
        "decided_at": now,
        "candidates": decision.candidates,
        "chosen_host": chosen and chosen.host,
        "chosen_node": chosen and chosen.node,
        "summary": "" if chosen else decision.summary(),
    }
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    tx.connection.execute(decisions.insert().values(**row, document_json=text))
    journal.append(
        tx,
        kind="decision",
        key=instance_uuid,
        operation="select_destinations",
        cause=Cause.REQUESTED,
        occurred_at=now,
        snapshot={**row, "document": document},
    )


def list_decisions(connection: Connection, instance_uuid: str) -> list[KeptDecision]:
    """Every scheduling attempt for an instance, oldest first."""
    mine = select(decisions).where(decisions.c.instance_uuid == instance_uuid)
    return many(connection, KeptDecision, mine.order_by(decisions.c.id))


def _document(decision: Decision) -> dict[str, Any]:
    document = asdict(decision)
    document["ask"]["tried"] = sorted(decision.ask.tried)
    return document
