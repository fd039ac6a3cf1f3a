"""How rows leave the database: as records, and for the few hot statements without SQLAlchemy's row objects."""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Select

_R = TypeVar("_R")
_T = TypeVar("_T", bound=tuple[Any, ...])


def one(connection: Connection, record: type[_R], statement: Select[Any]) -> _R | None:
    """The first row as a record whose fields are named as the columns, or None."""
    row = connection.execute(statement).first()
    return None if row is None else record(**row._mapping)  # noqa: SLF001  SQLAlchemy's public name for it


def many(connection: Connection, record: type[_R], statement: Select[Any]) -> list[_R]:
    """All rows as records whose fields are named as the columns."""
    return [record(**mapping) for mapping in connection.execute(statement).mappings()]


def plain(connection: Connection, record: type[_T], statement: Select[Any], *, truths: Sequence[str] = ()) -> list[_T]:
    """``many`` at a tenth of its cost, for named tuples whose fields are the columns in their order.

    For numbers and texts alone; ``truths`` are columns that are true or false.
    """
    rows = tuples(connection, statement)
    places = [record._fields.index(name) for name in truths]  # type: ignore[attr-defined]
    if not places:
        return list(map(record._make, rows))  # type: ignore[attr-defined]
    return [record._make(_with_truths(row, places)) for row in rows]  # type: ignore[attr-defined]


def _with_truths(row: tuple[Any, ...], places: Sequence[int]) -> list[Any]:
    values = list(row)
    for place in places:
        values[place] = bool(values[place])
    return values


def tuples(connection: Connection, statement: Select[Any]) -> Sequence[tuple[Any, ...]]:
    """All rows as the driver gives them: right for columns of numbers and text only, and half the cost."""
    result = connection.execute(statement)
    found: Sequence[tuple[Any, ...]] = result.cursor.fetchall()
    result.close()
    return found


def first_tuple(connection: Connection, sql: str, values: Sequence[Any]) -> tuple[Any, ...] | None:
    """The first row of ready SQL, ``?`` for each value, on the driver's own cursor: a third of the usual cost."""
    if connection.dialect.paramstyle != "qmark":
        sql = sql.replace("?", "%s")
    cursor = connection.connection.cursor()
    try:
        cursor.execute(sql, values)
        row: tuple[Any, ...] | None = cursor.fetchone()
    except connection.dialect.loaded_dbapi.Error:
        # SQLAlchemy has to meet the error itself: it then gives up a dead session, and all others of its age.
        again = connection.exec_driver_sql(sql, tuple(values)).first()
        return None if again is None else tuple(again)
    finally:
        cursor.close()
    return row
