"""How lists of accounts are narrowed."""

from typing import Any

import pytest

from kilonova.identity.filters import narrowed

VIEWS: list[dict[str, Any]] = [
    {"id": "1", "name": "Ada", "enabled": True, "domain_id": None, "tags": ["a", "b"], "links": {}},
    {"id": "2", "name": "bob", "enabled": False, "domain_id": "default", "tags": [], "links": {}},
]


@pytest.mark.parametrize(
    "query, expected",
    [
        ({}, "12"),
        ({"name": "Ada"}, "1"),
        ({"name": "ada"}, ""),
        ({"name__icontains": "AD"}, "1"),
        ({"name__contains": "AD"}, ""),
        ({"name__startswith": "b"}, "2"),
        ({"name__iendswith": "A"}, "1"),
        ({"name__sounds": "x"}, "12"),
        ({"enabled": "False"}, "2"),
        ({"enabled": "true"}, "1"),
        ({"enabled": ""}, "1"),
        ({"domain_id": ""}, "1"),
        ({"domain_id": "default", "name": "bob"}, "2"),
        ({"tags": "a,b"}, "1"),
        ({"not-tags": "a,b"}, "2"),
        ({"not-tags-any": "b,c"}, "2"),
        ({"tags-any": "b,c"}, "1"),
        ({"links": "x", "colour": "red", "limit": "1"}, "12"),
    ],
)
def test_every_filter_has_to_pass_and_an_unknown_one_lets_all_pass(query: dict[str, str], expected: str) -> None:
    assert "".join(view["id"] for view in narrowed(VIEWS, query)) == expected
