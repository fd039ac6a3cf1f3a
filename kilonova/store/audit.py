"""The audit of usage: for every period one run, for every server that lived in it one row that tells so (§10.5).

A run is done in batches, each in one transaction with the journal rows that it writes and with how far it came: it
may be cut off anywhere, and taken up by anybody. A server is told once a period, because its record is unique.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select
from sqlalchemy.exc import IntegrityError

from kilonova.domain.audit import Period, digest
from kilonova.domain.changes import Cause
from kilonova.domain.model import Instance, Instant
from kilonova.store import journal
from kilonova.store.database import Transaction
from kilonova.store.instances import get_instance
from kilonova.store.rows import many, one
from kilonova.store.schema import usage_segments
from kilonova.store.schema_audit import audit_records, audit_runs

EXISTS: Final = "exists"
"""The kind of the journal's rows that tell of one server in one period."""
MANIFEST: Final = "audit"
"""The kind of the journal's rows that tell that a period is told whole."""

_CHUNK: Final = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRun:
    """The audit of one period. ``finished_at`` and ``digest`` are None while it goes on; ``servers`` counts those told.

    ``digest`` is that of ``domain.audit.digest`` over all of them.
    """

    id: int
    period_begin: Instant
    period_end: Instant
    reached: str
    started_at: Instant
    finished_at: Instant | None
    servers: int
    digest: str | None

    @property
    def period(self) -> Period:
        """The time that it is about."""
        return Period(self.period_begin, self.period_end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What of a period was told beside what lived in it by the usage segments.

    ``missing`` lived and were not told, ``unexpected`` were told and did not live; each the first hundred uuids.
    """

    lived: int
    told: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    digest: str

    @property
    def is_complete(self) -> bool:
        """Whether both are the same."""
        return self.lived == self.told and not self.missing and not self.unexpected


def list_runs(connection: Connection, *, limit: int = 100) -> list[AuditRun]:
    """The runs, that of the latest period first."""
    return many(connection, AuditRun, select(audit_runs).order_by(audit_runs.c.period_end.desc()).limit(limit))


def find_run(connection: Connection, period: Period) -> AuditRun | None:
    """The run of exactly this period."""
    columns = audit_runs.c
    wanted = and_(columns.period_begin == period.begin, columns.period_end == period.end)
    return one(connection, AuditRun, select(audit_runs).where(wanted))


def find_unfinished_run(connection: Connection) -> AuditRun | None:
    """The oldest run that is not over."""
    open_ones = select(audit_runs).where(audit_runs.c.finished_at.is_(None))
    return one(connection, AuditRun, open_ones.order_by(audit_runs.c.period_end).limit(1))


def last_audited(connection: Connection) -> Instant | None:
    """The end of the latest period that was begun to be told."""
    found: Instant | None = connection.scalar(select(func.max(audit_runs.c.period_end)))
    return found


def first_used(connection: Connection) -> Instant | None:
    """When the first segment of usage began; None as long as no server was launched."""
    found: Instant | None = connection.scalar(select(func.min(usage_segments.c.started_at)))
    return found


def begin_run(tx: Transaction, period: Period, *, now: Instant) -> bool:
    """Begin to tell a period; False if somebody did so already."""
    values = {"period_begin": period.begin, "period_end": period.end, "reached": "", "started_at": now, "servers": 0}
    try:
        with tx.connection.begin_nested():
            tx.connection.execute(audit_runs.insert(), values)
    except IntegrityError:
        return False
    return True


def tell_batch(tx: Transaction, run: AuditRun, *, now: Instant, limit: int) -> int:
    """Tell up to ``limit`` further servers of the run; 0 if none was left, and then it is finished.

    Who comes second to the same run waits for the first, and goes on behind it.
    """
    connection, columns = tx.connection, audit_runs.c
    current = one(connection, AuditRun, select(audit_runs).where(columns.id == run.id).with_for_update())
    if current is None or current.finished_at is not None:
        return 0
    uuids = _next_uuids(connection, current, limit)
    if not uuids:
        _finish(tx, current, now)
        return 0
    for uuid in uuids:
        _tell(tx, current, uuid, now)
    progress = {"reached": uuids[-1], "servers": current.servers + len(uuids)}
    connection.execute(audit_runs.update().where(columns.id == current.id).values(progress))
    return len(uuids)


def reconcile(connection: Connection, run: AuditRun, *, most: int = 100) -> Reconciliation:
    """Compare what was told with the usage segments of the period."""
    told, segments = audit_records.c, usage_segments.c
    of_run = and_(told.run_id == run.id, told.instance_uuid == segments.instance_uuid)
    missing = (
        select(segments.instance_uuid)
        .distinct()
        .where(_lived(run), ~exists().where(of_run))
        .order_by(segments.instance_uuid)
        .limit(most)
    )
    lived = exists().where(_lived(run), segments.instance_uuid == told.instance_uuid)
    unexpected = (
        select(told.instance_uuid).where(told.run_id == run.id, ~lived).order_by(told.instance_uuid).limit(most)
    )
    count = select(func.count(func.distinct(segments.instance_uuid))).where(_lived(run))
    return Reconciliation(
        lived=connection.scalar(count) or 0,
        told=connection.scalar(select(func.count()).where(told.run_id == run.id)) or 0,
        missing=tuple(connection.scalars(missing)),
        unexpected=tuple(connection.scalars(unexpected)),
        digest=digest(_told_uuids(connection, run)),
    )


def count_told_by_host(connection: Connection, run: AuditRun) -> dict[str | None, int]:
    """How many servers of each host were told; None for those without one."""
    statement = (
        select(audit_records.c.host, func.count())
        .where(audit_records.c.run_id == run.id)
        .group_by(audit_records.c.host)
    )
    return {host: count for host, count in connection.execute(statement)}  # noqa: C416 - rows are no pairs to mypy


def _lived(run: AuditRun) -> ColumnElement[bool]:
    segments = usage_segments.c
    return and_(
        segments.started_at < run.period_end, or_(segments.ended_at.is_(None), segments.ended_at > run.period_begin)
    )


def _next_uuids(connection: Connection, run: AuditRun, limit: int) -> list[str]:
    segments = usage_segments.c
    statement = (
        select(segments.instance_uuid)
        .distinct()
        .where(segments.instance_uuid > run.reached, _lived(run))
        .order_by(segments.instance_uuid)
        .limit(limit)
    )
    return list(connection.scalars(statement))


def _tell(tx: Transaction, run: AuditRun, uuid: str, now: Instant) -> None:
    instance = get_instance(tx.connection, uuid, include_deleted=True)
    record = {"run_id": run.id, "instance_uuid": uuid, "host": instance.host, "told_at": now}
    tx.connection.execute(audit_records.insert(), record)
    journal.append(
        tx,
        kind=EXISTS,
        key=uuid,
        project_id=instance.project_id,
        cause=Cause.RECONCILED,
        occurred_at=now,
        snapshot=_snapshot(instance),
        facts={"audit_period_beginning": run.period_begin, "audit_period_ending": run.period_end},
    )


def _snapshot(instance: Instance) -> dict[str, Any]:
    return {name: value for name, value in instance._asdict().items() if name not in journal.NOT_TOLD}


def _finish(tx: Transaction, run: AuditRun, now: Instant) -> None:
    found = digest(_told_uuids(tx.connection, run))
    values = {"finished_at": now, "digest": found}
    tx.connection.execute(audit_runs.update().where(audit_runs.c.id == run.id).values(values))
    told = {**asdict(run), **values}
    journal.append(
        tx,
        kind=MANIFEST,
        key=f"{run.period_begin}-{run.period_end}",
        cause=Cause.RECONCILED,
        occurred_at=now,
        snapshot={name: value for name, value in told.items() if name not in {"id", "reached"}},
    )


def _told_uuids(connection: Connection, run: AuditRun) -> Iterator[str]:
    """Those told, in order, a chunk at a time: memory does not grow with their number."""
    reached, told = "", audit_records.c
    while True:
        chunk = list(
            connection.scalars(
                select(told.instance_uuid)
                .where(told.run_id == run.id, told.instance_uuid > reached)
                .order_by(told.instance_uuid)
                .limit(_CHUNK)
            )
        )
        yield from chunk
        if len(chunk) < _CHUNK:
            return
        reached = chunk[-1]
