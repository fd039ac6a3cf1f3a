"""Image records of the embedded image service, in a table; answers the image room's ``ImageRecords``."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, delete, func, insert, not_, or_, select, true, update
from sqlalchemy.exc import IntegrityError

from kilonova.domain.errors import Conflict
from kilonova.domain.images import Image, ImageMember, ImageQuery, ImageStatus, Span
from kilonova.store.database import Database
from kilonova.store.rows import many, one
from kilonova.store.schema_identity import image_members, images


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

    def list_image_ids_with_data(self) -> Sequence[str]:
        """The ids of all images that have data, be they kept from use or not."""
        having_data = (ImageStatus.ACTIVE.value, ImageStatus.DEACTIVATED.value)
        statement = select(images.c.id).where(images.c.status.in_(having_data))
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

    def list_members(self, image_id: str) -> Sequence[ImageMember]:
        """The projects with which an image is shared, by their ids."""
        members = image_members.c
        with self._database.read() as connection:
            statement = select(image_members).where(members.image_id == image_id).order_by(members.member_id)
            return many(connection, ImageMember, statement)

    def find_member(self, image_id: str, member_id: str) -> ImageMember | None:
        """One of them."""
        with self._database.read() as connection:
            return one(connection, ImageMember, select(image_members).where(*_is_member(image_id, member_id)))

    def add_member(self, member: ImageMember) -> None:
        """Share an image with a project. Conflict where it is shared with it, or gone."""
        try:
            with self._database.transaction() as tx:
                tx.connection.execute(insert(image_members).values(asdict(member)))
        except IntegrityError as error:
            raise Conflict(f"Duplicate member {member.member_id} for image {member.image_id}") from error

    def update_member(self, member: ImageMember) -> bool:
        """Write the record of this image and project; False where there is none."""
        here = _is_member(member.image_id, member.member_id)
        with self._database.transaction() as tx:
            return tx.connection.execute(update(image_members).where(*here).values(asdict(member))).rowcount > 0

    def delete_member(self, image_id: str, member_id: str) -> bool:
        """Share it with the project no more; False where it was not."""
        with self._database.transaction() as tx:
            return tx.connection.execute(delete(image_members).where(*_is_member(image_id, member_id))).rowcount > 0


def _is_member(image_id: str, member_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return image_members.c.image_id == image_id, image_members.c.member_id == member_id


def _image(row: RowMapping) -> Image:
    return Image(**{**row, "status": ImageStatus(row["status"])})


def _values(image: Image) -> dict[str, Any]:
    return asdict(image) | {"status": image.status.value}


def _conditions(query: ImageQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [images.c.deleted_at.is_(None)]
    if not query.every_project:
        conditions.append(_visible(query))
    conditions += [images.c[key].in_(values) for key, values in query.equals.items()]
    conditions += [_within(span) for span in query.spans]
    if query.after is not None:
        conditions.append(_behind(query, query.after))
    return conditions


def _visible(query: ImageQuery) -> ColumnElement[bool]:
    open_to_all = ("public", "community") if query.community else ("public",)
    found = images.c.visibility.in_(open_to_all)
    if query.project_id is None:
        return found
    shared = select(image_members.c.image_id).where(image_members.c.member_id == query.project_id)
    if query.member_status is not None:
        shared = shared.where(image_members.c.status == query.member_status)
    shared_with_it = and_(images.c.visibility == "shared", images.c.id.in_(shared))
    return or_(found, images.c.owner == query.project_id, shared_with_it)


def _within(span: Span) -> ColumnElement[bool]:
    column = images.c[span.field]
    above = true() if span.least is None else column >= span.least
    inside = above if span.below is None else and_(above, column < span.below)
    return not_(inside) if span.outside else inside


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
