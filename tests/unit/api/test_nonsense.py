"""Whatever is sent, the answer is no 500: the frame refuses nonsense before anything breaks on it."""

import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilonova.api.resources import ROUTES
from kilonova.api.schemas import servers as schemas
from kilonova.api.schemas.types import MOST
from kilonova.wire.version import MIN, NOVA_MAX
from tests.unit.api.cloud import IMAGE_ID, ApiCloud

FEW = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(MOST, 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["9" * 17, "9" * 5000, "\0", "é\n", "0", "-1", IMAGE_ID, "none", "1; DROP TABLE instances"]),
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ACTIONS = sorted({row.action for row in ROUTES if row.action})
FILTERS = sorted({name for _, schema in schemas.LIST.steps if schema for name in schema.document["properties"]})
FIELDS = sorted(
    {
        name
        for _, schema in schemas.CREATE.steps
        if schema
        for name in schema.document["properties"]["server"]["properties"]
    }
)
PATHS = sorted({row.path for row in ROUTES if row.method == "GET"})


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiCloud]:
    """One API for all examples."""
    made = ApiCloud(Path(tmp_path_factory.mktemp("cloud")))
    made.add_host()
    made.boot()
    yield made
    made.close()


@FEW
@given(
    path=st.sampled_from(PATHS),
    words=st.lists(st.text(min_size=1, max_size=8), min_size=4, max_size=4),
    old=st.booleans(),
)
def test_any_words_in_a_path(cloud: ApiCloud, path: str, words: list[str], old: bool) -> None:
    parts = iter(words)
    filled = "/".join(quote(next(parts), safe="") if part.startswith("{") else part for part in path.split("/"))
    assert cloud.call("GET", filled, version=str(MIN if old else NOVA_MAX)).status_code != 500


@FEW
@given(query=st.dictionaries(st.sampled_from(FILTERS), scalars.map(str), max_size=3), old=st.booleans())
def test_any_filter_of_servers(cloud: ApiCloud, query: dict[str, str], old: bool) -> None:
    reply = cloud.call("GET", "/servers/detail", params=query, version="2.1" if old else "2.100")
    assert reply.status_code in (200, 400, 403)


@FEW
@given(wanted=st.dictionaries(st.sampled_from(FIELDS), documents, max_size=3), more=documents)
def test_any_order_of_a_server(cloud: ApiCloud, wanted: dict[str, Any], more: Any) -> None:
    whole = {"name": "x", "flavorRef": "1", "imageRef": IMAGE_ID, "networks": "none"}
    for body in (
        {"server": {**whole, **wanted}},
        {"server": wanted},
        more,
        {"server": whole, "os:scheduler_hints": more},
    ):
        reply = cloud.call("POST", "/servers", body, version="2.100")
        assert reply.status_code in (202, 400, 403, 501), reply.text


@FEW
@given(action=st.sampled_from(ACTIONS) | st.text(string.ascii_letters, max_size=8), value=documents)
def test_any_value_of_an_action(cloud: ApiCloud, action: str, value: Any) -> None:
    uuid = cloud.get("/servers?name=web1&limit=1")["servers"][0]["id"]
    reply = cloud.call("POST", f"/servers/{uuid}/action", {action: value}, version="2.100")
    assert reply.status_code in (200, 202, 204, 400, 404, 409, 410, 501), reply.text


@FEW
@given(wanted=documents, below=st.sampled_from(["", "/metadata", "/tags", "/metadata/k"]))
def test_any_change_of_a_server(cloud: ApiCloud, wanted: Any, below: str) -> None:
    uuid = cloud.get("/servers?limit=1")["servers"][0]["id"]
    key = {"": "server", "/metadata": "metadata", "/tags": "tags", "/metadata/k": "meta"}[below]
    for body in (wanted, {key: wanted}):
        reply = cloud.call("PUT", f"/servers/{uuid}{below}", body, version="2.100")
        assert reply.status_code in (200, 400, 403, 409), reply.text


@FEW
@given(wanted=st.dictionaries(st.sampled_from(["name", "ram", "vcpus", "disk", "swap", "rxtx_factor", "id"]), scalars))
def test_any_size_of_a_flavor(cloud: ApiCloud, wanted: dict[str, Any]) -> None:
    whole = {"name": "f", "ram": 1, "vcpus": 1, "disk": 1}
    reply = cloud.call("POST", "/flavors", {"flavor": {**whole, **wanted}}, version="2.100")
    assert reply.status_code in (200, 400, 409), reply.text
