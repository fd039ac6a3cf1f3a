"""Usage segments: the stretches of a server's life in which nothing that is billed changed."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, select

from kilonova.domain.model import Instance, Instant
from kilonova.domain.states import VmState
from kilonova.domain.usage import Billed, billed
from kilonova.store.database import Transaction
from kilonova.store.schema import usage_segments

_OPEN: Final = usage_segments.insert()
_CLOSE: Final = usage_segments.update().where(
    usage_segments.c.instance_uuid == bindparam("of_instance"), usage_segments.c.ended_at.is_(None)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What was billed from ``started_at`` until ``ended_at``, which is None while it goes on."""

    id: int
    instance_uuid: str
    billed: Billed
    started_at: Instant
    ended_at: Instant | None


def record_usage(tx: Transaction, before: Instance | None, after: Instance, occurred_at: Instant) -> None:
    """Close the open segment and open another one, if what is billed changed."""
    was, now = (None if before is None else billed(before)), billed(after)
    if was == now:
        return
    if was is not None:
        tx.connection.execute(_CLOSE, {"of_instance": after.uuid, "ended_at": occurred_at})
    if now is not None:
        values = {**now._asdict(), "vm_state": str(now.vm_state)}
        tx.connection.execute(_OPEN, {"instance_uuid": after.uuid, "started_at": occurred_at, **values})


def list_segments(connection: Connection, instance_uuid: str) -> list[Segment]:
    """The segments of a server's life, oldest first; deleted servers keep theirs."""
    table = usage_segments
    statement = select(table).where(table.c.instance_uuid == instance_uuid).order_by(table.c.id)
    return [
        Segment(
            id=row.id,
            instance_uuid=row.instance_uuid,
            billed=Billed(
                project_id=row.project_id,
                flavor_name=row.flavor_name,
                vcpus=row.vcpus,
                memory_mb=row.memory_mb,
                disk_gb=row.disk_gb,
                vm_state=VmState(row.vm_state),
                host=row.host,
            ),
            started_at=row.started_at,
            ended_at=row.ended_at,
        )
        for row in connection.execute(statement)
    ]
