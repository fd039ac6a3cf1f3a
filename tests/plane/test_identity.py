"""The embedded identity service through its HTTP face: tokens, the catalog, versions, bad requests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.api.front import Front
from kilonova.domain.errors import Unauthenticated
from kilonova.identity.catalog import Catalog
from kilonova.identity.first_start import bootstrap_identity
from kilonova.identity.http import identity_app
from tests.plane.accounts import PASSWORD, Cloud
from tests.plane.asgi_client import AsgiClient


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
    assert {service["type"] for service in token["catalog"]} == {"identity", "compute", "image", "network"}
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
