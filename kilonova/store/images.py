"""Image records of the embedded image service, in a table; answers the image room's ``ImageRecords``."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from kilonova.domain.errors import Conflict
from kilonova.domain.images import Image, ImageQuery, ImageStatus
from kilonova.store.database import Database
from kilonova.store.schema_identity import images


class StoredImages:
    """Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_image(self, image_id: str) -> Image | None:
        """The image of this id, deleted ones included."""
        with self._database.read() as connection:
            row = connection.execute(select(images).where(images.c.id == image_id)).mappings().first()
        return None if row is None else _image(row)

    def list_images(self, query: ImageQuery) -> Sequence[Image]:
        """One page of the images that are not deleted."""
        order = [column.desc() if descending else column for column, descending in _sorting(query)]
        statement = select(images).where(*_conditions(query)).order_by(*order).limit(query.limit)
        with self._database.read() as connection:
            return [_image(row) for row in connection.execute(statement).mappings()]

    def list_unfinished_images(self) -> Sequence[Image]:
        """Those whose upload has begun and not ended."""
        statement = select(images).where(images.c.status == ImageStatus.SAVING.value)
        with self._database.read() as connection:
            return [_image(row) for row in connection.execute(statement).mappings()]

    def list_active_image_ids(self) -> Sequence[str]:
        """The ids of all images that have data."""
        statement = select(images.c.id).where(images.c.status == ImageStatus.ACTIVE.value)
        with self._database.read() as connection:
            return list(connection.execute(statement).scalars())

    def add_image(self, image: Image) -> None:
        """Keep a new image. Conflict where the id is taken."""
        try:
            with self._database.transaction() as tx:
                tx.connection.execute(insert(images).values(_values(image)))
        except IntegrityError as error:
            raise Conflict(f"Image ID {image.id} already exists!") from error

    def update_image(self, before: Image, after: Image) -> bool:
        """Write ``after`` if the record is still ``before``; False where it is not."""
        unchanged = (
            images.c.id == before.id,
            images.c.status == before.status.value,
            images.c.updated_at == before.updated_at,
        )
        with self._database.transaction() as tx:
            return tx.connection.execute(update(images).where(*unchanged).values(_values(after))).rowcount > 0


def _image(row: RowMapping) -> Image:
    return Image(**{**row, "status": ImageStatus(row["status"])})


def _values(image: Image) -> dict[str, Any]:
    return asdict(image) | {"status": image.status.value}


def _conditions(query: ImageQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [images.c.deleted_at.is_(None)]
    if not query.every_project:
        public = images.c.visibility == "public"
        own = images.c.owner == query.project_id
        conditions.append(public if query.project_id is None else or_(public, own))
    conditions += [images.c[key].in_(values) for key, values in query.equals.items()]
    if query.after is not None:
        conditions.append(_behind(query, query.after))
    return conditions


def _sorting(query: ImageQuery) -> list[tuple[ColumnElement[Any], bool]]:
    """The columns to sort by, NULL as the lowest value in every database, and the id last."""
    return [(_sortable(key), descending) for key, descending in query.sort] + [(images.c.id, False)]


def _sortable(key: str) -> ColumnElement[Any]:
    column = images.c[key]
    return func.coalesce(column, _lowest(key)) if column.nullable else column


def _lowest(key: str) -> str | int:
    return -1 if key in ("size", "virtual_size") else ""


def _behind(query: ImageQuery, last: Image) -> ColumnElement[bool]:
    """What comes after an image in the order asked for: equal in the first columns, further in the next."""
    keys = [*(key for key, _ in query.sort), "id"]
    values = [_lowest(key) if (value := getattr(last, key)) is None else value for key in keys]
    alternatives = []
    equal: list[ColumnElement[bool]] = []
    for (column, descending), value in zip(_sorting(query), values, strict=True):
        alternatives.append(and_(*equal, column < value if descending else column > value))
        equal.append(column == value)
    return or_(*alternatives)
