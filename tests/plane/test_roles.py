"""Every route, asked by everybody: who is let in is what the contract says (§0.6), and nobody sees another's things.

What is expected comes from ``tests/data/policies`` alone: the rule of each request, and each rule's default.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import httpx2
import pytest

from kilonova.api.routes import Route
from tests.plane.house import House, lived_in
from tests.plane.role_requests import BODIES, body_of, path_of, things_of, version_of
from tests.policy_table import GUARDS, MOUNTED, RULES, request_of

OWN: Final = "demo"
OTHER: Final = "elsewhere"
HIERARCHY: Final = ("reader", "member", "manager", "admin")
FROM_SCHEMAS: Final = ("Invalid input for", "is a required property", "Additional properties", "is not of type")
ENDS: Final = ("DELETE /servers/{server_id}", "POST /servers/{server_id}/action forceDelete")


class Person(NamedTuple):
    """Somebody with one role on one project."""

    role: str
    project: str

    @property
    def name(self) -> str:
        """The name to sign in with."""
        return f"{self.role}-of-{self.project}"


PEOPLE: Final = (
    *(Person(role, OTHER) for role in ("reader", "member", "admin")),
    *(Person(role, OWN) for role in ("reader", "member", "manager", "admin", "service")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """A cloud, and what the project ``demo`` has in it."""

    house: House
    server_id: str
    project_id: str

    def ask(self, person: Person, prefix: str, row: Route, things: dict[str, str]) -> httpx2.Response:
        """The row's request, by somebody."""
        request = request_of(prefix, row)
        return self.house.call(
            row.method,
            path_of(prefix, row, request, things),
            body_of(row, request),
            version=version_of(row),
            user=person.name,
            project=person.project,
        )

    def things(self, row: Route, *, wants_server: bool) -> dict[str, str]:
        """What the request is about, made anew where it may end."""
        server_id, group_id = self.server_id, ""
        if wants_server:
            server_id = _order(self.house)
        if "os-server-groups" in row.path:
            group_id = _group(self.house)
        return things_of(self.house, server_id, group_id, self.project_id)


def _order(house: House) -> str:
    server = {"name": "web", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none"}
    reply = house.call("POST", "/servers", {"server": server})
    assert reply.status_code == 202, reply.text
    return str(reply.json()["server"]["id"])


def _group(house: House) -> str:
    reply = house.call("POST", "/os-server-groups", {"server_group": {"name": "of-demo", "policy": "affinity"}})
    return str(reply.json()["server_group"]["id"])


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """One cloud for all requests; nothing that is accepted in it is ever carried out."""
    unlimited = {"instances": -1, "cores": -1, "ram": -1, "server_groups": -1, "key_pairs": -1}
    with lived_in(Path(tmp_path_factory.mktemp("roles")), quota=unlimited) as house:
        for person in PEOPLE:
            house.add_person(person.name, person.project, person.role)
        server = house.boot("the-server-of-demo")
        yield Estate(house=house, server_id=server["id"], project_id=server["tenant_id"])


def may(rule: str, person: Person, *, is_about_own: bool) -> bool:
    """Whether the contract lets somebody in; ``is_about_own`` where the thing belongs to their own project."""
    default = RULES.get(rule, "any")
    if default == "nobody":
        return False
    if default == "any" or person.role == "admin":
        return True
    if default in ("owner", "service"):
        return default == "owner" or person.role == "service"
    is_high = person.role in HIERARCHY and HIERARCHY.index(person.role) >= HIERARCHY.index(default)
    return is_high and is_about_own


def is_about_demo(row: Route) -> bool:
    """Whether the request names something of the project ``demo``, rather than being about the caller's own."""
    named = ("{server_id}", "{project_id}", "os-server-groups/{id}", "/operations/")
    return any(each in row.path for each in named) and not row.path.endswith("/defaults")


def verdict(reply: httpx2.Response, rule: str, server_id: str) -> str:
    """What became of a request: ``refused``, ``hidden`` (as if it were not there) or ``served``, well or badly."""
    if (
        reply.status_code == 403
        and reply.json()["forbidden"]["message"] == f"Policy doesn't allow {rule} to be performed."
    ):
        return "refused"
    if reply.status_code == 404 and f"Instance {server_id} could not be found." in reply.text:
        return "hidden"
    if reply.status_code == 400 and any(each in reply.text for each in FROM_SCHEMAS):
        return reply.text
    if rule == "gone":
        return "served" if reply.status_code == 410 else "not gone"
    # What a token alone opens may be closed again by the service that Nova passes it on to.
    bad = (401, 500) if rule == "token" else (401, 403, 500)
    return f"{reply.status_code} {reply.text}" if reply.status_code in bad else "served"


def expected(row: Route, rule: str, person: Person) -> str:
    """What the contract says will become of it."""
    is_foreign = is_about_demo(row) and person.project != OWN
    names_server = "{server_id}" in row.path or "/operations/" in row.path
    if rule != "gone" and names_server and is_foreign and person.role != "admin":
        return "hidden"
    return "served" if may(rule, person, is_about_own=not is_foreign) else "refused"


EACH: Final = [pytest.param(prefix, row, id=f"{prefix}{row.name}") for prefix, row in MOUNTED]
LISTS: Final = [
    pytest.param(prefix, row, id=f"{prefix}{row.name}")
    for prefix, row in MOUNTED
    if row.method == "GET" and not is_about_demo(row) and "{project_id}" not in row.path
]


@pytest.mark.parametrize("prefix, row", EACH)
def test_a_request_is_for_those_whom_the_contract_lets_in(estate: Estate, prefix: str, row: Route) -> None:
    request = request_of(prefix, row)
    rule = GUARDS[request]
    found, wanted = {}, {}
    things = estate.things(row, wants_server=False)
    # Those who are refused come first, while there is still what they would be refused.
    for person in sorted(PEOPLE, key=lambda one: expected(row, rule, one) == "served"):
        wanted[person] = expected(row, rule, person)
        if request in ENDS and wanted[person] == "served":
            things = estate.things(row, wants_server=True)
        reply = estate.ask(person, prefix, row, things)
        found[person] = verdict(reply, rule, things["server_id"])
        assert wanted[person] != "refused" or person.project == OWN or estate.server_id not in reply.text
    assert found == wanted


@pytest.mark.parametrize("prefix, row", EACH)
def test_nobody_is_let_in_without_a_token(estate: Estate, prefix: str, row: Route) -> None:
    things = things_of(estate.house, estate.server_id, "", estate.project_id)
    path = path_of(prefix, row, request_of(prefix, row), things)
    url = path[1:] if prefix else f"/compute/v2.1{path}"
    for headers in ({}, {"X-Auth-Token": "made-up"}):
        reply = estate.house.raw(row.method, url, headers=headers)
        assert reply.status_code == 401, reply.text


@pytest.mark.parametrize("prefix, row", LISTS)
def test_what_others_list_has_nothing_of_the_project(estate: Estate, prefix: str, row: Route) -> None:
    for role in ("reader", "member"):
        reply = estate.ask(Person(role, OTHER), prefix, row, estate.things(row, wants_server=False))
        assert estate.server_id not in reply.text.replace(f"server={estate.server_id}", "")
        assert "the-server-of-demo" not in reply.text
        assert estate.project_id not in reply.text


_HOST: Final = "nowhere"
WISHES: Final = (
    ("os_compute_api:servers:index:get_all_tenants", "GET", "/servers?all_tenants=1", None),
    ("os_compute_api:servers:detail:get_all_tenants", "GET", "/servers/detail?all_tenants=1", None),
    ("os_compute_api:limits:other_project", "GET", "/limits?tenant_id=0123456789abcdef", None),
    ("os_compute_api:os-migrations:index:all_projects", "GET", "/os-migrations", None),
    ("os_compute_api:os-keypairs:index", "GET", "/os-keypairs?user_id=somebody-else", None),
    ("os_compute_api:os-keypairs:show", "GET", "/os-keypairs/key?user_id=somebody-else", None),
    ("os_compute_api:os-keypairs:delete", "DELETE", "/os-keypairs/key?user_id=somebody-else", None),
    ("os_compute_api:os-keypairs:create", "POST", "/os-keypairs", {"user_id": "somebody-else"}),
    ("os_compute_api:servers:create:forced_host", "POST", "/servers", {"availability_zone": f"nova:{_HOST}"}),
    ("compute:servers:create:requested_destination", "POST", "/servers", {"host": _HOST}),
    ("compute:servers:create:requested_destination", "POST", "/servers", {"hypervisor_hostname": _HOST}),
)


@pytest.mark.parametrize("rule, method, path, wish", WISHES)
def test_some_wishes_are_for_administrators(
    estate: Estate, rule: str, method: str, path: str, wish: dict[str, str] | None
) -> None:
    body = None if wish is None else _wishing(path, wish)
    for role in ("manager", "admin"):
        person = Person(role, OWN)
        reply = estate.house.call(method, path, body, version="2.91", user=person.name, project=OWN)
        assert verdict(reply, rule, estate.server_id) == ("served" if role == "admin" else "refused"), role


def _wishing(path: str, wish: dict[str, str]) -> dict[str, dict[str, str]]:
    (kind,) = {"/servers": ["server"], "/os-keypairs": ["keypair"]}[path]
    whole: dict[str, dict[str, str]] = BODIES[f"POST {path}"]
    return {kind: whole[kind] | wish}


@pytest.mark.parametrize("role", ["reader", "member", "manager", "admin"])
def test_only_administrators_see_where_a_server_runs(estate: Estate, role: str) -> None:
    who = {"user": Person(role, OWN).name, "project": OWN}
    shown = estate.house.show(estate.server_id, version="2.96", **who)
    operators = {"OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:hypervisor_hostname", "OS-EXT-SRV-ATTR:instance_name"}
    assert (operators & set(shown) == operators) is (role == "admin")
    assert ("host_status" in shown) is (role == "admin")
    assert "extra_specs" in shown["flavor"]
