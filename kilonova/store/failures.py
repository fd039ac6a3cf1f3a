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

_FULL: Final = "The database's disk is full: nothing can be kept until there is space."
_UNWRITABLE: Final = "The database cannot be read or written."
_SILENT: Final = "The database does not answer; try again."
_BUSY: Final = "The database is busy; try again."

_POSTGRESQL_OUTAGES: Final = {"53100": _FULL, "53200": _BUSY, "53300": _BUSY, "57P03": _SILENT}
_MARIADB_OUTAGES: Final = {1021: _FULL, 1114: _FULL, 1040: _BUSY, 1203: _BUSY, 1053: _SILENT, 1290: _UNWRITABLE}
_SQLITE_OUTAGES: Final = {
    "SQLITE_FULL": _FULL,
    "SQLITE_BUSY": "The database is locked by another process; try again.",
    "SQLITE_LOCKED": _BUSY,
    "SQLITE_READONLY": _UNWRITABLE,
    "SQLITE_CANTOPEN": _UNWRITABLE,
    "SQLITE_IOERR": _UNWRITABLE,
    "SQLITE_CORRUPT": "The database is damaged; the operator has to restore it.",
    "SQLITE_NOTADB": "The database is damaged; the operator has to restore it.",
}
"""By the primary code; the extended ones have a third word."""


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
        raise Unavailable(_BUSY, detail=str(error)) from error
    except DBAPIError as error:
        meaning = _meaning(error.orig, lost=error.connection_invalidated)
        if meaning is None:
            _forget_values(error)
            raise
        raise meaning from error


def _forget_values(error: DBAPIError) -> None:
    """Take the row out of an error that will be logged: PostgreSQL quotes it, and it may have a user's secrets."""
    plain = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    if plain and error.orig is not None:
        error.args = tuple(str(part).replace(str(error.orig), plain) for part in error.args)
        error.orig.args = (plain,)


def _meaning(error: BaseException | None, *, lost: bool) -> KilonovaError | None:
    detail = f"{type(error).__name__}: {error}"
    if "NUL (0x00)" in detail:  # PostgreSQL's driver; other databases keep it
        return Invalid("Invalid input received: text must not have a NUL character")
    if _is_contention(error):
        return Contention("The database was busy with the same records; try again.", detail=detail)
    outage = _outage(error, lost=lost)
    return None if outage is None else Unavailable(outage, detail=detail)


def _is_contention(error: BaseException | None) -> bool:
    return _sqlstate(error) in _POSTGRESQL_CONTENTION or _number(error) in _MARIADB_CONTENTION


def _outage(error: BaseException | None, *, lost: bool) -> str | None:
    if isinstance(error, sqlite3.Error):
        return _SQLITE_OUTAGES.get("_".join(getattr(error, "sqlite_errorname", "").split("_")[:2]))
    state, number = _sqlstate(error), _number(error)
    told = _POSTGRESQL_OUTAGES.get(state or "") or _MARIADB_OUTAGES.get(number or 0)
    if told is not None:
        return told
    return _SILENT if lost or _has_no_session(error) else None


def _has_no_session(error: BaseException | None) -> bool:
    """Whether a session came to an end or never began: PyMySQL numbers that from 2000 on, psycopg has no SQLSTATE."""
    number = _number(error)
    if number is not None:
        return 2000 <= number < 2100
    return type(error).__name__ in {"OperationalError", "ConnectionTimeout"} and _sqlstate(error) is None


def _sqlstate(error: BaseException | None) -> str | None:
    return getattr(error, "sqlstate", None)


def _number(error: BaseException | None) -> int | None:
    first = error.args[0] if error is not None and error.args else None
    return first if isinstance(first, int) else None
