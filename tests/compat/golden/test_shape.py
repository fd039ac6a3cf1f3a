"""What counts as a difference of shape."""

from typing import Any

import pytest

from tests.compat.golden import not_yet
from tests.compat.golden.shape import differences

_UUID, _OTHER = "3cfb801c-f03c-45ce-834b-d097b34e9534", "0e44cc9c-e052-415d-afbf-469b0d384170"


@pytest.mark.parametrize(
    "expected, got",
    [
        ({"id": _UUID}, {"id": _OTHER}),
        ({"at": "2012-10-29T13:42:02.000000"}, {"at": "2026-11-22T10:54:42.123456"}),
        ({"metadata": {"a": "b"}}, {"metadata": {"c": "d", "e": "f"}}),
        ({"a": [{"b": 1}, {"b": 1, "c": 2}]}, {"a": [{"b": 3}, {"b": 3, "c": 4}, {"b": 5}]}),
        ({"fault": None}, {"fault": "what happened"}),
        ({"key_name": "key"}, {"key_name": None}),
        ({"tags": ["one"]}, {"tags": []}),
        ({"tags": []}, {"tags": ["one"]}),
        (
            {"href": f"http://openstack.example.com/v2/6f70656e737461636b20342065766572/servers/{_UUID}"},
            {"href": f"http://cloud.test:8774/compute/v2.1/servers/{_OTHER}"},
        ),
    ],
)
def test_values_and_accidents_of_the_situation_do_not_count(expected: Any, got: Any) -> None:
    assert differences(expected, got) == []


@pytest.mark.parametrize(
    "expected, got, told",
    [
        ({"id": _UUID, "ram": 1}, {"ram": 2}, "id: missing"),
        ({}, {"a": {"id": 1}}, None),
        ({"a": {"b": 1}}, {"a": {"b": 1, "id": 1}}, "a.id: not in the sample"),
        ({"id": _UUID}, {"id": 7}, "id: expected str"),
        ({"id": _UUID}, {"id": "web1"}, "id: expected a UUID"),
        ({"hours": 1.0}, {"hours": 1}, "hours: expected float"),
        ({"locked": True}, {"locked": 1}, "locked: expected bool"),
        ({"id": 1}, {"id": None}, "id: expected int 1, got null"),
        ({"servers": [{"id": 1}]}, {"servers": []}, "servers: expected list"),
        ({"a": [{"b": 1}, {"c": 2}]}, {"a": [{"b": 1}, {"d": 4, "c": 1}]}, "a[1].d: not in the sample"),
        ({"at": "2012-10-29T13:42:02.000000"}, {"at": "2012-10-29T13:42:02Z"}, "at: expected a time such as"),
        ({"metadata": {"a": "b"}}, {"metadata": {"a": 1}}, "metadata[a]: expected str"),
        ({"href": "http://a/v2.1/servers"}, {"href": "http://b/v2.1/servers/detail"}, "href: expected a link"),
        ({"href": "http://a/v2.1/servers?limit=1"}, {"href": "http://b/servers?limit=1"}, "href: expected a link"),
    ],
)
def test_keys_types_emptiness_and_spellings_count(expected: Any, got: Any, told: str | None) -> None:
    found = differences(expected, got)
    assert found == [line for line in found if told and line.startswith(told)]
    assert bool(found) == bool(told)


def test_the_work_list_is_read_as_it_is_written() -> None:
    listed = {"a/b": "no b", "c@2.1": "no c", "a/d": "no b"}
    assert not_yet.reasons(not_yet.text_of(listed)) == listed
    with pytest.raises(ValueError, match="twice, or without a reason"):
        not_yet.reasons("a/b\n")


def test_the_work_list_is_kept_in_its_order() -> None:
    assert not_yet.text_of(not_yet.reasons()) == not_yet.FILE.read_text("utf-8")
