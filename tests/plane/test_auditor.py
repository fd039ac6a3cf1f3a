"""The role ``auditor``: sees every project and the whole fleet, changes nothing, and learns no secret."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from kilonova.api.audited import AUDITED
from kilonova.api.routes import Route
from tests.plane.house import House, lived_in
from tests.plane.role_requests import body_of, path_of, things_of, version_of
from tests.policy_table import GUARDS, MOUNTED, RULES, request_of

_FREE: Final = ("any", "owner", "token", "gone")
"""What is open to whoever is signed in, or is a user's own."""
_WHO: Final = {"user": "watcher", "project": "watch"}
_EACH: Final = [pytest.param(prefix, row, id=f"{prefix}{row.name}") for prefix, row in MOUNTED]


class Watched:
    """A cloud with a server of ``demo``, and somebody of another project who watches."""

    def __init__(self, house: House) -> None:
        self.house = house
        house.add_person("watcher", "watch", "auditor")
        self.server = house.boot("the-server-of-demo")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with lived_in(Path(tmp_path_factory.mktemp("auditor"))) as house:
        yield Watched(house)


@pytest.mark.parametrize("prefix, row", _EACH)
def test_an_auditor_reads_what_is_audited_and_changes_nothing(watched: Watched, prefix: str, row: Route) -> None:
    house, request = watched.house, request_of(prefix, row)
    rule = GUARDS[request]
    things = things_of(house, watched.server["id"], "", watched.server["tenant_id"])
    reply = house.call(
        row.method, path_of(prefix, row, request, things), body_of(row, request), version=version_of(row), **_WHO
    )
    if RULES.get(rule, rule) in _FREE:
        return
    if rule in AUDITED:
        assert row.method == "GET", "an auditor only reads"
        assert reply.status_code not in (401, 403, 500), reply.text
    else:
        assert reply.status_code in (403, 404), f"{rule}: {reply.status_code} {reply.text}"
    assert house.show(watched.server["id"])["updated"] == watched.server["updated"]


def test_no_audited_rule_is_one_of_writing_or_of_secrets() -> None:
    words = ("create", "update", "delete", "password", "console", "keypairs", "add_", "remove_", "set_")
    assert [rule for rule in AUDITED if any(word in rule for word in words)] == []


def test_an_auditor_sees_the_servers_of_all_projects(watched: Watched) -> None:
    house, id = watched.house, watched.server["id"]
    every = house.call("GET", "/servers/detail?all_tenants=1&host=" + watched.server["OS-EXT-SRV-ATTR:host"], **_WHO)
    assert [each["id"] for each in every.json()["servers"]] == [id]
    assert house.show(id, **_WHO) == house.show(id)
    assert house.call("GET", "/servers", **_WHO).json() == {"servers": []}
    assert house.call("GET", f"/servers/{id}/os-instance-actions", **_WHO).status_code == 200
    assert house.call("DELETE", f"/servers/{id}", **_WHO).status_code == 403
    assert house.act(id, {"os-stop": None}, **_WHO).status_code == 403
    assert house.act(id, {"os-getConsoleOutput": {}}, **_WHO).status_code == 403
    assert house.call("GET", "//state/v1/events?limit=1000", **_WHO).json()["events"]


def test_a_new_cloud_has_the_role_that_an_auditor_needs(watched: Watched) -> None:
    roles = watched.house.call("GET", "//identity/v3/roles").json()["roles"]
    assert "auditor" in {role["name"] for role in roles}
