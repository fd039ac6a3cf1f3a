"""The embedded image service through its HTTP face, over a real database and a real directory."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.routing import Mount

from kilonova.domain.errors import NotFound, Unauthenticated
from kilonova.domain.images import Image, ImageStatus
from kilonova.domain.model import Instant
from kilonova.images.embedded import EmbeddedImages, OfferedImage
from kilonova.images.http import image_app
from kilonova.images.seam import Viewer
from kilonova.store.database import Database
from kilonova.store.images import StoredImages
from tests.plane.asgi_client import AsgiClient

DISK = b"\xeb\xfe" + bytes(510)
OCTETS = {"Content-Type": "application/octet-stream"}
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


@dataclass(frozen=True, kw_only=True)
class Badge:
    """A viewer, as the identity service would tell of one."""

    project_id: str | None
    roles: frozenset[str]
    is_admin: bool = False


BADGES = {
    "admin": Badge(project_id="admins", roles=frozenset({"admin", "manager", "member", "reader"}), is_admin=True),
    "ada": Badge(project_id="web", roles=frozenset({"member", "reader"})),
    "rita": Badge(project_id="web", roles=frozenset({"reader"})),
    "eve": Badge(project_id="other", roles=frozenset({"member", "reader"})),
    "stray": Badge(project_id=None, roles=frozenset()),
}


class BadgeReader:
    """The fake at the seam to identity: a token is a name."""

    def authenticate(self, token: str) -> Viewer:
        if token not in BADGES:
            raise Unauthenticated("nobody")
        return BADGES[token]


@dataclass(kw_only=True)
class Gallery:
    """The service under test; its clock moves by a second a look."""

    path: Path
    most_bytes: int | None = 64 << 20
    ticks: int = 1_795_352_400_000_000
    database: Database = field(init=False)
    images: EmbeddedImages = field(init=False)
    client: AsgiClient = field(init=False)

    def __post_init__(self) -> None:
        self.database = Database(f"sqlite:///{self.path / 'state.db'}")
        self.database.open()
        self.start()

    def start(self) -> None:
        records = StoredImages(self.database)
        self.images = EmbeddedImages(records, self.path / "images", clock=self.tick, most_bytes=self.most_bytes)
        app = Starlette(routes=[Mount("/image", image_app(self.images, identity=BadgeReader()))])
        self.client = AsgiClient(app)

    def tick(self) -> Instant:
        self.ticks += 1_000_000
        return Instant(self.ticks)

    def as_(self, name: str) -> AsgiClient:
        return self.client.as_(name)

    def create(self, name: str = "ada", **attributes: Any) -> str:
        wanted = {"name": "disk", "disk_format": "raw", "container_format": "bare"} | attributes
        response = self.as_(name)("POST", "/image/v2/images", json=wanted)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    def upload(self, image_id: str, data: bytes = DISK, name: str = "ada") -> Any:
        return self.as_(name)("PUT", f"/image/v2/images/{image_id}/file", content=data, headers=OCTETS)

    def create_with_data(self, name: str = "ada", **attributes: Any) -> str:
        image_id = self.create(name, **attributes)
        assert self.upload(image_id, name=name).status_code == 204
        return image_id

    def show(self, image_id: str, name: str = "ada") -> dict[str, Any]:
        shown: dict[str, Any] = self.as_(name)("GET", f"/image/v2/images/{image_id}").json()
        return shown

    def names(self, query: str = "", name: str = "ada") -> list[str]:
        response = self.as_(name)("GET", f"/image/v2/images?{query}")
        assert response.status_code == 200, response.text
        return [image["name"] for image in response.json()["images"]]

    def files(self) -> list[str]:
        return sorted(path.name for path in (self.path / "images").iterdir())


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    gallery = Gallery(path=tmp_path)
    yield gallery
    gallery.database.close()


def test_an_image_is_created_filled_and_read_back(gallery: Gallery) -> None:
    created = gallery.as_("ada")(
        "POST",
        "/image/v2/images",
        json={"name": "disk", "disk_format": "raw", "container_format": "bare", "hw_disk_bus": "virtio"},
    )
    image_id = created.json()["id"]
    assert created.headers["location"] == f"http://cloud.example:8774/image/v2/images/{image_id}"
    assert created.json()["status"] == "queued"
    assert gallery.upload(image_id).status_code == 204
    shown = gallery.show(image_id)
    assert shown["status"] == "active"
    assert shown["size"] == shown["virtual_size"] == 512
    assert shown["checksum"] == hashlib.md5(DISK).hexdigest()  # noqa: S324  Glance's checksum is MD5
    assert shown["os_hash_algo"] == "sha512"
    assert shown["os_hash_value"] == hashlib.sha512(DISK).hexdigest()
    assert (shown["visibility"], shown["owner"], shown["hw_disk_bus"]) == ("private", "web", "virtio")
    downloaded = gallery.as_("ada")("GET", f"/image/v2/images/{image_id}/file")
    assert downloaded.content == DISK
    assert downloaded.headers["content-md5"] == shown["checksum"]
    assert downloaded.headers["content-length"] == "512"


def test_a_part_of_an_image_can_be_read(gallery: Gallery) -> None:
    image_id = gallery.create_with_data()
    response = gallery.as_("ada")("GET", f"/image/v2/images/{image_id}/file", headers={"Range": "bytes=0-1"})
    assert (response.status_code, response.content) == (206, b"\xeb\xfe")


def test_an_image_without_data_has_nothing_to_read(gallery: Gallery) -> None:
    image_id = gallery.create()
    assert gallery.as_("ada")("GET", f"/image/v2/images/{image_id}/file").status_code == 204
    with pytest.raises(NotFound):
        gallery.images.open(image_id)


def test_data_is_put_in_once(gallery: Gallery) -> None:
    image_id = gallery.create_with_data()
    response = gallery.upload(image_id, b"other")
    assert response.status_code == 409
    assert "from active to saving" in response.json()["error"]["message"]
    with gallery.images.open(image_id) as data:
        assert data.read() == DISK


def test_what_is_not_the_qcow2_it_claims_to_be_is_refused_and_waits_for_data_again(gallery: Gallery) -> None:
    image_id = gallery.create(name="ada", disk_format="qcow2")
    response = gallery.upload(image_id, bytes(3 << 20))
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "image disk is not the qcow2 it claims to be"
    assert gallery.show(image_id)["status"] == "queued"
    assert gallery.files() == []


def test_an_image_needs_its_formats_before_its_data(gallery: Gallery) -> None:
    image_id = gallery.create(disk_format=None)
    assert gallery.upload(image_id).status_code == 400
    change = [{"op": "replace", "path": "/disk_format", "value": "raw"}]
    gallery.as_("ada")("PATCH", f"/image/v2/images/{image_id}", json=change, headers=PATCH)
    assert gallery.upload(image_id).status_code == 204


def test_an_empty_upload_is_refused(gallery: Gallery) -> None:
    image_id = gallery.create()
    assert gallery.upload(image_id, b"").status_code == 400
    assert gallery.show(image_id)["status"] == "queued"


def test_data_has_to_be_sent_as_octets(gallery: Gallery) -> None:
    image_id = gallery.create()
    response = gallery.as_("ada")("PUT", f"/image/v2/images/{image_id}/file", content=DISK)
    assert response.status_code == 415


def test_an_image_that_is_too_large_is_refused_whether_it_says_so_or_not(tmp_path: Path) -> None:
    gallery = Gallery(path=tmp_path, most_bytes=1 << 20)
    image_id = gallery.create()

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(1 << 17)

    for content in (bytes((1 << 20) + 1), pieces()):
        response = gallery.as_("ada")("PUT", f"/image/v2/images/{image_id}/file", content=content, headers=OCTETS)
        assert response.status_code == 413
        assert response.json()["error"]["message"] == "An image may have at most 1048576 bytes here."
        assert gallery.show(image_id)["status"] == "queued"
    assert gallery.files() == []
    gallery.database.close()


def test_a_full_disk_is_told_and_the_image_waits_for_data_again(gallery: Gallery) -> None:
    image_id = gallery.create()
    (gallery.path / "images" / f"{image_id}.part").symlink_to("/dev/full")
    response = gallery.upload(image_id, bytes(2 << 20))
    assert response.status_code == 413
    assert response.json()["error"]["message"] == "There is no room left on the disk that keeps the images."
    assert gallery.show(image_id)["status"] == "queued"
    assert gallery.upload(image_id).status_code == 204


def test_an_upload_that_breaks_off_leaves_no_trace(gallery: Gallery) -> None:
    image_id = gallery.create()

    async def broken() -> AsyncIterator[bytes]:
        yield bytes(2 << 20)
        raise ClientDisconnect

    gallery.as_("ada")("PUT", f"/image/v2/images/{image_id}/file", content=broken(), headers=OCTETS)
    assert gallery.show(image_id)["status"] == "queued"
    assert gallery.files() == []


def test_an_image_renamed_during_its_upload_keeps_both_the_name_and_the_data(gallery: Gallery) -> None:
    image_id = gallery.create()
    upload = gallery.images.begin_upload(image_id, BADGES["ada"])
    upload.write(DISK)
    change = [{"op": "replace", "path": "/name", "value": "renamed"}]
    response = gallery.as_("ada")("PATCH", f"/image/v2/images/{image_id}", json=change, headers=PATCH)
    assert response.status_code == 200
    assert upload.finish().status == ImageStatus.ACTIVE
    assert gallery.show(image_id)["name"] == "renamed"


def test_an_image_deleted_during_its_upload_stays_deleted(gallery: Gallery) -> None:
    image_id = gallery.create()

    async def deleting() -> AsyncIterator[bytes]:
        yield bytes(2 << 20)
        gallery.images.delete_image(image_id, BADGES["ada"])
        yield bytes(2 << 20)

    response = gallery.as_("ada")("PUT", f"/image/v2/images/{image_id}/file", content=deleting(), headers=OCTETS)
    assert response.status_code == 409
    assert gallery.as_("ada")("GET", f"/image/v2/images/{image_id}").status_code == 404
    assert gallery.files() == []


def test_a_crash_in_an_upload_is_repaired_at_the_next_start(gallery: Gallery) -> None:
    kept, interrupted = gallery.create_with_data(), gallery.create()
    lost = gallery.images.begin_upload(interrupted, BADGES["ada"])
    lost.write(bytes(2 << 20))
    (gallery.path / "images" / "of-nobody").write_bytes(b"stray")
    gallery.start()
    assert gallery.show(interrupted)["status"] == "saving"
    gallery.images.recover()
    assert gallery.show(interrupted)["status"] == "queued"
    assert gallery.files() == [kept]
    assert gallery.upload(interrupted).status_code == 204
    lost.abort()
    assert gallery.show(interrupted)["status"] == "active"


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
    assert ada("GET", f"/image/v2/images/{image_id}/members").json()["members"] == []
    assert ada("GET", "/image/v2/nothing").json()["error"]["code"] == 404


def test_an_image_that_the_cloud_brings_along_is_registered_once(gallery: Gallery) -> None:
    offer = OfferedImage(name="tiny", data=DISK, properties={"kilonova:guest": "tiny"})
    first, second = gallery.images.ensure_image(offer), gallery.images.ensure_image(offer)
    assert first == second
    assert isinstance(first, Image)
    assert (first.status, first.visibility, first.size) == (ImageStatus.ACTIVE, "public", 512)
    assert gallery.names(name="eve") == ["tiny"]
    assert gallery.show(first.id, "eve")["kilonova:guest"] == "tiny"
    gallery.images.delete_image(first.id, BADGES["admin"])
    assert gallery.images.ensure_image(offer) is None
    assert gallery.names(name="eve") == []


def test_a_driver_gets_the_data_of_active_images_only(gallery: Gallery, tmp_path: Path) -> None:
    image_id, queued = gallery.create_with_data(), gallery.create()
    gallery.images.fetch(image_id, tmp_path / "base")
    assert (tmp_path / "base").read_bytes() == DISK
    for missing in (queued, "nothing"):
        with pytest.raises(NotFound):
            gallery.images.fetch(missing, tmp_path / "other")
    assert not (tmp_path / "other").exists()
