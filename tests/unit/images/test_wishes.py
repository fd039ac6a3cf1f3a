import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.domain.errors import Conflict, Forbidden, Invalid, KilonovaError, NotSupported
from kilonova.domain.images import Image, ImageStatus
from kilonova.domain.model import Instant
from kilonova.images.wishes import (
    READ_ONLY,
    SETTABLE,
    Wish,
    from_first_form,
    read_creation,
    read_member,
    read_member_status,
    read_patch,
)

IMAGE = Image(
    id="6f4d5d5e-0000-4000-8000-000000000001",
    name="web",
    status=ImageStatus.ACTIVE,
    visibility="private",
    owner="p1",
    disk_format="raw",
    container_format="bare",
    created_at=Instant(1),
    updated_at=Instant(1),
    properties_json='{"os_distro": "debian"}',
)


def operation(op: str, path: str, value: Any = None) -> dict[str, Any]:
    return {"op": op, "path": path} if op == "remove" else {"op": op, "path": path, "value": value}


def test_what_is_no_attribute_is_a_property() -> None:
    wish = read_creation({"name": "web", "disk_format": "raw", "hw_disk_bus": "virtio", "tags": ["b", "a", "b"]})
    assert wish.fields == {"name": "web", "disk_format": "raw", "tags_json": '["a", "b"]'}
    assert wish.properties == {"hw_disk_bus": "virtio"}


def test_an_id_may_be_chosen_if_it_is_a_uuid() -> None:
    assert read_creation({"id": "6F4D5D5E000040008000000000000001"}).image_id == IMAGE.id
    with pytest.raises(Invalid):
        read_creation({"id": "../../etc/passwd"})


@pytest.mark.parametrize("key", ["status", "size", "checksum", "created_at", "self", "locations", "os_hash_value"])
def test_what_only_the_service_sets_is_read_only(key: str) -> None:
    with pytest.raises(Forbidden, match=f"'{key}' is read-only"):
        read_creation({key: "x"})


@pytest.mark.parametrize(
    "body",
    [
        [],
        None,
        {"disk_format": "vmdk"},
        {"disk_format": 7},
        {"container_format": "ova"},
        {"visibility": "secret"},
        {"visibility": ["shared"]},
        {"visibility": None},
        {"min_disk": -1},
        {"min_disk": True},
        {"min_ram": 2**31},
        {"min_ram": "1"},
        {"protected": "yes"},
        {"tags": "a"},
        {"tags": [7]},
        {"tags": ["x" * 256]},
        {"tags": [""]},
        {"name": 7},
        {"name": "x" * 256},
        {"hw_disk_bus": 7},
        {"hw_disk_bus": None},
        {"x" * 256: "y"},
    ],
)
def test_what_makes_no_sense_is_refused_at_creation(body: Any) -> None:
    with pytest.raises(Invalid):
        read_creation(body)


def test_a_format_that_is_not_supported_is_answered_with_those_that_are() -> None:
    with pytest.raises(Invalid, match="'vmdk' is not supported; supported: raw, qcow2, iso"):
        read_creation({"disk_format": "vmdk"})


def test_a_patch_adds_replaces_and_removes() -> None:
    wish = read_patch(
        [
            operation("replace", "/name", "web2"),
            operation("add", "/hw~1x", "y"),
            operation("remove", "/os_distro"),
            operation("replace", "/tags", ["t"]),
        ],
        IMAGE,
    )
    assert wish.fields == {"name": "web2", "tags_json": '["t"]'}
    assert json.loads(wish.merged(IMAGE.properties)) == {"hw/x": "y"}


def test_a_property_added_in_a_patch_can_be_removed_later_in_it() -> None:
    wish = read_patch([operation("add", "/a", "1"), operation("remove", "/a")], IMAGE)
    assert json.loads(wish.merged(IMAGE.properties)) == {"os_distro": "debian"}


@pytest.mark.parametrize("verb", ["replace", "remove"])
def test_a_property_that_is_not_there_cannot_be_replaced_or_removed(verb: str) -> None:
    with pytest.raises(Conflict, match="Property nothing does not exist"):
        read_patch([operation(verb, "/nothing", "x")], IMAGE)


@pytest.mark.parametrize(
    "wrong, error",
    [
        (operation("remove", "/name"), Forbidden),
        (operation("remove", "/status"), Forbidden),
        (operation("replace", "/status", "active"), Forbidden),
        (operation("replace", "/disk_format", "qcow2"), Forbidden),
        (operation("add", "/tags/-", "x"), NotSupported),
        (operation("move", "/name", "x"), Invalid),
        (operation("add", "name", "x"), Invalid),
        ({"op": "add", "path": "/x"}, Invalid),
        ("add", Invalid),
    ],
)
def test_an_operation_that_cannot_be_is_refused(wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_patch([wrong], IMAGE)


@pytest.mark.parametrize("visibility", ["private", "public", "shared", "community"])
def test_every_visibility_of_glance_is_read(visibility: str) -> None:
    assert read_creation({"visibility": visibility}).fields == {"visibility": visibility}


@pytest.mark.parametrize("body", [None, [], {}, {"member": None}, {"member": ""}, {"member": "x" * 65}])
def test_a_member_is_a_project_id(body: Any) -> None:
    assert read_member({"member": "p1"}) == "p1"
    with pytest.raises(Invalid):
        read_member(body)


@pytest.mark.parametrize("body", [None, {}, {"status": "maybe"}, {"status": ["accepted"]}])
def test_a_members_status_is_one_of_three_words(body: Any) -> None:
    assert read_member_status({"status": "accepted"}) == "accepted"
    with pytest.raises(Invalid):
        read_member_status(body)


@pytest.mark.parametrize("key", ["os_glance_importing_to_stores", "os_glance_"])
def test_names_that_glance_keeps_for_itself_are_refused(key: str) -> None:
    with pytest.raises(Forbidden, match="is reserved"):
        read_creation({key: "x"})
    with pytest.raises(Forbidden, match="is reserved"):
        read_patch([operation("add", f"/{key}", "x")], IMAGE)


def test_the_first_form_of_a_patch_means_the_same() -> None:
    first = [{"replace": "/name", "value": "web2"}, {"remove": "/os_distro"}, {"add": "/a", "value": "1"}]
    today = [operation("replace", "/name", "web2"), operation("remove", "/os_distro"), operation("add", "/a", "1")]
    assert read_patch(from_first_form(first), IMAGE) == read_patch(today, IMAGE)


@pytest.mark.parametrize("body", [["add"], [{}], [{"add": "/a", "remove": "/b"}], [{"add": 7, "value": "x"}], {}])
def test_a_patch_of_the_first_form_that_makes_no_sense_is_refused(body: Any) -> None:
    with pytest.raises(Invalid):
        read_patch(from_first_form(body), IMAGE)


def test_a_patch_is_a_list() -> None:
    with pytest.raises(Invalid):
        read_patch({"name": "x"}, IMAGE)


def test_properties_cannot_grow_beyond_what_is_kept() -> None:
    with pytest.raises(Invalid, match="at most 128 properties"):
        Wish(properties={f"p{n}": "x" for n in range(129)}).merged({})
    with pytest.raises(Invalid, match="bytes in all"):
        Wish(properties={"p": "x" * 60_000}).merged({})


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2)
KEYS = st.sampled_from(sorted(READ_ONLY | SETTABLE | {"id", "os_distro", "hw/x", ""}))


def _holds(wish: Wish) -> bool:
    changed = replace(IMAGE, **wish.fields, properties_json=wish.merged(IMAGE.properties))
    return all(isinstance(value, str) for value in changed.properties.values())


@given(st.dictionaries(KEYS, VALUES) | VALUES)
def test_whatever_is_sent_at_creation_is_read_or_refused(body: Any) -> None:
    try:
        wish = read_creation(body)
    except KilonovaError:
        return
    assert _holds(wish)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"op": st.sampled_from(["add", "replace", "remove", "move"]), "path": KEYS.map(lambda key: f"/{key}")},
            optional={"value": VALUES},
        )
        | VALUES
    )
)
def test_whatever_is_sent_as_a_patch_is_read_or_refused(body: Any) -> None:
    try:
        wish = read_patch(body, IMAGE)
    except KilonovaError:
        return
    assert _holds(wish)
