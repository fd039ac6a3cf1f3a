"""Key pairs: made, brought along, listed and given to servers."""

import base64
import hashlib
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12

from tests.plane.house import House

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJNP0bnAHf0JGWmCDKXx0CB8UyuJkzXbYyXOpJkIx8jL sample"
FINGERPRINT = "75:db:93:cd:2c:eb:7d:28:22:d9:9d:3a:df:6c:db:3b"


def _create(house: House, name: str = "mine", *, version: str = "2.92", **wanted: Any) -> Any:
    who = {key: wanted.pop(key) for key in ("user", "project") if key in wanted}
    return house.call("POST", "/os-keypairs", {"keypair": {"name": name, **wanted}}, version=version, **who)


def _message(reply: Any) -> tuple[int, str]:
    (fault,) = reply.json().values()
    return reply.status_code, fault["message"]


def _own_id(house: House) -> str:
    made = _create(house, "probe", public_key=ED25519).json()["keypair"]
    house.call("DELETE", "/os-keypairs/probe")
    found: str = made["user_id"]
    return found


def test_a_key_that_is_brought_along_shows_its_fingerprint(house: House) -> None:
    made = _create(house, public_key=ED25519, type="ssh")
    assert made.status_code == 201
    assert list(made.json()["keypair"]) == ["type", "name", "public_key", "fingerprint", "user_id"]
    assert made.json()["keypair"]["fingerprint"] == FINGERPRINT
    shown = house.call("GET", "/os-keypairs/mine").json()["keypair"]
    assert (shown["fingerprint"], shown["public_key"], shown["deleted"]) == (FINGERPRINT, ED25519, False)
    assert house.call("GET", "/os-keypairs").json()["keypairs"] == [
        {"keypair": {"name": "mine", "public_key": ED25519, "fingerprint": FINGERPRINT, "type": "ssh"}}
    ]


@pytest.mark.parametrize("version, created, deleted", [("2.1", 200, 202), ("2.2", 201, 204), ("2.92", 201, 204)])
def test_codes_are_those_of_the_version(house: House, version: str, created: int, deleted: int) -> None:
    assert _create(house, version=version, public_key=ED25519).status_code == created
    assert house.call("DELETE", "/os-keypairs/mine", version=version).status_code == deleted
    assert _message(house.call("GET", "/os-keypairs/mine"))[0] == 404


def test_a_new_key_is_told_once_with_its_private_half(house: House) -> None:
    made = _create(house, version="2.2").json()["keypair"]
    key = load_pem_private_key(made["private_key"].encode(), None)
    assert made["private_key"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert getattr(key, "key_size", 0) == 2048
    digest = hashlib.md5(base64.b64decode(made["public_key"].split()[1]), usedforsecurity=False).hexdigest()
    assert made["fingerprint"].replace(":", "") == digest
    assert "private_key" not in house.call("GET", "/os-keypairs/mine").json()["keypair"]


def test_a_new_certificate_comes_with_its_key(house: House) -> None:
    made = _create(house, version="2.2", type="x509").json()["keypair"]
    key, certificate, _ = pkcs12.load_key_and_certificates(base64.b64decode(made["private_key"]), None)
    assert key is not None
    assert certificate == x509.load_pem_x509_certificate(made["public_key"].encode())
    assert made["type"] == "x509"
    again = _create(house, "other", type="x509", public_key=made["public_key"]).json()["keypair"]
    assert again["fingerprint"] == made["fingerprint"]
    assert made["fingerprint"].count(":") == 19


def test_keys_are_no_longer_made_from_2_92_on(house: House) -> None:
    code, text = _message(_create(house, version="2.92"))
    assert (code, text.endswith("'public_key' is a required property")) == (400, True)


@pytest.mark.parametrize(
    "wanted, text",
    [
        ({"public_key": "not a key"}, "Keypair data is invalid: failed to generate fingerprint"),
        ({"public_key": ""}, "Keypair data is invalid: failed to generate fingerprint"),
        ({"public_key": "ssh-rsa AAAA mine"}, "Keypair data is invalid: failed to generate fingerprint"),
        ({"public_key": "ssh-rsa ä mine"}, "Keypair data is invalid: failed to generate fingerprint"),
    ],
)
def test_what_is_no_key_is_refused(house: House, wanted: dict[str, str], text: str) -> None:
    assert _message(_create(house, **wanted)) == (400, text)


def test_what_is_no_certificate_is_refused(house: House) -> None:
    code, text = _message(_create(house, type="x509", public_key=ED25519))
    assert code == 400
    assert text.startswith("Keypair data is invalid: failed to generate X509 fingerprint. Error message: ")


def test_names_may_look_like_mail_addresses_from_2_92_on(house: House) -> None:
    name = "me.and.myself@this.nice.domain.com mooh."
    assert _create(house, name, public_key=ED25519).status_code == 201
    code, text = _message(_create(house, "a@b", version="2.91", public_key=ED25519))
    assert (code, text[:98]) == (
        400,
        "An invalid 'name' value was provided. The name must be: Only expected characters: [_- 0123456789ab",
    )


def test_a_name_is_taken_once_a_user(house: House) -> None:
    _create(house, public_key=ED25519)
    assert _message(_create(house, public_key=ED25519)) == (409, "Key pair 'mine' already exists.")
    house.add_person("eva", "demo", "member")
    assert _create(house, public_key=ED25519, user="eva").status_code == 201


def test_only_an_administrator_has_to_do_with_the_keys_of_others(house: House) -> None:
    owner = _own_id(house)
    house.add_person("eva", "demo", "member")
    theirs = _create(house, public_key=ED25519, user="eva").json()["keypair"]["user_id"]
    assert house.call("GET", f"/os-keypairs/mine?user_id={theirs}").status_code == 200
    assert len(house.call("GET", f"/os-keypairs?user_id={theirs}").json()["keypairs"]) == 1
    rule = "Policy doesn't allow os_compute_api:os-keypairs:{} to be performed."
    for method, path, name in (
        ("GET", "/os-keypairs", "index"),
        ("GET", "/os-keypairs/x", "show"),
        ("DELETE", "/os-keypairs/x", "delete"),
    ):
        reply = house.call(method, f"{path}?user_id={owner}", user="eva")
        assert _message(reply) == (403, rule.format(name))
    assert _create(house, "for-eva", public_key=ED25519, user_id=theirs).json()["keypair"]["user_id"] == theirs
    assert house.call("DELETE", f"/os-keypairs/for-eva?user_id={theirs}").status_code == 204


def test_a_list_comes_in_pages_from_2_35_on(house: House) -> None:
    for name in ("c", "a", "b"):
        _create(house, name, public_key=ED25519)
    page = house.call("GET", "/os-keypairs?limit=2").json()
    assert [each["keypair"]["name"] for each in page["keypairs"]] == ["a", "b"]
    assert page["keypairs_links"][0]["href"].endswith("/os-keypairs?limit=2&marker=b")
    rest = house.call("GET", "/os-keypairs?limit=2&marker=b").json()
    assert ([each["keypair"]["name"] for each in rest["keypairs"]], "keypairs_links" in rest) == (["c"], False)
    assert _message(house.call("GET", "/os-keypairs?marker=z")) == (400, "Marker z could not be found.")
    assert len(house.call("GET", "/os-keypairs?limit=2", version="2.34").json()["keypairs"]) == 3


def test_what_is_not_there_is_not_found(house: House) -> None:
    owner = _own_id(house)
    for method in ("GET", "DELETE"):
        text = f"Keypair nothing not found for user {owner}"
        assert _message(house.call(method, "/os-keypairs/nothing")) == (404, text)


def test_a_server_has_its_key_even_after_the_key_pair_is_gone(house: House) -> None:
    _create(house, public_key=ED25519)
    server = house.boot(key_name="mine")
    assert (server["key_name"], server["status"]) == ("mine", "ACTIVE")
    house.call("DELETE", "/os-keypairs/mine")
    assert house.show(server["id"])["key_name"] == "mine"
    with house.cloud.database.read() as connection:
        kept = connection.exec_driver_sql("SELECT key_data FROM instances").scalar_one()
    assert kept == ED25519


def test_a_server_with_a_key_that_is_not_there_is_refused(house: House) -> None:
    wanted = {"name": "x", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none", "key_name": "nothing"}
    reply = house.call("POST", "/servers", {"server": wanted})
    assert _message(reply) == (400, "Invalid key_name provided.")
    assert house.call("GET", "/servers").json()["servers"] == []
