"""Who servers are, for what is measured of each of them: one short row a server."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from kilonova.store.schema import instances

_BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A living server's owner, name and host."""

    uuid: str
    project_id: str
    name: str
    host: str | None


def list_labels(connection: Connection, uuids: Sequence[str]) -> list[Label]:
    """Of those of these servers that live, in the order of their ids."""
    columns = instances.c
    found: list[Label] = []
    for start in range(0, len(uuids), _BATCH):
        wanted = columns.uuid.in_(uuids[start : start + _BATCH])
        query = select(columns.uuid, columns.project_id, columns.display_name, columns.host).where(
            wanted, columns.deleted_at.is_(None)
        )
        found += [Label(uuid=row[0], project_id=row[1], name=row[2], host=row[3]) for row in connection.execute(query)]
    return sorted(found, key=lambda label: label.uuid)
