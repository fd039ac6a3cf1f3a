"""What a body contains at which microversion, and how it is compiled."""

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from kilonova.api.shape import ABSENT, JsonText, Shape, field, raw, starting
from kilonova.wire.version import MIN, Microversion


@dataclass
class Thing:
    id: str = "a"
    size: int = 3
    notes: str = '{"k":"v"}'


SHAPE = Shape(
    "thing",
    field("id", "id"),
    field("size", "size", until="2.9"),
    field("size", lambda thing: str(thing.size), since="2.10"),
    field("notes", lambda thing: raw(thing.notes), since="2.5"),
    field("host", lambda _, view: view, when="see:hosts"),
    field("more", JsonText("notes"), when="see:more"),
    field("odd", lambda thing: thing.size if thing.size % 2 else ABSENT),
)


def rendered(shape: Shape, version: str, thing: Thing, *rules: str) -> Any:
    render = shape.at(Microversion.parse(version), frozenset(rules))
    return msgspec.json.decode(msgspec.json.encode(render(thing, "the view")))


def test_a_body_has_the_fields_of_its_version_in_their_order() -> None:
    assert rendered(SHAPE, "2.1", Thing()) == {"id": "a", "size": 3, "odd": 3}
    assert list(rendered(SHAPE, "2.10", Thing())) == ["id", "size", "notes", "odd"]


def test_a_field_may_change_its_meaning_at_a_version() -> None:
    assert [rendered(SHAPE, version, Thing())["size"] for version in ("2.9", "2.10")] == [3, "3"]


def test_json_text_goes_through_as_it_is() -> None:
    assert rendered(SHAPE, "2.5", Thing())["notes"] == {"k": "v"}
    assert rendered(SHAPE, "2.1", Thing(), "see:more")["more"] == {"k": "v"}


def test_a_field_under_a_policy_is_there_for_those_who_pass() -> None:
    assert "host" not in rendered(SHAPE, "2.1", Thing())
    assert rendered(SHAPE, "2.1", Thing(), "see:hosts", "another")["host"] == "the view"


def test_a_record_may_leave_a_field_out() -> None:
    assert "odd" not in rendered(SHAPE, "2.1", Thing(size=2))


def test_versions_between_two_edges_share_one_function() -> None:
    at = {text: SHAPE.at(Microversion.parse(text)) for text in ("2.5", "2.9", "2.10", "2.104")}
    assert at["2.5"] is at["2.9"]
    assert at["2.10"] is at["2.104"]
    assert at["2.9"] is not at["2.10"]


def test_a_key_cannot_be_there_twice_at_one_version() -> None:
    with pytest.raises(ValueError, match=r"thing: size is there twice at 2\.9"):
        Shape("thing", field("size", "size", until="2.9"), field("size", "size", since="2.9"))


@pytest.mark.parametrize("get", ["id) or print(1", JsonText("id) or print(1")])
def test_a_getter_must_be_the_name_of_an_attribute(get: str | JsonText) -> None:
    with pytest.raises(ValueError, match="not the name of an attribute"):
        Shape("thing", field("id", get)).at(MIN)


def test_a_shape_tells_its_history() -> None:
    told = [(str(version), come, gone) for version, come, gone in SHAPE.history]
    assert told == [("2.1", ["id", "size", "host", "more", "odd"], []), ("2.5", ["notes"], [])]


def test_fields_may_start_later_than_they_would() -> None:
    late = Shape("thing", *starting("2.75", SHAPE.fields))
    assert late.keys_at(Microversion(2, 74)) == []
    assert late.keys_at(Microversion(2, 75)) == ["id", "size", "notes", "odd"]
