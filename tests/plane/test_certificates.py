"""Certificates that an image is to be signed by (≥ 2.63): kept, shown and told; what is not verified is not run.

So does Nova where it can reach no certificates: it verifies signatures for whoever names certificates, whatever its
settings say.
"""

from typing import Any

import pytest

from kilonova.notifications import Format
from kilonova.notifications.options import NotificationOptions
from kilonova.notifications.rendering import render
from tests.plane.house import House

ONE, OTHER = "0b5d2c72-12cc-4ba6-a8d7-3ff5cc1d8cb8", "674736e3-f25c-405c-8362-bbf991e0ce0a"


def rebuilt(house: House, server: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    """The rebuilt server, as it shows."""
    reply = house.act(server["id"], {"rebuild": {"imageRef": server["image"]["id"], **wanted}})
    assert reply.status_code == 202, reply.text
    house.settle()
    shown = house.show(server["id"])
    assert reply.json()["server"]["trusted_image_certificates"] == shown["trusted_image_certificates"]
    return shown


def told_of(house: House, event: str) -> list[Any]:
    """What versioned payloads of the event say of certificates."""
    rows = house.told("instance")
    messages = [each for row in rows for each in render(row, NotificationOptions(host="ctl"))]
    found = [each.payload for each in messages if (each.format, each.event_type) == (Format.VERSIONED, event)]
    return [payload["nova_object.data"]["trusted_image_certificates"] for payload in found]


def test_what_is_to_be_verified_is_not_booted_without_that(house: House) -> None:
    server = house.boot(trusted_image_certificates=[ONE, OTHER])
    assert (server["status"], server["trusted_image_certificates"]) == ("ERROR", [ONE, OTHER])
    aborted = f"Build of instance {server['id']} aborted: the signature of image"
    assert server["fault"]["message"][: len(aborted)] == aborted
    assert house.driver().list_guests() == {}
    assert told_of(house, "instance.create.error") == [[ONE, OTHER]]


def test_a_server_boots_once_it_asks_for_no_certificates_any_more(house: House) -> None:
    server = house.boot()
    for asked in ({"trusted_image_certificates": [ONE]}, {}):
        failed = rebuilt(house, server, **asked)
        assert (failed["status"], failed["trusted_image_certificates"]) == ("ERROR", [ONE])
    without = rebuilt(house, server, trusted_image_certificates=None)
    assert (without["status"], without["trusted_image_certificates"]) == ("ACTIVE", None)
    assert told_of(house, "instance.rebuild.end") == [None]


def test_a_rebuild_that_is_not_verified_leaves_the_guest_as_it_was(house: House) -> None:
    server = house.boot()
    before = house.driver().console_log(server["id"], lines=None)
    failed = rebuilt(house, server, trusted_image_certificates=[OTHER])
    assert (failed["status"], failed["trusted_image_certificates"]) == ("ERROR", [OTHER])
    assert house.driver().console_log(server["id"], lines=None) == before


def test_a_server_without_certificates_shows_none(house: House) -> None:
    assert house.boot()["trusted_image_certificates"] is None
    assert house.boot(trusted_image_certificates=None)["trusted_image_certificates"] is None


@pytest.mark.parametrize("wanted", [[], [""], ["x", "x"], "x", [str(each) for each in range(51)]])
def test_what_is_no_list_of_certificates_is_refused(house: House, wanted: Any) -> None:
    server = {"name": "web", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none"}
    body = {"server": {**server, "trusted_image_certificates": wanted}}
    assert house.call("POST", "/servers", body).status_code == 400


def test_certificates_are_unknown_before_2_63(house: House) -> None:
    server = {"name": "web", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none"}
    body = {"server": {**server, "trusted_image_certificates": [ONE]}}
    assert house.call("POST", "/servers", body, version="2.62").status_code == 400
