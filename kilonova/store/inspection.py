"""How a database is, for whoever wants to know before anything is started: nothing is made, migrated or written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from kilonova.domain.errors import StoreUnusable
from kilonova.domain.model import Instant
from kilonova.store import embedded, revisions
from kilonova.store.database import Database
from kilonova.store.schema import REVISIONS, journal

_MOST_READ_BYTES: Final = 1 << 30
"""A larger SQLite file is not read as a whole."""
_WELL: Final = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """``revision`` is None where there is no schema yet; ``newest_at`` is when the last row of the journal occurred.

    ``damage`` is what SQLite says of a file whose pages do not fit together.
    """

    name: str
    revision: str | None
    newest_at: Instant | None = None
    damage: str | None = None

    @property
    def is_current(self) -> bool:
        """Whether the schema is that of this code."""
        return self.revision == REVISIONS[-1]

    @property
    def is_newer(self) -> bool:
        """Whether a newer Kilonova wrote it."""
        return self.revision is not None and self.revision not in REVISIONS


def inspect(database: Database) -> Inspection:
    """Look at it. Raises StoreUnusable where it cannot be used, Unavailable where it does not answer."""
    name = _name(database)
    if database.is_embedded:
        embedded.check_file(database.url)
        if not Path(database.url.database or "").exists():
            return Inspection(name=name, revision=None)
    try:
        return _inspected(database, name)
    except DBAPIError as error:
        raise StoreUnusable(f"the database {name} cannot be used: {str(error.orig).strip().splitlines()[0]}") from error


def _inspected(database: Database, name: str) -> Inspection:
    with database.read() as connection:
        if database.is_embedded and Path(name).stat().st_size <= _MOST_READ_BYTES:
            said = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
            if said != _WELL:
                return Inspection(name=name, revision=None, damage=said)
        revision = revisions.current_revision(connection, name)
        newest = connection.scalar(select(func.max(journal.c.occurred_at))) if revision == REVISIONS[-1] else None
        return Inspection(name=name, revision=revision, newest_at=newest)


def _name(database: Database) -> str:
    url = database.url
    return str(url.database) if database.is_embedded else url.render_as_string(hide_password=True)
