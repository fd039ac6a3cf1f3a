"""Groups, domains, the system, implied roles and application credentials through the HTTP face."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.errors import Unauthenticated
from tests.plane.accounts import PASSWORD, Cloud
from tests.plane.asgi_client import AsgiClient

V3 = "/identity/v3"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(path=tmp_path)
    yield cloud
    cloud.database.close()


def made(client: AsgiClient, noun: str, **wanted: Any) -> Any:
    """What a POST makes of the wishes."""
    plural = {"application_credential": ""}.get(noun, f"{noun}s")
    reply = client("POST", f"{V3}/{plural}", json={noun: wanted})
    assert reply.status_code == 201, reply.text
    return reply.json()[noun]


def role_id(cloud: Cloud, name: str) -> str:
    return next(role.id for role in cloud.identity.records.list_roles() if role.name == name)


def credential(cloud: Cloud, token: str, **wanted: Any) -> Any:
    """A new application credential of whoever has the token, or the refusal."""
    user_id = cloud.identity.authenticate(token).user_id
    path = f"{V3}/users/{user_id}/application_credentials"
    return cloud.client.as_(token)("POST", path, json={"application_credential": {"name": "backup", **wanted}})


def sign_in_by(cloud: Cloud, one: Any, secret: str | None = None) -> Any:
    proof = {"id": one["id"], "secret": secret or one["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": proof}
    return cloud.client("POST", f"{V3}/auth/tokens", json={"auth": {"identity": identity}})


def scoped(cloud: Cloud, scope: Any, user: str = "admin", password: str = PASSWORD) -> Any:
    who = {"name": user, "domain": {"id": "default"}, "password": password}
    identity = {"methods": ["password"], "password": {"user": who}}
    return cloud.client("POST", f"{V3}/auth/tokens", json={"auth": {"identity": identity, "scope": scope}})


def test_a_group_gives_its_members_a_role_for_as_long_as_they_are_in_it(cloud: Cloud) -> None:
    admin = cloud.admin()
    ada = made(admin, "user", name="ada", password="lovelace")
    crew = made(admin, "group", name="crew")
    inside = f"{V3}/groups/{crew['id']}/users/{ada['id']}"
    grant = f"{V3}/projects/{cloud.ids.demo_project_id}/groups/{crew['id']}/roles/{role_id(cloud, 'member')}"
    assert [admin("PUT", path).status_code for path in (inside, inside, grant)] == [204] * 3
    assert admin("HEAD", inside).status_code == admin("HEAD", grant).status_code == 204
    token = cloud.token("ada", "lovelace")
    assert cloud.identity.authenticate(token).roles == {"member", "reader"}
    members = admin("GET", f"{V3}/groups/{crew['id']}/users").json()["users"]
    groups = cloud.client.as_(token)("GET", f"{V3}/users/{ada['id']}/groups").json()["groups"]
    projects = cloud.client.as_(token)("GET", f"{V3}/auth/projects").json()["projects"]
    assert ([one["name"] for one in members], [one["name"] for one in groups]) == (["ada"], ["crew"])
    assert [one["name"] for one in projects] == ["demo"]
    assert admin("DELETE", inside).status_code == 204
    with pytest.raises(Unauthenticated):
        cloud.identity.authenticate(token)
    assert admin("DELETE", inside).status_code == admin("HEAD", inside).status_code == 404


def test_effective_assignments_tell_by_which_way_a_role_comes(cloud: Cloud) -> None:
    admin = cloud.admin()
    ada, crew = made(admin, "user", name="ada"), made(admin, "group", name="crew")
    admin("PUT", f"{V3}/groups/{crew['id']}/users/{ada['id']}")
    admin("PUT", f"{V3}/domains/default/groups/{crew['id']}/roles/{role_id(cloud, 'member')}")
    path = f"{V3}/role_assignments?include_names&"
    (plain,) = admin("GET", f"{path}group.id={crew['id']}").json()["role_assignments"]
    assert plain["group"]["name"] == "crew"
    assert plain["scope"]["domain"] == {"id": "default", "name": "Default"}
    listed = admin("GET", f"{path}user.id={ada['id']}&effective&scope.domain.id=default").json()["role_assignments"]
    assert [one["role"]["name"] for one in listed] == ["member", "reader"]
    assert all(one["links"]["membership"].endswith(f"/groups/{crew['id']}/users/{ada['id']}") for one in listed)
    assert "prior_role" in listed[1]["links"]
    assert "prior_role" not in listed[0]["links"]
    off = admin("GET", f"{path}user.id={ada['id']}&effective=0").json()["role_assignments"]
    assert off == []


def test_a_group_is_changed_and_deleted_with_what_it_gave(cloud: Cloud) -> None:
    admin = cloud.admin()
    crew = made(admin, "group", name="crew", description="x")
    path = f"{V3}/groups/{crew['id']}"
    changed = admin("PATCH", path, json={"group": {"name": "band"}}).json()["group"]
    assert (changed["name"], changed["description"], changed["domain_id"]) == ("band", "x", "default")
    assert admin("GET", f"{V3}/groups?name=band").json()["groups"] == [changed]
    assert admin("POST", f"{V3}/groups", json={"group": {"name": "band"}}).status_code == 409
    assert admin("DELETE", path).status_code == 204
    assert admin("GET", path).json()["error"]["message"] == f"Could not find group: {crew['id']}."


def test_the_system_is_a_scope_for_accounts_and_for_nothing_else(cloud: Cloud) -> None:
    reply = scoped(cloud, {"system": {"all": True}})
    token = reply.json()["token"]
    assert token["system"] == {"all": True}
    assert {"project", "domain"}.isdisjoint(token)
    assert "admin" in {role["name"] for role in token["roles"]}
    client = cloud.client.as_(reply.headers["x-subject-token"])
    assert client("GET", f"{V3}/users").status_code == client("GET", f"{V3}/auth/catalog").status_code == 200
    assert client("GET", f"{V3}/auth/system").json()["system"] == [{"all": True}]
    caller = cloud.identity.authenticate(reply.headers["x-subject-token"])
    assert (caller.is_admin, caller.roles, caller.project_id, caller.is_system) == (False, frozenset(), None, True)


def test_a_role_on_the_system_is_given_and_taken_like_any_other(cloud: Cloud) -> None:
    ada, admin = cloud.add_member(), cloud.admin()
    path = f"{V3}/system/users/{ada}/roles"
    grant = f"{path}/{role_id(cloud, 'reader')}"
    assert scoped(cloud, {"system": {"all": True}}, "ada", "lovelace").status_code == 401
    assert cloud.client.as_(cloud.token("ada", "lovelace"))("GET", f"{V3}/auth/system").json()["system"] == []
    assert admin("HEAD", grant).status_code == 404
    assert admin("PUT", grant).status_code == admin("HEAD", grant).status_code == 204
    assert [role["name"] for role in admin("GET", path).json()["roles"]] == ["reader"]
    assert scoped(cloud, {"system": {"all": True}}, "ada", "lovelace").status_code == 201
    assert admin("DELETE", grant).status_code == 204
    assert admin("DELETE", grant).status_code == 404


def test_a_domain_is_a_scope(cloud: Cloud) -> None:
    admin = cloud.admin()
    admin("PUT", f"{V3}/domains/default/users/{cloud.ids.admin_user_id}/roles/{role_id(cloud, 'admin')}")
    reply = scoped(cloud, {"domain": {"name": "Default"}})
    assert reply.json()["token"]["domain"] == {"id": "default", "name": "Default"}
    client = cloud.client.as_(reply.headers["x-subject-token"])
    assert client("GET", f"{V3}/projects").status_code == 200
    assert [one["id"] for one in client("GET", f"{V3}/auth/domains").json()["domains"]] == ["default"]
    assert not cloud.identity.authenticate(reply.headers["x-subject-token"]).is_admin
    assert scoped(cloud, {"domain": {"id": "nowhere"}}).status_code == 401


def test_a_domain_is_disabled_before_it_is_deleted_with_all_in_it(cloud: Cloud) -> None:
    admin = cloud.admin()
    lab = made(admin, "domain", name="lab")
    path = f"{V3}/domains/{lab['id']}"
    user = made(admin, "user", name="ada", domain_id=lab["id"], password="x")
    made(admin, "project", name="web", domain_id=lab["id"])
    made(admin, "group", name="crew", domain_id=lab["id"])
    refused = admin("DELETE", path)
    assert refused.status_code == 403
    assert "disable it first" in refused.json()["error"]["message"]
    assert admin("PATCH", path, json={"domain": {"enabled": False}}).json()["domain"]["enabled"] is False
    assert admin("DELETE", path).status_code == 204
    assert admin("GET", f"{V3}/users/{user['id']}").status_code == 404
    assert admin("GET", path).status_code == 404
    assert admin("PATCH", f"{V3}/domains/default", json={"domain": {"enabled": False}}).status_code == 403


def test_a_disabled_domain_lets_nobody_in(cloud: Cloud) -> None:
    admin = cloud.admin()
    lab = made(admin, "domain", name="lab")
    made(admin, "user", name="ada", domain_id=lab["id"], password="x")
    who = {"name": "ada", "domain": {"id": lab["id"]}, "password": "x"}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}}}
    assert cloud.client("POST", f"{V3}/auth/tokens", json=body).status_code == 201
    admin("PATCH", f"{V3}/domains/{lab['id']}", json={"domain": {"enabled": False}})
    assert cloud.client("POST", f"{V3}/auth/tokens", json=body).status_code == 401


def test_a_role_brings_what_an_administrator_says_it_brings(cloud: Cloud) -> None:
    admin, ada = cloud.admin(), cloud.add_member(role="reader")
    pilot, reader = made(admin, "role", name="pilot"), role_id(cloud, "reader")
    path = f"{V3}/roles/{reader}/implies/{pilot['id']}"
    token = cloud.token("ada", "lovelace")
    assert admin("GET", path).status_code == 404
    assert admin("PUT", path).json()["role_inference"]["implies"]["name"] == "pilot"
    assert (admin("GET", path).status_code, admin("HEAD", path).status_code) == (200, 204)
    assert cloud.identity.authenticate(token).roles == {"reader", "pilot"}
    implied = admin("GET", f"{V3}/roles/{reader}/implies").json()["role_inference"]["implies"]
    assert [one["name"] for one in implied] == ["pilot"]
    rules = admin("GET", f"{V3}/role_inferences").json()["role_inferences"]
    assert {rule["prior_role"]["name"] for rule in rules} == {"admin", "manager", "member", "reader"}
    assert admin("DELETE", path).status_code == 204
    assert admin("DELETE", path).status_code == 404
    assert cloud.identity.authenticate(token).roles == {"reader"}
    assert admin("PUT", f"{V3}/roles/{reader}/implies/{role_id(cloud, 'admin')}").status_code == 403
    assert admin("PUT", f"{V3}/roles/{reader}/implies/{reader}").status_code == 400
    assert ada


def test_a_role_is_renamed_and_deleted_from_everybody(cloud: Cloud) -> None:
    admin = cloud.admin()
    pilot = made(admin, "role", name="pilot")
    user_id = cloud.add_member(role="pilot")
    path = f"{V3}/roles/{pilot['id']}"
    assert admin("PATCH", path, json={"role": {"name": "captain"}}).json()["role"]["name"] == "captain"
    token = cloud.token("ada", "lovelace")
    assert cloud.identity.authenticate(token).roles == {"captain"}
    assert admin("DELETE", path).status_code == 204
    assert admin("GET", path).status_code == 404
    assert cloud.sign_in("ada", "lovelace").status_code == 401
    assert admin("GET", f"{V3}/role_assignments?user.id={user_id}").json()["role_assignments"] == []
    assert admin("POST", f"{V3}/roles", json={"role": {"name": "x", "domain_id": "default"}}).status_code == 501


def test_inherited_grants_are_said_not_to_be_offered(cloud: Cloud) -> None:
    path = f"{V3}/OS-INHERIT/domains/default/users/x/roles/y/inherited_to_projects"
    assert cloud.admin()("PUT", path).status_code == 501


def test_a_program_signs_in_by_an_application_credential(cloud: Cloud) -> None:
    cloud.add_member()
    one = credential(cloud, cloud.token("ada", "lovelace"), description="at night").json()["application_credential"]
    assert {role["name"] for role in one["roles"]} == {"member", "reader"}
    reply = sign_in_by(cloud, one)
    token = reply.json()["token"]
    assert token["application_credential"] == {"id": one["id"], "name": "backup", "restricted": True}
    assert (token["methods"], token["project"]["name"]) == (["application_credential"], "demo")
    assert sign_in_by(cloud, one, "guess").status_code == 401
    assert sign_in_by(cloud, {"id": "nothing", "secret": "x"}).status_code == 401


def test_an_application_credential_can_be_named_by_its_user(cloud: Cloud) -> None:
    cloud.add_member()
    one = credential(cloud, cloud.token("ada", "lovelace"), secret="chosen").json()["application_credential"]
    assert one["secret"] == "chosen"
    proof = {"name": "backup", "user": {"name": "ada", "domain": {"id": "default"}}, "secret": "chosen"}
    identity = {"methods": ["application_credential"], "application_credential": proof}
    assert cloud.client("POST", f"{V3}/auth/tokens", json={"auth": {"identity": identity}}).status_code == 201
    proof["name"] = "other"
    assert cloud.client("POST", f"{V3}/auth/tokens", json={"auth": {"identity": identity}}).status_code == 401


def test_an_application_credential_has_no_more_roles_than_it_was_made_with_and_than_its_user_has(cloud: Cloud) -> None:
    user_id, token = cloud.add_member(), ""
    one = credential(cloud, cloud.token("ada", "lovelace"), roles=[{"name": "reader"}]).json()["application_credential"]
    token = sign_in_by(cloud, one).headers["x-subject-token"]
    assert cloud.identity.authenticate(token).roles == {"reader"}
    refused = credential(cloud, cloud.token("ada", "lovelace"), name="more", roles=[{"name": "admin"}])
    assert refused.status_code == 400
    cloud.admin()("DELETE", cloud.grant_path(user_id))
    with pytest.raises(Unauthenticated):
        cloud.identity.authenticate(token)
    assert sign_in_by(cloud, one).status_code == 401


def test_a_restricted_token_makes_and_deletes_no_credentials_and_reaches_no_other_project(cloud: Cloud) -> None:
    one = credential(cloud, cloud.token()).json()["application_credential"]
    token = sign_in_by(cloud, one).headers["x-subject-token"]
    path = f"{V3}/users/{cloud.ids.admin_user_id}/application_credentials/{one['id']}"
    assert credential(cloud, token, name="more").status_code == 403
    assert cloud.client.as_(token)("DELETE", path).status_code == 403
    assert cloud.rescope(token, project="admin").status_code == 401
    assert cloud.rescope(token, project="demo").json()["token"]["application_credential"]["id"] == one["id"]
    free = credential(cloud, cloud.token(), name="free", unrestricted=True).json()["application_credential"]
    unrestricted = sign_in_by(cloud, free).headers["x-subject-token"]
    assert credential(cloud, unrestricted, name="more").status_code == 201


def test_a_deleted_or_expired_credential_ends_its_tokens(cloud: Cloud) -> None:
    token = cloud.token()
    one = credential(cloud, token).json()["application_credential"]
    brief = credential(cloud, token, name="brief", expires_at="2026-11-22T13:10:00").json()["application_credential"]
    assert brief["expires_at"] == "2026-11-22T13:10:00.000000"
    tokens = [sign_in_by(cloud, each).headers["x-subject-token"] for each in (one, brief)]
    base = f"{V3}/users/{cloud.ids.admin_user_id}/application_credentials"
    assert cloud.client.as_(token)("DELETE", f"{base}/{one['id']}").status_code == 204
    cloud.pass_seconds(601)
    for ended in tokens:
        with pytest.raises(Unauthenticated):
            cloud.identity.authenticate(ended)
    assert sign_in_by(cloud, brief).status_code == 401
    assert cloud.client.as_(token)("GET", f"{base}/{one['id']}").status_code == 404
    assert [each["name"] for each in cloud.client.as_(token)("GET", base).json()["application_credentials"]] == [
        "brief"
    ]


@pytest.mark.parametrize(
    "wanted, status",
    [
        ({"name": None}, 400),
        ({"roles": "all"}, 400),
        ({"roles": [{}]}, 400),
        ({"roles": [{"id": "nothing"}]}, 400),
        ({"expires_at": "soon"}, 400),
        ({"expires_at": "2001-01-01T00:00:00"}, 400),
        ({"unrestricted": "yes"}, 400),
        ({"access_rules": [{"path": "/v2.1/servers"}]}, 501),
    ],
)
def test_a_credential_that_makes_no_sense_is_refused(cloud: Cloud, wanted: dict[str, Any], status: int) -> None:
    assert credential(cloud, cloud.token(), **wanted).status_code == status


def test_credentials_are_made_for_oneself_on_a_project(cloud: Cloud) -> None:
    user_id = cloud.add_member()
    base = f"{V3}/users/{user_id}/application_credentials"
    body = {"application_credential": {"name": "x"}}
    assert cloud.admin()("POST", base, json=body).status_code == 404
    assert credential(cloud, cloud.token(project=None)).status_code == 403
    assert cloud.admin()("GET", base).json()["application_credentials"] == []
    member = cloud.client.as_(cloud.token("ada", "lovelace"))
    assert member("GET", f"{V3}/users/{cloud.ids.admin_user_id}/application_credentials").status_code == 403
    assert credential(cloud, cloud.token()).status_code == 201
    assert credential(cloud, cloud.token()).status_code == 409


def test_project_tags_come_and_go(cloud: Cloud) -> None:
    admin = cloud.admin()
    project = made(admin, "project", name="web", tags=["b", "a"])
    path = f"{V3}/projects/{project['id']}/tags"
    assert project["tags"] == ["a", "b"]
    assert admin("PUT", f"{path}/c").status_code == 201
    assert admin("HEAD", f"{path}/c").status_code == 204
    assert admin("DELETE", f"{path}/a").status_code == 204
    assert admin("DELETE", f"{path}/a").status_code == 404
    assert admin("GET", path).json()["tags"] == ["b", "c"]
    for query, count in (("tags=b", 1), ("tags=b,x", 0), ("tags-any=b,x", 1), ("not-tags=b", 0), ("not-tags-any=x", 1)):
        assert len(admin("GET", f"{V3}/projects?name=web&{query}").json()["projects"]) == count, query
    assert admin("PUT", path, json={"tags": ["z"]}).json()["tags"] == ["z"]
    assert admin("PUT", path, json={"tags": ["a/b"]}).status_code == 400
    assert admin("DELETE", path).status_code == 204
    assert admin("GET", path).json()["tags"] == []


def test_what_clients_put_beside_the_known_fields_is_kept(cloud: Cloud) -> None:
    admin = cloud.admin()
    project = made(admin, "project", name="web", color="red", size=3)
    change = {"project": {"color": None, "shape": "round"}}
    changed = admin("PATCH", f"{V3}/projects/{project['id']}", json=change).json()["project"]
    assert (project["color"], changed["size"], changed["shape"]) == ("red", 3, "round")
    assert "color" not in changed
    assert made(admin, "user", name="ada", desk=7)["desk"] == 7
    assert admin("POST", f"{V3}/users", json={"user": {"name": "x", "desk": "y" * 70_000}}).status_code == 400
    assert admin("POST", f"{V3}/users", json={"user": {"name": "x", "options": {"a": 1}}}).status_code == 501


@pytest.mark.parametrize("noun", ["services", "endpoints", "regions"])
def test_the_catalog_is_read_and_not_changed(cloud: Cloud, noun: str) -> None:
    admin = cloud.admin()
    (one, *_) = admin("GET", f"{V3}/{noun}").json()[noun]
    assert admin("GET", f"{V3}/{noun}/{one['id']}").json() == {noun[:-1]: one}
    for method, path in (("POST", noun), ("PATCH", f"{noun}/{one['id']}"), ("DELETE", f"{noun}/{one['id']}")):
        assert admin(method, f"{V3}/{path}", json={noun[:-1]: {}}).status_code == 501


def test_none_of_it_is_for_members(cloud: Cloud) -> None:
    user_id = cloud.add_member()
    member = cloud.client.as_(cloud.token("ada", "lovelace"))
    for method, path in (
        ("POST", "domains"),
        ("POST", "groups"),
        ("GET", "groups"),
        ("GET", "role_inferences"),
        ("PUT", f"system/users/{user_id}/roles/{role_id(cloud, 'admin')}"),
        ("PUT", f"domains/default/users/{user_id}/roles/{role_id(cloud, 'admin')}"),
        ("PATCH", f"roles/{role_id(cloud, 'admin')}"),
        ("DELETE", "domains/default"),
        ("POST", "endpoints"),
        ("PUT", f"projects/{cloud.ids.demo_project_id}/tags/x"),
    ):
        assert member(method, f"{V3}/{path}").status_code == 403, path
