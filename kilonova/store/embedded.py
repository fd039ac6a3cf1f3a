"""SQLite: how its connections are set up, and whether a file can be one of its databases."""

import os
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection

from kilonova.domain.errors import StoreUnusable
from kilonova.store.patterns import matches

BUSY_SECONDS: Final = 30
"""How long a writer waits for another process's transaction to end."""

_MAGIC: Final = b"SQLite format 3\x00"


def prepare_for_reading(dbapi_connection: Any, _record: object) -> None:
    """Set up a new connection for queries; it refuses to write."""
    _prepare(dbapi_connection)
    dbapi_connection.execute("PRAGMA query_only = ON")


def prepare_for_writing(dbapi_connection: Any, _record: object) -> None:
    """Set up a new connection for transactions.

    The driver must not begin transactions by itself: it would begin them deferred, and a deferred one that turns
    into a writer fails at once when somebody else wrote since.
    """
    dbapi_connection.isolation_level = None
    dbapi_connection.execute("PRAGMA journal_mode = WAL")
    _prepare(dbapi_connection)


def begin_immediate(connection: Connection) -> None:
    """Begin as a writer, waiting for the one before."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _prepare(dbapi_connection: Any) -> None:
    dbapi_connection.execute("PRAGMA synchronous = FULL")
    dbapi_connection.execute("PRAGMA foreign_keys = ON")
    dbapi_connection.execute("PRAGMA temp_store = MEMORY")
    # In place of SQLAlchemy's, which is Python's own.
    dbapi_connection.create_function("regexp", 2, matches, deterministic=True)


def check_url(url: URL) -> None:
    """Raise ``StoreUnusable`` unless the URL names a plain file: one in memory would be another one in each thread."""
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise StoreUnusable("an SQLite database has to be a plain file, such as sqlite:////var/lib/kilonova/state.db")


def check_file(url: URL) -> None:
    """Raise ``StoreUnusable`` if the URL's file cannot be, or become, a database that this process writes."""
    path = Path(url.database or "")
    if not path.parent.is_dir():
        raise StoreUnusable(f"the directory {path.parent} of the database does not exist")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise StoreUnusable(f"the directory {path.parent} of the database is not writable")
    if path.exists():
        _check_existing(path)


def _check_existing(path: Path) -> None:
    if not path.is_file():
        raise StoreUnusable(f"{path} is not a file")
    if not os.access(path, os.R_OK | os.W_OK):
        raise StoreUnusable(f"the database {path} is not writable")
    with path.open("rb") as file:
        header = file.read(100)
    if header and not header.startswith(_MAGIC):
        raise StoreUnusable(f"{path} is not an SQLite database")
    if header and _is_cut_off(path, header):
        raise StoreUnusable(f"the database {path} is corrupt: it is shorter than it says; restore it from a backup")


def _is_cut_off(path: Path, header: bytes) -> bool:
    """Whether pages are missing at the end, by the file's own header (https://www.sqlite.org/fileformat2.html §1.3).

    A write-ahead log that was not yet carried over may have them, so it has to be absent or empty.
    """
    log = path.with_name(path.name + "-wal")
    if len(header) < 100 or (log.exists() and log.stat().st_size > 0):
        return len(header) < 100
    if header[24:28] != header[92:96]:
        return False  # the page count in the header is not kept by whoever wrote last
    page_size = int.from_bytes(header[16:18], "big")
    page_size = 65536 if page_size == 1 else page_size
    return path.stat().st_size < page_size * int.from_bytes(header[28:32], "big")
