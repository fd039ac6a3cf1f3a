"""Many hosts that arrive at once: registered and told in a few statements, however many they are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar
from uuid import uuid4

from sqlalchemy import select

from kilonova.domain.changes import Cause
from kilonova.domain.model import Instant
from kilonova.store import journal
from kilonova.store.database import Transaction
from kilonova.store.schema import compute_nodes, services

_CHUNK: Final = 500
_T = TypeVar("_T")


def add_services(
    tx: Transaction, binary: str, hosts: Sequence[str], *, now: Instant, version: int, disabled_reason: str | None
) -> None:
    """Register services that are not there yet, disabled where there is a reason to.

    Raises SQLAlchemy's ``IntegrityError`` where one of them is there already.
    """
    rows = [
        {
            "uuid": str(uuid4()),
            "binary": binary,
            "host": host,
            "report_count": 0,
            "created_at": now,
            "version": version,
            "disabled": disabled_reason is not None,
            "disabled_reason": disabled_reason,
        }
        for host in hosts
    ]
    _add(tx, services, rows, kind="service", now=now)


def add_nodes(tx: Transaction, rows: Iterable[tuple[str, Mapping[str, Any]]], *, now: Instant) -> None:
    """Keep the nodes of hosts (pairs of host and ``NodeValues``) that are not there yet; errors as above."""
    unused = dict.fromkeys(("vcpus_used", "memory_mb_used", "local_gb_used", "running_vms"), 0)
    made = [
        {
            "disk_available_least": None,
            "cpu_info_json": "{}",
            "uptime_text": None,
            **values,
            **unused,
            "uuid": str(uuid4()),
            "host": host,
            "created_at": now,
        }
        for host, values in rows
    ]
    _add(tx, compute_nodes, made, kind="compute_node", now=now)


def _add(tx: Transaction, table: Any, rows: Sequence[Mapping[str, Any]], *, kind: str, now: Instant) -> None:
    for chunk in _chunks(rows):
        tx.connection.execute(table.insert(), [dict(row) for row in chunk])
        mine = select(table).where(table.c.uuid.in_([row["uuid"] for row in chunk])).order_by(table.c.id)
        written = tx.connection.execute(mine).mappings().all()
        journal.append_rows(tx, [_told(dict(row), kind, now) for row in written])


def _told(snapshot: dict[str, Any], kind: str, now: Instant) -> dict[str, Any]:
    return journal.row_of(
        kind=kind,
        key=snapshot["uuid"],
        operation="create",
        cause=Cause.OBSERVED,
        occurred_at=now,
        snapshot=snapshot,
    )


def _chunks(rows: Sequence[_T]) -> Iterable[Sequence[_T]]:
    return (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))
