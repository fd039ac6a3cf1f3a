"""What a database's own errors mean to callers: contention to be retried, an outage, or a defect to be seen."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kilonova.domain.errors import Invalid, KilonovaError, Unavailable

_POSTGRESQL_CONTENTION: Final = frozenset({"40001", "40P01", "55P03"})
_MARIADB_CONTENTION: Final = frozenset({1020, 1205, 1213})
_POSTGRESQL_FULL: Final = frozenset({"53100"})
_MARIADB_FULL: Final = frozenset({1021, 1114})
_SQLITE_FULL: Final = frozenset({"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC"})
_SQLITE_UNWRITABLE: Final = frozenset({"SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_IOERR_READ"})
_SQLITE_BUSY: Final = frozenset({"SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED"})


class Contention(Unavailable):
    """Two transactions stood in each other's way and this one was undone; doing it again will do."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise ``Contention`` or ``Unavailable`` for what the database says of itself, and leave all else as it is.

    Text that no database, or not every one, can hold is ``Invalid``.
    """
    try:
        yield
    except UnicodeEncodeError as error:
        raise Invalid("Invalid input received: half a surrogate pair is no text") from error
    except PoolTimeout as error:
        raise Unavailable("The database is busy; try again.", detail=str(error)) from error
    except DBAPIError as error:
        meaning = _meaning(error.orig, lost=error.connection_invalidated)
        if meaning is None:
            raise
        raise meaning from error


def _meaning(error: BaseException | None, *, lost: bool) -> KilonovaError | None:
    detail = f"{type(error).__name__}: {error}"
    if "NUL (0x00)" in detail:  # PostgreSQL's driver; other databases keep it
        return Invalid("Invalid input received: text must not have a NUL character")
    if _is_contention(error):
        return Contention("The database was busy with the same records; try again.", detail=detail)
    outage = _outage(error, lost=lost)
    return None if outage is None else Unavailable(outage, detail=detail)


def _outage(error: BaseException | None, *, lost: bool) -> str | None:
    if _is_full(error):
        return "The database's disk is full: nothing can be kept until there is space."
    if _name(error) in _SQLITE_BUSY:
        return "The database is locked by another process; try again."
    if _name(error) in _SQLITE_UNWRITABLE:
        return "The database cannot be read or written."
    if lost or _cannot_connect(error):
        return "The database does not answer; try again."
    return None


def _is_contention(error: BaseException | None) -> bool:
    return _sqlstate(error) in _POSTGRESQL_CONTENTION or _number(error) in _MARIADB_CONTENTION


def _is_full(error: BaseException | None) -> bool:
    return _sqlstate(error) in _POSTGRESQL_FULL or _number(error) in _MARIADB_FULL or _name(error) in _SQLITE_FULL


def _cannot_connect(error: BaseException | None) -> bool:
    """Whether no session came about: psycopg then has no SQLSTATE, PyMySQL numbers from 2000 on."""
    number = _number(error)
    if number is not None:
        return 2000 <= number < 2100
    return (
        type(error).__name__ in {"OperationalError", "ConnectionTimeout"}
        and _sqlstate(error) is None
        and (not isinstance(error, sqlite3.Error))
    )


def _sqlstate(error: BaseException | None) -> str | None:
    return getattr(error, "sqlstate", None)


def _number(error: BaseException | None) -> int | None:
    first = error.args[0] if error is not None and error.args else None
    return first if isinstance(first, int) else None


def _name(error: BaseException | None) -> str | None:
    return getattr(error, "sqlite_errorname", None)
