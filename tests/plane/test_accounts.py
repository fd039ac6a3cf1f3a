"""Users, projects and roles through the HTTP face, and what changes to them do to tokens that are out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.errors import Unauthenticated
from tests.plane.accounts import Cloud


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(path=tmp_path)
    yield cloud
    cloud.database.close()


def test_a_role_taken_away_is_gone_from_tokens_that_are_out(cloud: Cloud) -> None:
    user_id = cloud.add_member()
    token = cloud.token("ada", "lovelace")
    assert cloud.identity.authenticate(token).roles == {"member", "reader"}
    assert cloud.admin()("DELETE", cloud.grant_path(user_id)).status_code == 204
    with pytest.raises(Unauthenticated):
        cloud.identity.authenticate(token)


@pytest.mark.parametrize("noun", ["users", "projects"])
def test_disabling_a_user_or_a_project_ends_their_tokens(cloud: Cloud, noun: str) -> None:
    user_id = cloud.add_member()
    token, admin = cloud.token("ada", "lovelace"), cloud.client.as_(cloud.token(project="admin"))
    cloud.identity.authenticate(token)
    target = user_id if noun == "users" else cloud.ids.demo_project_id
    response = admin("PATCH", f"/identity/v3/{noun}/{target}", json={noun[:-1]: {"enabled": False}})
    assert response.json()[noun[:-1]]["enabled"] is False
    with pytest.raises(Unauthenticated):
        cloud.identity.authenticate(token)
    assert cloud.sign_in("ada", "lovelace", project="demo").status_code == 401


def test_users_change_their_own_password_and_all_their_tokens_end(cloud: Cloud) -> None:
    user_id = cloud.add_member()
    token = cloud.token("ada", "lovelace")
    path, client = f"/identity/v3/users/{user_id}/password", cloud.client.as_(token)
    wrong = {"user": {"original_password": "guess", "password": "new"}}
    assert client("POST", path, json=wrong).status_code == 401
    right = {"user": {"original_password": "lovelace", "password": "new"}}
    assert client("POST", path, json=right).status_code == 204
    with pytest.raises(Unauthenticated):
        cloud.identity.authenticate(token)
    assert cloud.token("ada", "new")


def test_guessing_the_original_password_is_braked_too(cloud: Cloud) -> None:
    user_id = cloud.add_member()
    client = cloud.client.as_(cloud.token("ada", "lovelace"))
    path = f"/identity/v3/users/{user_id}/password"
    for guess in ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "lovelace"):
        body = {"user": {"original_password": guess, "password": "mine"}}
        assert client("POST", path, json=body).status_code == 401


def test_what_lies_in_no_flat_domain_is_said_to_be_missing(cloud: Cloud) -> None:
    admin = cloud.admin()
    project = {"name": "x", "is_domain": True}
    assert admin("POST", "/identity/v3/projects", json={"project": project}).status_code == 501
    change = {"project": {"domain_id": "other"}}
    path = f"/identity/v3/projects/{cloud.ids.demo_project_id}"
    assert admin("PATCH", path, json=change).status_code == 400


@pytest.mark.parametrize(
    "user",
    [
        None,
        [],
        {},
        {"name": ""},
        {"name": " "},
        {"name": 7},
        {"name": "x" * 256},
        {"name": "x", "enabled": "yes"},
        {"name": "x", "password": 7},
    ],
)
def test_a_user_that_makes_no_sense_is_refused(cloud: Cloud, user: Any) -> None:
    assert cloud.admin()("POST", "/identity/v3/users", json={"user": user}).status_code == 400


@pytest.mark.parametrize("noun", ["domain", "project", "group"])
def test_the_names_of_what_has_members_have_at_most_64_characters(cloud: Cloud, noun: str) -> None:
    admin = cloud.admin()
    made = admin("POST", f"/identity/v3/{noun}s", json={noun: {"name": "x" * 64}}).json()[noun]
    for method, path in (("POST", f"{noun}s"), ("PATCH", f"{noun}s/{made['id']}")):
        assert admin(method, f"/identity/v3/{path}", json={noun: {"name": "x" * 65}}).status_code == 400


def test_a_user_in_an_unknown_domain_is_refused(cloud: Cloud) -> None:
    body = {"user": {"name": "x", "domain_id": "nowhere"}}
    assert cloud.admin()("POST", "/identity/v3/users", json=body).status_code == 404


def test_a_default_project_is_the_scope_where_none_is_named(cloud: Cloud) -> None:
    user_id = cloud.add_member()
    change = {"user": {"default_project_id": cloud.ids.demo_project_id}}
    cloud.admin()("PATCH", f"/identity/v3/users/{user_id}", json=change)
    identity = {"methods": ["password"], "password": {"user": {"id": user_id, "password": "lovelace"}}}
    response = cloud.client("POST", "/identity/v3/auth/tokens", json={"auth": {"identity": identity}})
    assert response.json()["token"]["project"]["name"] == "demo"


def test_members_see_themselves_and_not_the_others(cloud: Cloud) -> None:
    user_id = cloud.add_member()
    member = cloud.client.as_(cloud.token("ada", "lovelace"))
    allowed = [
        f"users/{user_id}",
        f"users/{user_id}/projects",
        f"projects/{cloud.ids.demo_project_id}",
        "domains/default",
        "auth/projects",
        "auth/catalog",
        "regions",
    ]
    refused = [
        "users",
        f"users/{cloud.ids.admin_user_id}",
        "projects",
        f"projects/{cloud.ids.admin_project_id}",
        "domains",
        "roles",
        "role_assignments",
        "services",
        "endpoints",
    ]
    assert [member("GET", f"/identity/v3/{path}").status_code for path in allowed] == [200] * len(allowed)
    assert [member("GET", f"/identity/v3/{path}").status_code for path in refused] == [403] * len(refused)
    projects = member("GET", "/identity/v3/auth/projects").json()["projects"]
    assert [project["name"] for project in projects] == ["demo"]


def test_members_change_nothing(cloud: Cloud) -> None:
    user_id = cloud.add_member()
    member = cloud.client.as_(cloud.token("ada", "lovelace"))
    assert member("POST", "/identity/v3/users", json={"user": {"name": "x"}}).status_code == 403
    assert member("PATCH", f"/identity/v3/users/{user_id}", json={"user": {"enabled": True}}).status_code == 403
    assert member("DELETE", f"/identity/v3/projects/{cloud.ids.admin_project_id}").status_code == 403
    assert member("PUT", cloud.grant_path(user_id, "admin")).status_code == 403


def test_a_project_and_a_user_come_and_go(cloud: Cloud) -> None:
    admin = cloud.client.as_(cloud.token(project="admin"))
    project = admin("POST", "/identity/v3/projects", json={"project": {"name": "web"}}).json()["project"]
    user = admin("POST", "/identity/v3/users", json={"user": {"name": "ada", "password": "x"}}).json()["user"]
    role_id = next(role["id"] for role in admin("GET", "/identity/v3/roles?name=member").json()["roles"])
    grant = f"/identity/v3/projects/{project['id']}/users/{user['id']}/roles/{role_id}"
    assert admin("HEAD", grant).status_code == 404
    assert [admin("PUT", grant).status_code for _ in range(2)] == [204, 204]
    assert admin("HEAD", grant).status_code == 204
    token = cloud.token("ada", "x", project="web")
    assert admin("DELETE", f"/identity/v3/projects/{project['id']}").status_code == 204
    with pytest.raises(Unauthenticated):
        cloud.identity.authenticate(token)
    assert admin("DELETE", f"/identity/v3/users/{user['id']}").status_code == 204
    assert admin("GET", f"/identity/v3/users/{user['id']}").status_code == 404
    assert admin("GET", f"/identity/v3/projects/{project['id']}").status_code == 404


def test_role_assignments_tell_names_and_implied_roles(cloud: Cloud) -> None:
    user_id = cloud.add_member()
    query = f"user.id={user_id}&effective&include_names"
    listed = cloud.admin()("GET", f"/identity/v3/role_assignments?{query}").json()["role_assignments"]
    assert {assignment["role"]["name"] for assignment in listed} == {"member", "reader"}
    assert {assignment["user"]["name"] for assignment in listed} == {"ada"}
    assert {assignment["scope"]["project"]["name"] for assignment in listed} == {"demo"}


def test_a_name_is_given_once(cloud: Cloud) -> None:
    cloud.add_member()
    response = cloud.admin()("POST", "/identity/v3/users", json={"user": {"name": "ada"}})
    assert response.status_code == 409
    assert response.json()["error"]["title"] == "Conflict"
