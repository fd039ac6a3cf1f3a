"""How a server is plugged in, and how that shows."""

import json
from typing import Any

from kilonova.domain.changes import Phase
from kilonova.domain.model import Instance
from kilonova.network.embedded import FlatNetwork
from kilonova.services.nics import coming, numbered, plugged, port_id_of, settled, shown, with_addresses, with_nics
from tests.unit.domain.samples import instance

FIRST = {"label": "private", "mac": "fa:16:3e:00:00:01", "address": "10.77.0.17", "port_id": "p1"}
SECOND = {"label": "private", "mac": "fa:16:3e:80:00:01", "address": "10.77.128.9", "port_id": "p2"}


def _plugged(*nics: dict[str, Any]) -> Instance:
    return with_nics(instance(), nics)


def test_the_first_nic_has_the_address_and_the_mac_of_its_servers_number() -> None:
    network = FlatNetwork(label="lab", cidr="10.1.0.0/16")
    server = instance(id=42)
    port_id = network.port_id(server.uuid, 0)
    expected = {"label": "lab", "mac": "fa:16:3e:00:00:2a", "address": "10.1.0.58", "port_id": port_id}
    assert numbered(server, network) == expected


def test_a_server_that_was_asked_for_without_networks_shows_no_address() -> None:
    assert shown(instance(nics_json="[]")) == "{}"


def test_addresses_are_shown_in_novas_form() -> None:
    assert json.loads(shown(_plugged(FIRST, SECOND))) == {
        "private": [
            {
                "version": 4,
                "addr": nic["address"],
                "OS-EXT-IPS:type": "fixed",
                "OS-EXT-IPS-MAC:mac_addr": nic["mac"],
            }
            for nic in (FIRST, SECOND)
        ]
    }


def test_a_nic_shows_all_of_its_addresses_also_when_it_has_none() -> None:
    more = with_addresses(FIRST, ["10.77.0.17", "10.77.128.3"])
    assert [each["addr"] for each in json.loads(shown(_plugged(more, SECOND)))["private"]] == [
        "10.77.0.17",
        "10.77.128.3",
        "10.77.128.9",
    ]
    assert with_addresses(more, ["10.77.0.17"]) == FIRST
    assert with_addresses(with_addresses(more, []), ["10.77.0.17"]) == FIRST
    assert shown(_plugged(with_addresses(FIRST, []))) == "{}"


def test_an_early_record_has_the_port_that_follows_from_its_place() -> None:
    early = _plugged({key: FIRST[key] for key in ("label", "mac", "address")})
    assert port_id_of(early, 0) == FlatNetwork.port_id(early.uuid, 0)


def test_a_nic_that_comes_stays_when_its_host_has_plugged_it_in_and_goes_when_it_could_not() -> None:
    asked = {"port_id": "p2"}
    attaching = coming(_plugged(FIRST), SECOND)
    assert [nic.get("is_coming", False) for nic in attaching.nics] == [False, True]
    assert plugged(attaching) == [FIRST]
    assert plugged(settled("attach_interface", attaching, asked, Phase.END)) == [FIRST, SECOND]
    assert settled("attach_interface", attaching, asked, Phase.END).nics == [FIRST, SECOND]
    failed = settled("attach_interface", attaching, asked, Phase.ERROR)
    assert (failed.nics, failed.addresses_json) == ([FIRST], shown(_plugged(FIRST)))


def test_a_nic_goes_once_its_host_has_unplugged_it_and_not_before() -> None:
    both, asked = _plugged(FIRST, SECOND), {"port_id": "p1"}
    assert settled("detach_interface", both, asked, Phase.ERROR) == both
    assert settled("detach_interface", both, asked, Phase.END).nics == [SECOND]


def test_no_other_operation_changes_how_a_server_is_plugged_in() -> None:
    server = _plugged(FIRST)
    assert settled("reboot", server, {}, Phase.END) == settled("reboot", server, {}, Phase.ERROR) == server
