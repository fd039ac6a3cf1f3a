"""The built-in network: addresses that follow from a server's number."""

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.domain.errors import SettingsUnusable
from kilonova.network.embedded import FlatNetwork

_NUMBERS = st.integers(0, 2**40)


@given(_NUMBERS, st.integers(8, 27))
def test_an_address_is_never_one_that_the_network_needs_itself(number: int, prefix: int) -> None:
    whole = IPv4Network(f"10.0.0.0/{prefix}")
    address = IPv4Address(FlatNetwork(cidr=str(whole)).address(number))
    assert address in whole
    assert address != whole.broadcast_address
    assert int(address) - int(whole.network_address) >= 16


def test_servers_have_different_addresses_until_the_range_is_used_up() -> None:
    network = FlatNetwork(cidr="192.168.1.0/24")
    addresses = [network.address(number) for number in range(239)]
    assert len(set(addresses)) == len(addresses)
    assert network.address(239) == network.address(0)


@given(st.lists(st.integers(0, 2**24 - 1), unique=True))
def test_servers_have_different_macs(numbers: list[int]) -> None:
    assert len({FlatNetwork.mac(number) for number in numbers}) == len(numbers)


@given(_NUMBERS)
def test_a_mac_is_of_openstacks_own_range(number: int) -> None:
    octets = FlatNetwork.mac(number).split(":")
    assert octets[:3] == ["fa", "16", "3e"]
    assert len(octets) == 6
    assert all(len(octet) == 2 and int(octet, 16) >= 0 for octet in octets)


def test_the_first_server_has_the_seventeenth_address_of_the_range() -> None:
    assert FlatNetwork().address(1) == "10.77.0.17"


def test_the_network_tells_its_range_and_its_label() -> None:
    network = FlatNetwork(label="lab", cidr="10.1.0.0/20")
    assert (network.label, network.cidr) == ("lab", "10.1.0.0/20")


def test_every_address_of_a_server_is_between_the_ends_of_the_pool() -> None:
    network = FlatNetwork(cidr="192.168.1.0/24")
    assert (network.gateway, network.pool) == ("192.168.1.1", ("192.168.1.16", "192.168.1.254"))
    addresses = [IPv4Address(network.address(number)) for number in range(300)]
    assert (str(min(addresses)), str(max(addresses))) == network.pool


def test_ids_are_the_same_whatever_the_network_is_called_and_whenever_it_was_made() -> None:
    one, other = FlatNetwork(), FlatNetwork(label="lab", cidr="10.1.0.0/20")
    assert (one.id, one.subnet_id) == (other.id, other.subnet_id)
    assert one.id == "63f2b2d7-acdc-5ac0-b334-1ddc13c69359"
    ports = [one.port_id(server, index) for server in ("s1", "s2") for index in (0, 1)]
    assert len({*ports, one.id, one.subnet_id}) == 6
    assert ports[0] == other.port_id("s1", 0)


@pytest.mark.parametrize("cidr", ["", "ten", "10.0.0.0/33", "10.0.0.1/16", "fd00::/64"])
def test_what_is_no_ipv4_range_is_refused_with_a_sentence(cidr: str) -> None:
    with pytest.raises(SettingsUnusable) as raised:
        FlatNetwork(cidr=cidr)
    assert raised.value.message.startswith(f"The network {cidr!r} is not an IPv4 range: ")


def test_a_range_that_is_too_small_is_refused_with_what_it_takes() -> None:
    with pytest.raises(SettingsUnusable) as raised:
        FlatNetwork(cidr="10.0.0.0/28")
    assert raised.value.message == "The network 10.0.0.0/28 is too small: it takes at least 32 addresses."
