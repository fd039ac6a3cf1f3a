"""The embedded identity service through its HTTP face, over a real database."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from kilonova.api.front import Front
from kilonova.domain.errors import Unauthenticated
from kilonova.domain.model import SECOND, Instant
from kilonova.identity.catalog import Catalog
from kilonova.identity.embedded import EmbeddedIdentity
from kilonova.identity.first_start import Bootstrapped, bootstrap_identity
from kilonova.identity.http import identity_app
from kilonova.store.database import Database
from kilonova.store.identity import StoredIdentity
from tests.plane.asgi_client import AsgiClient

PASSWORD = "correct horse"
FIRST = Instant(1_795_352_400 * SECOND)


@dataclass(kw_only=True)
class Cloud:
    """The service under test, with a clock that stands until it is moved."""

    path: Path
    now: Instant = FIRST
    client: AsgiClient = field(init=False)
    identity: EmbeddedIdentity = field(init=False)
    ids: Bootstrapped = field(init=False)
    database: Database = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.database = Database(f"sqlite:///{self.path / 'state.db'}")
        self.database.open()
        records = StoredIdentity(self.database)
        self.ids = bootstrap_identity(records, password=PASSWORD)
        self.identity = EmbeddedIdentity(records, clock=lambda: self.now)
        app = Starlette(routes=[Mount("/identity", identity_app(self.identity, catalog=Catalog()))])
        self.client = AsgiClient(app)

    def pass_seconds(self, seconds: float) -> None:
        self.now = Instant(self.now + round(seconds * SECOND))

    def sign_in(self, user: str = "admin", password: str = PASSWORD, *, project: str | None = "demo") -> Any:
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": user, "domain": {"id": "default"}, "password": password}},
        }
        return self.request_token(identity, project=project)

    def request_token(self, identity: dict[str, Any], *, project: str | None) -> Any:
        scope = {"project": {"name": project, "domain": {"name": "Default"}}} if project else "unscoped"
        return self.client("POST", "/identity/v3/auth/tokens", json={"auth": {"identity": identity, "scope": scope}})

    def rescope(self, token: str, *, project: str | None) -> Any:
        return self.request_token({"methods": ["token"], "token": {"id": token}}, project=project)

    def admin(self) -> AsgiClient:
        return self.client.as_(self.token())

    def token(self, user: str = "admin", password: str = PASSWORD, *, project: str | None = "demo") -> str:
        response = self.sign_in(user, password, project=project)
        assert response.status_code == 201, response.text
        return str(response.headers["x-subject-token"])

    def add_member(self, name: str = "ada", password: str = "lovelace", role: str = "member") -> str:
        admin = self.admin()
        user = {"user": {"name": name, "password": password}}
        user_id = str(admin("POST", "/identity/v3/users", json=user).json()["user"]["id"])
        assert admin("PUT", self.grant_path(user_id, role)).status_code == 204
        return user_id

    def grant_path(self, user_id: str, role: str = "member") -> str:
        role_id = next(found.id for found in self.identity.records.list_roles() if found.name == role)
        return f"/identity/v3/projects/{self.ids.demo_project_id}/users/{user_id}/roles/{role_id}"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(path=tmp_path)
    yield cloud
    cloud.database.close()


def test_a_password_gives_a_token_of_a_project(cloud: Cloud) -> None:
    response = cloud.sign_in()
    token = response.json()["token"]
    assert response.status_code == 201
    assert token["user"] == {
        "id": cloud.ids.admin_user_id,
        "name": "admin",
        "domain": {"id": "default", "name": "Default"},
        "password_expires_at": None,
    }
    domain = {"id": "default", "name": "Default"}
    assert token["project"] == {"id": cloud.ids.demo_project_id, "name": "demo", "domain": domain}
    assert [role["name"] for role in token["roles"]] == ["admin", "manager", "member", "reader"]
    assert token["methods"] == ["password"]
    assert token["issued_at"] == "2026-11-22T13:00:00.000000Z"
    assert token["expires_at"] == "2026-11-22T14:00:00.000000Z"
    assert len(token["audit_ids"]) == 1
    assert {service["type"] for service in token["catalog"]} == {"identity", "compute", "image"}
    assert token["catalog"][0]["endpoints"][0]["url"].startswith("http://cloud.example:8774/")


def test_a_token_without_scope_has_no_project_no_roles_and_no_catalog(cloud: Cloud) -> None:
    token = cloud.sign_in(project=None).json()["token"]
    assert {"project", "roles", "catalog"}.isdisjoint(token)


def test_the_catalog_can_be_left_out_of_a_token(cloud: Cloud) -> None:
    token = cloud.token()
    response = cloud.client.as_(token)("GET", "/identity/v3/auth/tokens?nocatalog", headers={"X-Subject-Token": token})
    assert "catalog" not in response.json()["token"]
    assert response.headers["x-subject-token"] == token


def test_only_a_digest_of_the_token_is_kept(cloud: Cloud) -> None:
    token = cloud.token()
    files = [path.read_bytes() for path in cloud.path.iterdir() if path.is_file()]
    assert not any(token.encode() in data or PASSWORD.encode() in data for data in files)


@pytest.mark.parametrize(
    "user, password, project",
    [("admin", "wrong", "demo"), ("nobody", PASSWORD, "demo"), ("admin", PASSWORD, "nowhere"), ("admin", "", None)],
)
def test_a_refused_sign_in_does_not_tell_what_was_wrong(
    cloud: Cloud, user: str, password: str, project: str | None
) -> None:
    response = cloud.sign_in(user, password, project=project)
    assert response.status_code == 401
    assert response.json()["error"] == {
        "code": 401,
        "title": "Unauthorized",
        "message": "The request you have made requires authentication.",
    }
    assert response.headers["www-authenticate"] == 'Keystone uri="http://cloud.example:8774/identity"'


def test_a_user_without_a_role_on_a_project_gets_no_token_of_it(cloud: Cloud) -> None:
    cloud.add_member()
    assert cloud.sign_in("ada", "lovelace", project="demo").status_code == 201
    assert cloud.sign_in("ada", "lovelace", project="admin").status_code == 401


def test_too_many_guesses_are_braked_for_a_minute(cloud: Cloud) -> None:
    for _ in range(10):
        cloud.sign_in(password="guess")
    assert cloud.sign_in().status_code == 401
    cloud.pass_seconds(61)
    assert cloud.sign_in().status_code == 201


def test_a_token_can_be_exchanged_for_another_scope_but_not_for_more_time(cloud: Cloud) -> None:
    first = cloud.sign_in(project=None)
    cloud.pass_seconds(600)
    second = cloud.rescope(first.headers["x-subject-token"], project="admin").json()["token"]
    assert second["project"]["id"] == cloud.ids.admin_project_id
    assert second["methods"] == ["token", "password"]
    assert second["expires_at"] == first.json()["token"]["expires_at"]
    assert second["audit_ids"][1:] == first.json()["token"]["audit_ids"]


def test_a_token_ends_with_its_time(cloud: Cloud) -> None:
    token = cloud.token()
    cloud.pass_seconds(3599)
    assert cloud.identity.authenticate(token).user_name == "admin"
    cloud.pass_seconds(1)
    with pytest.raises(Unauthenticated):
        cloud.identity.authenticate(token)
    assert cloud.rescope(token, project="demo").status_code == 401


def test_a_token_survives_a_restart(cloud: Cloud) -> None:
    token = cloud.token()
    cloud.database.close()
    cloud.start()
    caller = cloud.identity.authenticate(token)
    assert (caller.user_id, caller.project_name, caller.is_admin) == (cloud.ids.admin_user_id, "demo", True)
    assert not cloud.ids.created


def test_a_revoked_token_is_refused_at_once(cloud: Cloud) -> None:
    token, admin = cloud.token(), cloud.admin()
    cloud.identity.authenticate(token)
    headers = {"X-Subject-Token": token}
    assert admin("DELETE", "/identity/v3/auth/tokens", headers=headers).status_code == 204
    with pytest.raises(Unauthenticated):
        cloud.identity.authenticate(token)
    assert cloud.client.as_(token)("GET", "/identity/v3/auth/projects").status_code == 401
    assert admin("GET", "/identity/v3/auth/tokens", headers=headers).status_code == 404
    assert admin("DELETE", "/identity/v3/auth/tokens", headers=headers).status_code == 404


def test_head_tells_whether_a_token_is_good(cloud: Cloud) -> None:
    token = cloud.token()
    client = cloud.client.as_(token)
    assert client("HEAD", "/identity/v3/auth/tokens", headers={"X-Subject-Token": token}).status_code == 200
    assert client("HEAD", "/identity/v3/auth/tokens", headers={"X-Subject-Token": "other"}).status_code == 404


def test_tokens_of_others_are_not_for_members_to_see_or_revoke(cloud: Cloud) -> None:
    cloud.add_member()
    member = cloud.client.as_(cloud.token("ada", "lovelace"))
    for method in ("GET", "DELETE"):
        response = member(method, "/identity/v3/auth/tokens", headers={"X-Subject-Token": cloud.token()})
        assert response.status_code == 403


def test_expired_tokens_are_purged_and_others_kept(cloud: Cloud) -> None:
    cloud.token()
    cloud.pass_seconds(3000)
    fresh = cloud.token()
    cloud.pass_seconds(1000)
    assert cloud.identity.purge_expired(cloud.now) == 1
    assert cloud.identity.authenticate(fresh).user_name == "admin"


@pytest.mark.parametrize("token", [None, "", "nonsense", "x" * 5000])
def test_without_a_valid_token_nothing_is_shown(cloud: Cloud, token: str | None) -> None:
    client = cloud.client if token is None else cloud.client.as_(token)
    for path in ("auth/projects", "auth/catalog", "projects", "users", "roles", "domains", "role_assignments"):
        response = client("GET", f"/identity/v3/{path}")
        assert response.status_code == 401, path
        assert response.headers["vary"] == "X-Auth-Token"
        assert response.headers["x-openstack-request-id"].startswith("req-")


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


@pytest.mark.parametrize(
    "data, status",
    [
        (b"{", 400),
        (b"", 400),
        (b'{"auth": "\\ud800"}', 400),
        (b'{"auth": "\\u0000"}', 400),
        (b"[" * 100_000, 400),
        (b'"' + b"x" * 114_687 + b'"', 413),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(cloud: Cloud, data: bytes, status: int) -> None:
    response = cloud.client("POST", "/identity/v3/auth/tokens", content=data)
    assert (response.status_code, response.json()["error"]["code"]) == (status, status)


def test_versions_are_told_without_a_token(cloud: Cloud) -> None:
    choices, version = cloud.client("GET", "/identity/"), cloud.client("GET", "/identity/v3")
    assert choices.status_code == 300
    assert [value["id"] for value in choices.json()["versions"]["values"]] == ["v3.14"]
    assert version.status_code == 200
    assert version.json()["version"]["links"] == [{"rel": "self", "href": "http://cloud.example:8774/identity/v3/"}]


def test_the_bare_address_of_the_service_is_answered_without_a_redirect(cloud: Cloud) -> None:
    front = AsgiClient(Front({"/identity": identity_app(cloud.identity, catalog=Catalog())}))
    for path in ("/identity", "/identity/"):
        response = front("GET", path)
        assert response.status_code == 300
        assert response.headers["location"] == "http://cloud.example:8774/identity/v3/"


def test_forwarding_headers_have_no_say_in_links(cloud: Cloud) -> None:
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "Forwarded": "host=evil.example"}
    assert "evil" not in cloud.client("GET", "/identity/v3", headers=headers).text
    assert "evil" not in cloud.client("GET", "/identity/v3", headers={"Host": 'evil"><script>'}).text


def test_what_is_not_there_is_answered_in_the_envelope(cloud: Cloud) -> None:
    assert cloud.client("GET", "/identity/v3/nothing").json()["error"]["code"] == 404
    assert cloud.client("PUT", "/identity/v3/auth/tokens").json()["error"]["code"] == 405
    assert cloud.admin()("GET", "/identity/v3/users/%00").json()["error"]["code"] == 404


def test_bootstrapping_again_changes_nothing(cloud: Cloud) -> None:
    again = bootstrap_identity(cloud.identity.records, password="another")
    assert not again.created
    assert again.admin_user_id == cloud.ids.admin_user_id
    assert cloud.sign_in().status_code == 201
    assert cloud.sign_in(password="another").status_code == 401
