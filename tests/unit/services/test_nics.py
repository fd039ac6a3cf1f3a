"""How a server is plugged in, and how that shows."""

import json

from kilonova.network.embedded import FlatNetwork
from kilonova.services.nics import plugged, shown
from tests.unit.domain.samples import instance


def test_a_server_with_a_nic_gets_the_address_and_the_mac_of_its_number() -> None:
    network = FlatNetwork(label="lab", cidr="10.1.0.0/16")
    server = instance(id=42, nics_json="[{}]")
    (nic,) = json.loads(plugged(server, network))
    port_id = network.port_id(server.uuid, 0)
    assert nic == {"label": "lab", "mac": "fa:16:3e:00:00:2a", "address": "10.1.0.58", "port_id": port_id}


def test_what_was_asked_of_a_nic_stays_with_it() -> None:
    (nic,) = json.loads(plugged(instance(nics_json='[{"tag":"front"}]'), FlatNetwork()))
    assert nic["tag"] == "front"


def test_a_server_that_was_asked_for_without_networks_has_no_nic_and_shows_no_address() -> None:
    server = instance(nics_json="[]")
    assert plugged(server, FlatNetwork()) == "[]"
    assert shown(server) == "{}"


def test_addresses_are_shown_in_novas_form() -> None:
    server = instance(id=1, nics_json=plugged(instance(id=1, nics_json="[{}]"), FlatNetwork()))
    assert json.loads(shown(server)) == {
        "private": [
            {
                "version": 4,
                "addr": "10.77.0.17",
                "OS-EXT-IPS:type": "fixed",
                "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01",
            }
        ]
    }


def test_plugging_a_server_twice_changes_nothing() -> None:
    once = plugged(instance(nics_json="[{}]"), FlatNetwork())
    assert plugged(instance(nics_json=once), FlatNetwork()) == once
