"""The data of images through the HTTP face: in, judged, out, and what is left when something breaks."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect

from kilonova.domain.errors import NotFound
from kilonova.domain.images import Image, ImageStatus
from kilonova.images.embedded import OfferedImage
from tests.plane.gallery import BADGES, DISK, OCTETS, PATCH, Gallery


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
    assert (shown["visibility"], shown["owner"], shown["hw_disk_bus"]) == ("shared", "web", "virtio")
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


def test_data_that_is_gone_is_told_at_the_next_start(gallery: Gallery, caplog: pytest.LogCaptureFixture) -> None:
    image_id = gallery.create_with_data()
    (gallery.path / "images" / image_id).unlink()
    gallery.images.recover()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    with pytest.raises(NotFound):
        gallery.images.fetch(image_id, gallery.path / "base")


def test_an_upload_that_cannot_be_recorded_leaves_no_trace(gallery: Gallery) -> None:
    image_id = gallery.create()
    upload = gallery.images.begin_upload(image_id, BADGES["ada"])
    upload.write(DISK)
    with gallery.database.transaction() as tx:
        tx.connection.exec_driver_sql(
            "CREATE TRIGGER broken BEFORE UPDATE ON images WHEN NEW.status = 'active' "
            "BEGIN SELECT RAISE(FAIL, 'no'); END"
        )
    with pytest.raises(SQLAlchemyError):
        upload.finish()
    upload.abort()
    assert gallery.show(image_id)["status"] == "queued"
    assert gallery.files() == []


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
