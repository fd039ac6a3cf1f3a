"""What a list shows, by its query string."""

from typing import Any

import pytest

from kilonova.domain.errors import Invalid
from kilonova.network.question import answered

VIEWS: list[dict[str, Any]] = [
    {"id": "1", "name": "b", "shared": True, "tags": [], "fixed_ips": [{"subnet_id": "s", "ip_address": "10.0.0.1"}]},
    {
        "id": "2",
        "name": "a",
        "shared": False,
        "tags": ["x"],
        "fixed_ips": [{"subnet_id": "t", "ip_address": "10.0.0.2"}],
    },
    {"id": "3", "name": None, "shared": False, "tags": ["x", "y"], "fixed_ips": []},
]


def ids(*query: tuple[str, str]) -> str:
    return "".join(view["id"] for view in answered(VIEWS, query))


@pytest.mark.parametrize(
    "query, expected",
    [
        ([], "123"),
        ([("name", "a")], "2"),
        ([("name", "a"), ("name", "b")], "12"),
        ([("name", "")], "3"),
        ([("shared", "True")], "1"),
        ([("shared", "0")], "23"),
        ([("tags", "x,y")], "3"),
        ([("tags", "x")], "23"),
        ([("fixed_ips", "ip_address=10.0.0.1")], "1"),
        ([("fixed_ips", "subnet_id=t")], "2"),
        ([("fixed_ips", "ip_address_substr=0.0.2")], "2"),
        ([("fixed_ips", "nonsense")], ""),
        ([("colour", "red")], "123"),
        ([("sort_key", "id"), ("sort_dir", "desc")], "321"),
        ([("sort_key", "shared"), ("sort_key", "id"), ("sort_dir", "asc"), ("sort_dir", "desc")], "321"),
        ([("limit", "2")], "12"),
        ([("limit", "0")], "123"),
        ([("limit", "1"), ("marker", "1")], "2"),
        ([("marker", "3")], ""),
    ],
)
def test_lists_are_filtered_sorted_and_paged_as_in_neutron(query: list[tuple[str, str]], expected: str) -> None:
    assert ids(*query) == expected


def test_only_the_fields_that_are_asked_for_are_shown() -> None:
    assert answered(VIEWS[:1], [("fields", "id"), ("fields", "name")]) == [{"id": "1", "name": "b"}]


@pytest.mark.parametrize(
    "query",
    [
        [("limit", "x")],
        [("limit", "-1")],
        [("limit", "١")],  # noqa: RUF001  an Arabic digit
        [("marker", "gone")],
        [("sort_dir", "asc")],
        [("sort_key", "id"), ("sort_dir", "up")],
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(query: list[tuple[str, str]]) -> None:
    with pytest.raises(Invalid):
        answered(VIEWS, query)
