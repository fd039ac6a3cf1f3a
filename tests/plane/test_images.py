"""The embedded image service through its HTTP face: whose images are whose, changes, lists."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plane.gallery import BADGES, DISK, PATCH, Gallery


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    gallery = Gallery(path=tmp_path)
    yield gallery
    gallery.database.close()


def test_private_images_are_for_their_project_and_administrators(gallery: Gallery) -> None:
    image_id = gallery.create_with_data()
    statuses = {name: gallery.as_(name)("GET", f"/image/v2/images/{image_id}").status_code for name in BADGES}
    assert statuses == {"admin": 200, "ada": 200, "rita": 200, "eve": 404, "stray": 404}
    assert gallery.names(name="eve") == gallery.names(name="stray") == []
    assert gallery.names(name="rita") == gallery.names(name="admin") == ["disk"]
    path = f"/image/v2/images/{image_id}"
    assert gallery.as_("eve")("GET", f"{path}/file").status_code == 404
    assert gallery.as_("eve")("DELETE", path).status_code == 404
    assert gallery.as_("eve")("GET", f"/image/v2/images?marker={image_id}").status_code == 404


def test_no_image_has_a_task_of_an_import(gallery: Gallery) -> None:
    path = f"/image/v2/images/{gallery.create_with_data()}/tasks"
    assert gallery.as_("ada")("GET", path).json() == {"tasks": []}
    assert gallery.as_("eve")("GET", path).status_code == 404


def test_public_images_are_for_all_to_read_and_for_their_owner_to_change(gallery: Gallery) -> None:
    image_id = gallery.create_with_data("admin", visibility="public")
    path = f"/image/v2/images/{image_id}"
    assert gallery.names(name="eve") == gallery.names(name="stray") == ["disk"]
    assert gallery.as_("eve")("GET", f"{path}/file").content == DISK
    change = [{"op": "replace", "path": "/name", "value": "mine"}]
    assert gallery.as_("eve")("PATCH", path, json=change, headers=PATCH).status_code == 403
    assert gallery.as_("eve")("DELETE", path).status_code == 403
    assert gallery.as_("eve")("PUT", f"{path}/tags/x").status_code == 403


def test_only_administrators_make_images_public_or_give_them_away(gallery: Gallery) -> None:
    image_id = gallery.create()
    for key, value in (("visibility", "public"), ("owner", "other")):
        change = [{"op": "replace", "path": f"/{key}", "value": value}]
        path = f"/image/v2/images/{image_id}"
        assert gallery.as_("ada")("PATCH", path, json=change, headers=PATCH).status_code == 403
        assert gallery.as_("admin")("PATCH", path, json=change, headers=PATCH).json()[key] == value
        assert gallery.as_("ada")("POST", "/image/v2/images", json={key: value}).status_code == 403


@pytest.mark.parametrize("name", ["rita", "stray"])
def test_readers_create_nothing(gallery: Gallery, name: str) -> None:
    assert gallery.as_(name)("POST", "/image/v2/images", json={"name": "x"}).status_code == 403


def test_readers_change_nothing(gallery: Gallery) -> None:
    image_id = gallery.create()
    assert gallery.upload(image_id, name="rita").status_code == 403
    assert gallery.as_("rita")("DELETE", f"/image/v2/images/{image_id}").status_code == 403


@pytest.mark.parametrize("token", [None, "nobody"])
def test_without_a_valid_token_nothing_is_shown(gallery: Gallery, token: str | None) -> None:
    client = gallery.client if token is None else gallery.as_(token)
    image_id = gallery.create_with_data("admin", visibility="public")
    for method, path in (
        ("GET", "images"),
        ("GET", f"images/{image_id}"),
        ("GET", f"images/{image_id}/file"),
        ("PUT", f"images/{image_id}/file"),
        ("POST", "images"),
        ("GET", "schemas/image"),
    ):
        response = client(method, f"/image/v2/{path}", json={} if method == "POST" else None)
        assert response.status_code == 401, path
        assert response.headers["www-authenticate"] == 'Keystone uri="http://cloud.example:8774/identity"'


def test_a_deleted_image_is_gone_with_its_data(gallery: Gallery) -> None:
    image_id = gallery.create_with_data()
    path = f"/image/v2/images/{image_id}"
    assert gallery.as_("ada")("DELETE", path).status_code == 204
    assert gallery.as_("ada")("GET", path).status_code == 404
    assert gallery.as_("ada")("DELETE", path).status_code == 404
    assert gallery.files() == []
    assert gallery.names() == []


def test_a_protected_image_is_not_deleted(gallery: Gallery) -> None:
    image_id = gallery.create_with_data(protected=True)
    path = f"/image/v2/images/{image_id}"
    response = gallery.as_("ada")("DELETE", path)
    assert response.status_code == 403
    assert response.json()["error"]["message"] == f"Image {image_id} is protected and cannot be deleted."
    change = [{"op": "replace", "path": "/protected", "value": False}]
    gallery.as_("ada")("PATCH", path, json=change, headers=PATCH)
    assert gallery.as_("ada")("DELETE", path).status_code == 204


def test_an_id_is_given_once(gallery: Gallery) -> None:
    image_id = gallery.create()
    assert gallery.as_("ada")("POST", "/image/v2/images", json={"id": image_id}).status_code == 409


def test_tags_come_and_go(gallery: Gallery) -> None:
    image_id = gallery.create()
    path = f"/image/v2/images/{image_id}/tags"
    assert [gallery.as_("ada")("PUT", f"{path}/{tag}").status_code for tag in ("b", "a", "b")] == [204] * 3
    assert gallery.show(image_id)["tags"] == ["a", "b"]
    assert gallery.as_("ada")("DELETE", f"{path}/b").status_code == 204
    assert gallery.as_("ada")("DELETE", f"{path}/b").status_code == 404
    assert gallery.show(image_id)["tags"] == ["a"]


def test_a_change_needs_the_media_type_of_a_patch(gallery: Gallery) -> None:
    image_id = gallery.create()
    response = gallery.as_("ada")("PATCH", f"/image/v2/images/{image_id}", json=[])
    assert response.status_code == 415
    first = {"Content-Type": "application/openstack-images-v2.0-json-patch"}
    change = [{"replace": "/name", "value": "renamed"}]
    response = gallery.as_("ada")("PATCH", f"/image/v2/images/{image_id}", json=change, headers=first)
    assert response.json()["name"] == "renamed"


def test_lists_are_filtered(gallery: Gallery) -> None:
    gallery.create(name="ada", tags=["red"], min_ram=64)
    gallery.as_("ada")("POST", "/image/v2/images", json={"name": "cd", "disk_format": "iso", "os_distro": "debian"})
    gallery.as_("ada")("POST", "/image/v2/images", json={"name": "old", "os_hidden": True})
    assert gallery.names() == ["cd", "disk"]
    assert gallery.names("name=cd") == ["cd"]
    assert gallery.names("name=in:cd,disk,x") == ["cd", "disk"]
    assert gallery.names("disk_format=iso") == ["cd"]
    assert gallery.names("os_distro=debian") == ["cd"]
    assert gallery.names("tag=red") == ["disk"]
    assert gallery.names("min_ram=64") == ["disk"]
    assert gallery.names("os_hidden=true") == ["old"]
    assert gallery.names("status=active") == []
    assert gallery.names("visibility=public") == []
    assert gallery.names("visibility=shared&size_min=1") == []
    assert gallery.names("created_at=lt:2026-11-22T13:00:00Z") == []
    assert gallery.names("created_at=gte:2026-11-22T13:00:00Z&sort=name:asc") == ["cd", "disk"]


@pytest.mark.parametrize(
    "order", ["name:asc", "name:desc", "disk_format:asc,name:desc", "size:desc,name:asc", "created_at:asc"]
)
def test_pages_follow_one_another_without_gap_or_repetition(gallery: Gallery, order: str) -> None:
    for name in ("d", "a", None, "c", "a", "b"):
        attributes = {} if name in ("a", None) else {"disk_format": "raw"}
        gallery.as_("ada")("POST", "/image/v2/images", json={"name": name, **attributes})
    whole = gallery.as_("ada")("GET", f"/image/v2/images?sort={order}").json()["images"]
    paged: list[dict[str, Any]] = []
    path = f"/v2/images?sort={order}&limit=2"
    while path:
        body = gallery.as_("ada")("GET", f"/image{path}").json()
        paged += body["images"]
        path = body.get("next", "")
    assert [image["id"] for image in paged] == [image["id"] for image in whole]
    assert len(whole) == 6


def test_listing_takes_one_query_a_page(gallery: Gallery) -> None:
    for _ in range(3):
        gallery.create()
    asked = []
    list_images = gallery.images.list_images
    gallery.images.list_images = lambda query: (asked.append(query), list_images(query))[1]  # type: ignore[method-assign,func-returns-value]
    assert len(gallery.names("limit=3")) == 3
    assert len(asked) == 1


@pytest.mark.parametrize("data", [b"{", b"", b'{"name": "\\u0000"}', b'{"\\udfff": "x"}', b"[1]", b"null"])
def test_a_body_that_cannot_be_read_is_refused(gallery: Gallery, data: bytes) -> None:
    assert gallery.as_("ada")("POST", "/image/v2/images", content=data).status_code == 400


def test_a_description_that_is_too_long_is_refused(gallery: Gallery) -> None:
    response = gallery.as_("ada")("POST", "/image/v2/images", json={"x": "y" * 120_000})
    assert response.status_code == 413


@pytest.mark.parametrize("image_id", ["nothing", "%00", "..%2F..%2Fetc%2Fpasswd"])
def test_an_unknown_image_is_not_found(gallery: Gallery, image_id: str) -> None:
    assert gallery.as_("admin")("GET", f"/image/v2/images/{image_id}").status_code == 404
    assert gallery.as_("admin")("GET", f"/image/v2/images/{image_id}/file").status_code == 404


def test_what_clients_ask_beside_images_is_answered(gallery: Gallery) -> None:
    ada = gallery.as_("ada")
    assert gallery.client("GET", "/image/").status_code == 300
    versions = gallery.client("GET", "/image/versions").json()["versions"]
    assert versions[0]["status"] == "CURRENT"
    assert versions[0]["links"] == [{"rel": "self", "href": "http://cloud.example:8774/image/v2/"}]
    assert ada("GET", "/image/v2/schemas/image").json()["name"] == "image"
    assert ada("GET", "/image/v2/schemas/images").json()["name"] == "images"
    assert ada("GET", "/image/v2/info/import").json()["import-methods"]["value"] == []
    assert ada("GET", "/image/v2/info/stores").status_code == 404
    image_id = gallery.create()
    assert ada("POST", f"/image/v2/images/{image_id}/import", json={}).status_code == 501
    assert ada("GET", "/image/v2/schemas/member").json()["name"] == "member"
    assert ada("GET", "/image/v2/schemas/members").json()["name"] == "members"
    assert ada("GET", "/image/v2/nothing").json()["error"]["code"] == 404
