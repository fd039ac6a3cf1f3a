"""The key of a server, as its guest gets it."""

from tests.unit.domain.samples import instance


def test_a_guest_gets_the_key_under_its_name() -> None:
    server = instance()._replace(key_name="mine", key_data="ssh-ed25519 AAAA")
    assert server.public_keys == {"mine": "ssh-ed25519 AAAA"}


def test_a_guest_without_a_key_gets_none() -> None:
    assert instance().public_keys == {}
    assert instance()._replace(key_name="from before keys were kept").public_keys == {}
