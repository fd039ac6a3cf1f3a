"""The table of the embedded image service, on every database."""

from dataclasses import replace

import pytest

from kilonova.domain.errors import Conflict
from kilonova.domain.images import Image, ImageMember, ImageQuery, ImageStatus, Span
from kilonova.domain.model import Instant
from kilonova.store.database import Database
from kilonova.store.images import StoredImages

FULL = Image(
    id="6f4d5d5e-0000-4000-8000-000000000000",
    name="größe",
    status=ImageStatus.ACTIVE,
    visibility="private",
    owner="p1",
    disk_format="qcow2",
    container_format="bare",
    created_at=Instant(1),
    updated_at=Instant(2),
    size=1 << 40,
    virtual_size=1 << 41,
    checksum="c" * 32,
    os_hash_algo="sha512",
    os_hash_value="h" * 128,
    min_disk=2**31 - 1,
    min_ram=2**31 - 1,
    protected=True,
    os_hidden=True,
    properties_json='{"a": "' + "x" * 50_000 + '"}',
    tags_json='["t"]',
)
QUEUED = Image(
    id="6f4d5d5e-0000-4000-8000-000000000001",
    name=None,
    status=ImageStatus.QUEUED,
    visibility="public",
    owner=None,
    disk_format=None,
    container_format=None,
    created_at=Instant(1),
    updated_at=Instant(1),
)


@pytest.fixture
def records(database: Database) -> StoredImages:
    return StoredImages(database)


def ids(records: StoredImages, query: ImageQuery) -> str:
    """The last letters of the ids found, in their order."""
    return "".join(image.id[-1] for image in records.list_images(query))


@pytest.mark.parametrize("image", [FULL, QUEUED])
def test_an_image_comes_back_as_it_was_kept(records: StoredImages, image: Image) -> None:
    records.add_image(image)
    assert records.find_image(image.id) == image
    assert records.find_image("nothing") is None


def test_an_id_that_is_taken_is_refused(records: StoredImages) -> None:
    records.add_image(QUEUED)
    with pytest.raises(Conflict):
        records.add_image(QUEUED)


def test_only_who_read_the_last_state_may_change_it(records: StoredImages) -> None:
    records.add_image(QUEUED)
    saving = replace(QUEUED, status=ImageStatus.SAVING, updated_at=Instant(5))
    assert records.update_image(QUEUED, saving)
    assert not records.update_image(QUEUED, replace(QUEUED, name="late"))
    assert records.find_image(QUEUED.id) == saving
    assert records.list_unfinished_images() == [saving]


def test_a_project_sees_its_own_and_the_public_ones(records: StoredImages) -> None:
    records.add_image(replace(FULL, os_hidden=False))
    records.add_image(QUEUED)
    records.add_image(replace(FULL, id="other-2", owner="p2"))
    records.add_image(replace(QUEUED, id="gone-3", deleted_at=Instant(9)))
    order = (("id", False),)
    assert ids(records, ImageQuery(project_id="p1", sort=order)) == "01"
    assert ids(records, ImageQuery(project_id=None, sort=order)) == "1"
    assert ids(records, ImageQuery(project_id=None, every_project=True, sort=order)) == "012"
    assert ids(records, ImageQuery(project_id="p1", sort=order, equals={"name": ("größe", "x")})) == "0"
    assert sorted(records.list_image_ids_with_data()) == [FULL.id, "other-2"]


@pytest.mark.parametrize(
    "sort, expected",
    [
        ((("name", False),), "2401357"),
        ((("name", True), ("id", True)), "7531042"),
        ((("size", True),), "0123457"),
        ((("size", False), ("name", True)), "3574210"),
        ((("status", False), ("created_at", True)), "7543210"),
    ],
)
def test_pages_add_up_in_every_order_with_nulls_first(
    records: StoredImages, sort: tuple[tuple[str, bool], ...], expected: str
) -> None:
    for number, name in {0: "a", 1: "b", 2: None, 3: "b", 4: None, 5: "b", 7: "b"}.items():
        size = None if number > 2 else 100 - number
        records.add_image(replace(QUEUED, id=f"image-{number}", name=name, size=size, created_at=Instant(number)))
    query = ImageQuery(project_id=None, sort=sort, limit=2)
    found: list[Image] = []
    while page := records.list_images(query):
        found += page
        query = replace(query, after=page[-1])
    assert ids(records, replace(query, after=None, limit=100)) == expected
    assert "".join(image.id[-1] for image in found) == expected


def test_what_is_kept_from_use_keeps_its_data(records: StoredImages) -> None:
    records.add_image(replace(FULL, status=ImageStatus.DEACTIVATED))
    assert records.list_image_ids_with_data() == [FULL.id]


MEMBER = ImageMember(image_id=FULL.id, member_id="p2", status="pending", created_at=Instant(1), updated_at=Instant(2))


def test_an_image_is_shared_with_a_project_once(records: StoredImages) -> None:
    records.add_image(FULL)
    records.add_member(MEMBER)
    with pytest.raises(Conflict):
        records.add_member(MEMBER)
    assert records.list_members(FULL.id) == [MEMBER]
    assert records.update_member(replace(MEMBER, status="accepted", updated_at=Instant(3)))
    assert records.find_member(FULL.id, "p2") == replace(MEMBER, status="accepted", updated_at=Instant(3))
    assert [records.delete_member(FULL.id, "p2") for _ in range(2)] == [True, False]
    assert not records.update_member(MEMBER)
    assert records.find_member(FULL.id, "p2") is None
    with pytest.raises(Conflict):
        records.add_member(replace(MEMBER, image_id="gone"))


def test_a_project_sees_what_is_shared_with_it_by_its_own_word(records: StoredImages) -> None:
    for number, visibility in enumerate(("shared", "shared", "private", "community")):
        records.add_image(replace(FULL, id=f"image-{number}", visibility=visibility))
        status = "accepted" if number else "pending"
        records.add_member(replace(MEMBER, image_id=f"image-{number}", status=status))
    query = ImageQuery(project_id="p2", sort=(("id", False),))
    assert ids(records, query) == "1"
    assert ids(records, replace(query, member_status="pending")) == "0"
    assert ids(records, replace(query, member_status=None)) == "01"
    assert ids(records, replace(query, community=True)) == "13"
    assert ids(records, replace(query, project_id="p3")) == ids(records, replace(query, project_id=None)) == ""
    assert ids(records, replace(query, project_id="p1")) == "0123"


@pytest.mark.parametrize(
    "span, expected",
    [
        (Span(field="size", least=2), "23"),
        (Span(field="size", below=3), "12"),
        (Span(field="size", least=2, below=3), "2"),
        (Span(field="created_at", least=2, below=3, outside=True), "013"),
        (Span(field="created_at", least=2), "23"),
    ],
)
def test_images_are_narrowed_to_a_span(records: StoredImages, span: Span, expected: str) -> None:
    for number in range(4):
        records.add_image(replace(QUEUED, id=f"image-{number}", size=number or None, created_at=Instant(number)))
    assert ids(records, ImageQuery(project_id=None, sort=(("id", False),), spans=(span,))) == expected
