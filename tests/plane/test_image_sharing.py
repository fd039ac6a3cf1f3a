"""Images that are shared with single projects, with whoever knows of them, or kept from use."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plane.gallery import DISK, PATCH, Gallery


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    gallery = Gallery(path=tmp_path)
    yield gallery
    gallery.database.close()


def offer(gallery: Gallery, image_id: str, project: str = "other", name: str = "ada") -> Any:
    return gallery.as_(name)("POST", f"/image/v2/images/{image_id}/members", json={"member": project})


def answer(gallery: Gallery, image_id: str, status: str, name: str = "eve") -> Any:
    path = f"/image/v2/images/{image_id}/members/other"
    return gallery.as_(name)("PUT", path, json={"status": status})


def make_visible(gallery: Gallery, image_id: str, visibility: str, name: str = "ada") -> Any:
    change = [{"op": "replace", "path": "/visibility", "value": visibility}]
    return gallery.as_(name)("PATCH", f"/image/v2/images/{image_id}", json=change, headers=PATCH)


def test_an_offer_can_be_looked_at_at_once_and_is_listed_once_it_is_accepted(gallery: Gallery) -> None:
    image_id = gallery.create_with_data()
    eve, path = gallery.as_("eve"), f"/image/v2/images/{image_id}"
    assert eve("GET", path).status_code == 404
    member = offer(gallery, image_id).json()
    assert (member["member_id"], member["image_id"], member["status"]) == ("other", image_id, "pending")
    assert member["schema"] == "/v2/schemas/member"
    assert eve("GET", f"{path}/file").content == DISK
    assert gallery.names(name="eve") == []
    assert gallery.names("member_status=pending&visibility=shared", name="eve") == ["disk"]
    assert answer(gallery, image_id, "accepted").json()["status"] == "accepted"
    assert gallery.names(name="eve") == ["disk"]
    assert answer(gallery, image_id, "rejected").status_code == 200
    assert gallery.names(name="eve") == []


def test_an_offer_that_is_taken_back_is_gone(gallery: Gallery) -> None:
    image_id = gallery.create()
    path = f"/image/v2/images/{image_id}/members/other"
    offer(gallery, image_id)
    answer(gallery, image_id, "accepted")
    assert gallery.as_("ada")("DELETE", path).status_code == 204
    assert gallery.as_("ada")("DELETE", path).status_code == 404
    assert gallery.as_("ada")("GET", path).status_code == 404
    assert gallery.names(name="eve") == []
    assert gallery.as_("eve")("GET", f"/image/v2/images/{image_id}").status_code == 404


def test_a_member_sees_itself_and_the_owner_sees_all(gallery: Gallery) -> None:
    image_id = gallery.create()
    offer(gallery, image_id)
    offer(gallery, image_id, "third")
    path = f"/image/v2/images/{image_id}/members"

    def seen(name: str) -> list[str]:
        return [member["member_id"] for member in gallery.as_(name)("GET", path).json()["members"]]

    assert seen("ada") == seen("admin") == ["other", "third"]
    assert seen("eve") == ["other"]
    assert gallery.as_("eve")("GET", f"{path}/third").status_code == 404
    assert gallery.as_("eve")("GET", f"{path}/other").status_code == 200


def test_only_the_owner_offers_and_only_the_other_project_answers(gallery: Gallery) -> None:
    image_id = gallery.create()
    assert offer(gallery, image_id, name="rita").status_code == 403
    assert offer(gallery, image_id).status_code == 200
    assert offer(gallery, image_id).status_code == 409
    assert offer(gallery, image_id, "third", name="eve").status_code == 403
    assert answer(gallery, image_id, "accepted", name="ada").status_code == 403
    assert answer(gallery, image_id, "maybe").status_code == 400
    assert gallery.as_("eve")("DELETE", f"/image/v2/images/{image_id}/members/other").status_code == 403
    assert gallery.as_("ada")("POST", f"/image/v2/images/{image_id}/members", json={}).status_code == 400


@pytest.mark.parametrize("visibility", ["private", "community"])
def test_only_shared_images_have_members(gallery: Gallery, visibility: str) -> None:
    image_id = gallery.create()
    offer(gallery, image_id)
    answer(gallery, image_id, "accepted")
    assert make_visible(gallery, image_id, visibility).json()["visibility"] == visibility
    refused = offer(gallery, image_id, "third")
    assert refused.status_code == 403
    assert refused.json()["error"]["message"] == "Only shared images have members."
    assert gallery.names(name="eve") == []


def test_a_community_image_is_for_whoever_knows_of_it(gallery: Gallery) -> None:
    image_id = gallery.create_with_data(visibility="community")
    assert gallery.names(name="eve") == []
    assert gallery.names("visibility=community", name="eve") == gallery.names("visibility=all", name="eve") == ["disk"]
    assert gallery.as_("eve")("GET", f"/image/v2/images/{image_id}/file").content == DISK
    assert make_visible(gallery, image_id, "private", name="eve").status_code == 403


def test_an_image_is_shared_with_a_bounded_number_of_projects(gallery: Gallery) -> None:
    image_id = gallery.create()
    statuses = [offer(gallery, image_id, f"p{number}").status_code for number in range(129)]
    assert statuses == [200] * 128 + [413]


def test_a_deactivated_image_is_kept_from_use_until_it_is_reactivated(gallery: Gallery) -> None:
    image_id = gallery.create_with_data()
    path = f"/image/v2/images/{image_id}"
    ada = gallery.as_("ada")
    assert [ada("POST", f"{path}/actions/deactivate").status_code for _ in range(2)] == [204, 204]
    assert gallery.show(image_id)["status"] == "deactivated"
    assert ada("GET", f"{path}/file").status_code == 403
    assert gallery.as_("admin")("GET", f"{path}/file").content == DISK
    gallery.images.recover()
    assert ada("POST", f"{path}/actions/reactivate").status_code == 204
    assert ada("GET", f"{path}/file").content == DISK


def test_only_what_has_data_is_deactivated_and_only_by_its_owner(gallery: Gallery) -> None:
    image_id = gallery.create()
    path = f"/image/v2/images/{image_id}/actions/deactivate"
    assert gallery.as_("ada")("POST", path).status_code == 403
    offer(gallery, image_id)
    gallery.upload(image_id)
    assert gallery.as_("eve")("POST", path).status_code == 403
    assert gallery.as_("rita")("POST", path).status_code == 403
    assert gallery.as_("admin")("POST", path).status_code == 204
