from collections.abc import Sequence
from dataclasses import replace

import pytest

from kilonova.domain.errors import Invalid, NotFound
from kilonova.domain.images import Image, ImageQuery, ImageStatus, Span
from kilonova.domain.model import Instant
from kilonova.images.question import Question, read_question


def image(number: int, **properties: str) -> Image:
    texts = ", ".join(f'"{key}": "{value}"' for key, value in properties.items())
    return Image(
        id=f"image-{number}",
        name=None,
        status=ImageStatus.ACTIVE,
        visibility="public",
        owner=None,
        disk_format="raw",
        container_format="bare",
        created_at=Instant(number),
        updated_at=Instant(number),
        properties_json="{" + texts + "}",
        tags_json='["even"]' if number % 2 == 0 else "[]",
    )


def read(*parameters: tuple[str, str]) -> Question:
    return read_question(parameters, _marker)


def _marker(image_id: str) -> Image:
    if image_id == "gone":
        raise NotFound(image_id)
    return image(7)


def test_hidden_images_are_left_out_unless_asked_for() -> None:
    assert read().query.equals == {"os_hidden": (False,)}
    assert read(("os_hidden", "true")).query.equals == {"os_hidden": (True,)}


def test_filters_of_attributes_go_to_the_store_and_others_are_properties() -> None:
    question = read(("name", "web"), ("size", "7"), ("kilonova:guest", "tiny"), ("tag", "a"), ("tag", "b"))
    assert question.query.equals == {"name": ("web",), "size": (7,), "os_hidden": (False,)}
    assert question.properties == {"kilonova:guest": "tiny"}
    assert question.tags == ["a", "b"]


def test_one_of_several_values_can_be_asked_for() -> None:
    assert read(("name", 'in:a,"b,c"')).query.equals["name"] == ("a", "b,c")


def test_visibility_all_narrows_nothing() -> None:
    assert "visibility" not in read(("visibility", "all")).query.equals


def test_community_images_are_looked_at_only_when_they_are_asked_for() -> None:
    assert not read(("visibility", "shared")).query.community
    assert all(read(("visibility", one)).query.community for one in ("community", "all"))


def test_the_word_of_the_project_on_what_is_shared_with_it_can_be_asked_for() -> None:
    assert read().query.member_status == "accepted"
    assert read(("member_status", "pending")).query.member_status == "pending"
    assert read(("member_status", "all")).query.member_status is None


def test_sizes_have_two_ends_that_belong_to_the_span() -> None:
    spans = read(("size_min", "3"), ("size_max", "7")).query.spans
    assert spans == (Span(field="size", least=3), Span(field="size", below=8))


NOON = 1_577_880_000_000_000


@pytest.mark.parametrize(
    "operator, least, below, outside",
    [
        ("gt:", NOON + 1_000_000, None, False),
        ("gte:", NOON, None, False),
        ("lt:", None, NOON, False),
        ("lte:", None, NOON + 1_000_000, False),
        ("eq:", NOON, NOON + 1_000_000, False),
        ("", NOON, NOON + 1_000_000, False),
        ("neq:", NOON, NOON + 1_000_000, True),
    ],
)
def test_times_are_compared_by_the_second(operator: str, least: int | None, below: int | None, outside: bool) -> None:
    (span,) = read(("created_at", f"{operator}2020-01-01T12:00:00Z")).query.spans
    assert span == Span(field="created_at", least=least, below=below, outside=outside)


def test_an_owner_that_looks_like_a_list_is_a_name() -> None:
    assert read(("owner", "in:a,b")).query.equals["owner"] == ("in:a,b",)


@pytest.mark.parametrize(
    "parameters, sort",
    [
        ([], (("created_at", True),)),
        ([("sort", "name:asc,size")], (("name", False), ("size", True))),
        ([("sort_key", "name")], (("name", True),)),
        ([("sort_key", "name"), ("sort_key", "id"), ("sort_dir", "asc")], (("name", False), ("id", False))),
        (
            [("sort_key", "name"), ("sort_dir", "asc"), ("sort_key", "id"), ("sort_dir", "desc")],
            (("name", False), ("id", True)),
        ),
    ],
)
def test_both_ways_to_ask_for_an_order(parameters: list[tuple[str, str]], sort: tuple[tuple[str, bool], ...]) -> None:
    assert read(*parameters).query.sort == sort


@pytest.mark.parametrize(
    "parameter",
    [
        ("limit", "-1"),
        ("limit", "x"),
        ("limit", "١"),  # noqa: RUF001  an Arabic digit
        ("sort", "colour:asc"),
        ("sort", "name:up"),
        ("sort_key", "properties"),
        ("sort_key", "protected"),
        ("protected", "maybe"),
        ("size", "big"),
        ("size_min", "x"),
        ("size_max", "-1"),
        ("created_at", "gt:yesterday"),
        ("updated_at", "since:2020-01-01"),
        ("created_at", ""),
        ("visibility", "secret"),
        ("member_status", "maybe"),
        ("changes-since", "2020-01-01T00:00:00Z"),
        ("name", "a\x00b"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(parameter: tuple[str, str]) -> None:
    with pytest.raises(Invalid):
        read(parameter)


def test_a_marker_has_to_be_an_image() -> None:
    assert read(("marker", "image-7")).query.after == image(7)
    with pytest.raises(NotFound):
        read(("marker", "gone"))


def test_the_limit_has_a_limit() -> None:
    assert read(("limit", "100000")).query.limit == 1000


def _store(count: int) -> list[Image]:
    return [image(number, parity="even" if number % 2 == 0 else "odd") for number in range(count)]


@pytest.mark.parametrize(
    "parameters, ids, has_more",
    [
        ([("limit", "3")], [0, 1, 2], True),
        ([("limit", "10")], list(range(10)), False),
        ([("limit", "3"), ("parity", "odd")], [1, 3, 5], True),
        ([("limit", "5"), ("parity", "odd")], [1, 3, 5, 7, 9], False),
        ([("limit", "2"), ("tag", "even"), ("parity", "even")], [0, 2], True),
        ([("parity", "none")], [], False),
    ],
)
def test_a_page_is_full_although_properties_are_matched_after_the_store(
    parameters: list[tuple[str, str]], ids: list[int], has_more: bool
) -> None:
    stored = _store(10)

    def read_page(query: ImageQuery) -> Sequence[Image]:
        start = 0 if query.after is None else stored.index(query.after) + 1
        return stored[start : start + query.limit]

    question = read(*parameters)
    question = replace(question, query=replace(question.query, every_project=True))
    page, more = question.page(read_page)
    assert [found.id for found in page] == [f"image-{number}" for number in ids]
    assert more is has_more
