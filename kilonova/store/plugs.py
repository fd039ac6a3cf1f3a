"""Which servers are plugged into the network; answers the network room's ``PluggedServers``."""

from collections.abc import Sequence
from dataclasses import fields

from sqlalchemy import select

from kilonova.domain.plugs import PluggedServer
from kilonova.store.database import Database
from kilonova.store.rows import many
from kilonova.store.schema import instances

_COLUMNS = [instances.c[one.name] for one in fields(PluggedServer)]


class StoredPlugs:
    """Reads the servers' own rows; nothing is kept beside them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_plugged(self, project_id: str | None = None, device_id: str | None = None) -> Sequence[PluggedServer]:
        """Living servers with NICs, oldest first; of one project, and one server alone, where those are given."""
        living = (instances.c.deleted_at.is_(None), instances.c.nics_json != "[]")
        statement = select(*_COLUMNS).where(*living).order_by(instances.c.id)
        if project_id is not None:
            statement = statement.where(instances.c.project_id == project_id)
        if device_id is not None:
            statement = statement.where(instances.c.uuid == device_id)
        with self._database.read() as connection:
            return many(connection, PluggedServer, statement)
