"""Where servers are plugged in: ports, chosen addresses, several NICs, and what comes later (contract §11.10)."""

import json
from typing import Any

import pytest

from kilonova.network.embedded import FlatNetwork
from kilonova.notifications.options import NotificationOptions
from kilonova.notifications.rendering import render
from tests.plane.house import House
from tests.plane.moving import told

NETWORK = FlatNetwork.id


def interfaces(house: House, server_id: str, **who: str) -> list[dict[str, Any]]:
    reply = house.call("GET", f"/servers/{server_id}/os-interface", **who)
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["interfaceAttachments"]
    return found


def addresses(house: House, server_id: str) -> list[str]:
    shown = house.show(server_id)["addresses"].get("private", [])
    listed = house.call("GET", f"/servers/{server_id}/ips").json()["addresses"].get("private", [])
    assert [each["addr"] for each in shown] == [each["addr"] for each in listed]
    return [each["addr"] for each in shown]


def attach(house: House, server_id: str, wanted: dict[str, Any] | None = None, **who: str) -> Any:
    body = None if wanted is None else {"interfaceAttachment": wanted}
    return house.call("POST", f"/servers/{server_id}/os-interface", body or {}, **who)


def make_port(house: House, *, user: str = "admin", project: str = "demo", **wanted: Any) -> dict[str, Any]:
    body = {"port": {"network_id": NETWORK, **wanted}}
    reply = house.call("POST", "//network/v2.0/ports", body, user=user, project=project)
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()["port"]
    return made


def find_port(house: House, port_id: str) -> dict[str, Any] | None:
    reply = house.call("GET", f"//network/v2.0/ports/{port_id}")
    return reply.json()["port"] if reply.status_code == 200 else None


def address_of(port: dict[str, Any]) -> str:
    (fixed,) = port["fixed_ips"]
    return str(fixed["ip_address"])


def with_networks(house: House, *networks: dict[str, Any], **more: Any) -> Any:
    server = {"name": "web", "flavorRef": "42", "imageRef": house.image_id(), "networks": list(networks), **more}
    return house.call("POST", "/servers", {"server": server})


def test_a_server_has_a_nic_for_each_network_port_and_address_that_it_asks_for(house: House) -> None:
    port = make_port(house, name="front")
    wanted = [{"uuid": NETWORK}, {"port": port["id"], "tag": "front"}, {"uuid": NETWORK, "fixed_ip": "10.77.9.9"}]
    server = house.boot(networks=[*wanted, {"uuid": NETWORK}])["id"]
    first, second, third, fourth = addresses(house, server)
    assert (second, third) == (address_of(port), "10.77.9.9")
    assert len({first, second, third, fourth}) == 4
    found = interfaces(house, server)
    assert [each["fixed_ips"][0]["ip_address"] for each in found] == [first, second, third, fourth]
    assert [each["tag"] for each in found] == [None, "front", None, None]
    assert {each["port_state"] for each in found} == {"ACTIVE"}
    assert len({each["mac_addr"] for each in found}) == 4
    for each in found:
        plugged = find_port(house, each["port_id"])
        assert plugged is not None
        assert (plugged["device_id"], plugged["mac_address"]) == (server, each["mac_addr"])
    assert set(house.driver()._guests[server].macs) == {each["mac_addr"] for each in found}  # noqa: SLF001


def test_ports_made_by_hand_outlive_their_servers_and_others_do_not(house: House) -> None:
    port = make_port(house)
    server = house.boot(networks=[{"port": port["id"]}, {"uuid": NETWORK}, {"uuid": NETWORK}])["id"]
    others = [each["port_id"] for each in interfaces(house, server)][1:]
    house.call("DELETE", f"/servers/{server}")
    house.settle()
    spare = find_port(house, port["id"])
    assert spare is not None
    assert (spare["device_id"], spare["status"], address_of(spare)) == ("", "DOWN", address_of(port))
    assert [find_port(house, each) for each in others] == [None, None]
    again = house.boot(networks=[{"port": port["id"]}])["id"]
    assert addresses(house, again) == [address_of(port)]


@pytest.mark.parametrize(
    "networks, more, status, text",
    [
        ([{"port": "0" * 8 + "-0000-4000-8000-" + "0" * 12}], {}, 400, "Port {port} could not be found."),
        (
            [{"uuid": NETWORK, "fixed_ip": "10.1.2.3"}],
            {},
            400,
            "Invalid input received: Fixed IP 10.1.2.3 is not a valid",
        ),
        ([{"uuid": NETWORK, "fixed_ip": "10.77.5.5"}], {"max_count": 2}, 400, "max_count cannot be greater than 1"),
        ([{"port": "{made}"}], {"max_count": 2}, 400, "Unable to launch multiple instances with a single configured"),
        ([{"port": "{made}"}, {"port": "{made}"}], {}, 400, "Port ID '{made}' was specified twice"),
        ([{"port": "{made}", "fixed_ip": "10.77.5.5"}], {}, 400, "Specified Fixed IP '10.77.5.5' cannot be used with"),
        ([{"port": "{used}"}], {}, 409, "Port {used} is still in use."),
        ([{"uuid": NETWORK, "fixed_ip": "{address}"}], {}, 400, "Fixed IP address {address} is already in use on"),
        ([{"uuid": NETWORK}] * 11, {}, 403, "Maximum number of ports exceeded"),
    ],
)
def test_what_cannot_be_plugged_in_is_refused_in_novas_words(
    house: House, networks: list[dict[str, str]], more: dict[str, Any], status: int, text: str
) -> None:
    words = {
        "port": "0" * 8 + "-0000-4000-8000-" + "0" * 12,
        "made": make_port(house)["id"],
        "used": (used := make_port(house))["id"],
        "address": address_of(used),
    }
    house.boot(networks=[{"port": words["used"]}])
    reply = with_networks(
        house, *({key: value.format(**words) for key, value in each.items()} for each in networks), **more
    )
    assert (reply.status_code, told(reply)[: len(text.format(**words))]) == (status, text.format(**words))
    made = find_port(house, words["made"])
    assert made is not None
    assert made["device_id"] == ""


def test_an_address_that_a_servers_number_leads_to_is_not_given_twice(house: House) -> None:
    first = house.boot(networks="auto")["id"]
    number = int(addresses(house, first)[0].split(".")[3])
    next_one = f"10.77.0.{number + 1}"
    make_port(house, fixed_ips=[{"ip_address": next_one}])
    second = house.boot(networks="auto")["id"]
    (given,) = addresses(house, second)
    assert given != next_one
    assert attach(house, second, {"net_id": NETWORK, "fixed_ips": [{"ip_address": next_one}]}).status_code == 409


def test_an_interface_is_attached_and_detached(house: House) -> None:
    server = house.boot(networks="auto")["id"]
    (first,) = addresses(house, server)
    reply = attach(house, server, {"net_id": NETWORK, "fixed_ips": [{"ip_address": "10.77.3.4"}], "tag": "back"})
    assert reply.status_code == 200, reply.text
    made = reply.json()["interfaceAttachment"]
    assert (made["port_state"], made["fixed_ips"][0]["ip_address"], made["tag"]) == ("DOWN", "10.77.3.4", "back")
    house.settle()
    shown = house.call("GET", f"/servers/{server}/os-interface/{made['port_id']}").json()["interfaceAttachment"]
    assert shown == {**made, "port_state": "ACTIVE"}
    assert addresses(house, server) == [first, "10.77.3.4"]
    assert made["mac_addr"] in house.driver()._guests[server].macs  # noqa: SLF001
    assert house.call("DELETE", f"/servers/{server}/os-interface/{made['port_id']}").status_code == 202
    house.settle()
    assert addresses(house, server) == [first]
    assert find_port(house, made["port_id"]) is None
    assert made["mac_addr"] not in house.driver()._guests[server].macs  # noqa: SLF001
    path = f"/servers/{server}/os-instance-actions"
    actions = house.call("GET", path).json()["instanceActions"]
    assert [each["action"] for each in actions] == ["detach_interface", "attach_interface", "create"]
    shown = house.call("GET", f"{path}/{actions[1]['request_id']}").json()["instanceAction"]
    assert [(each["event"], each["result"]) for each in shown["events"]] == [("compute_attach_interface", "Success")]


def test_a_servers_first_nic_can_go_and_a_port_made_by_hand_comes_in_its_place(house: House) -> None:
    server, port = house.boot(networks="auto")["id"], make_port(house)
    (first,) = interfaces(house, server)
    house.call("DELETE", f"/servers/{server}/os-interface/{first['port_id']}")
    house.settle()
    assert (addresses(house, server), interfaces(house, server)) == ([], [])
    assert attach(house, server, {"port_id": port["id"]}).status_code == 200
    house.settle()
    assert addresses(house, server) == [address_of(port)]
    assert house.call("DELETE", f"//network/v2.0/ports/{port['id']}").status_code == 409
    house.call("DELETE", f"/servers/{server}/os-interface/{port['id']}")
    house.settle()
    assert house.call("DELETE", f"//network/v2.0/ports/{port['id']}").status_code == 204
    assert find_port(house, port["id"]) is None


def test_what_cannot_be_attached_is_refused_in_novas_words(house: House) -> None:
    server, port = house.boot(networks="auto")["id"], make_port(house)["id"]
    (own,) = interfaces(house, server)
    address = own["fixed_ips"][0]["ip_address"]
    unknown = "11111111-1111-4111-8111-111111111111"
    for wanted, status, text in (
        ({"net_id": NETWORK, "port_id": port}, 400, "Must not input both network_id and port_id"),
        ({"fixed_ips": [{"ip_address": "10.77.1.1"}]}, 400, "Must input network_id when request IP address"),
        ({"net_id": unknown}, 404, f"Network {unknown} could not be found."),
        ({"port_id": unknown}, 404, f"Port {unknown} could not be found."),
        ({"net_id": NETWORK, "fixed_ips": [{"ip_address": address}]}, 409, f"Fixed IP address {address} is already in"),
        ({"net_id": NETWORK, "fixed_ips": [{"ip_address": "10.1.1.1"}]}, 400, "Invalid input received: Fixed IP"),
    ):
        reply = attach(house, server, wanted)
        assert (reply.status_code, told(reply)[: len(text)]) == (status, text)
    attach(house, server, {"port_id": port})
    taken = attach(house, server, {"port_id": port})
    assert (taken.status_code, told(taken)) == (409, f"Port {port} is still in use.")
    house.settle()
    missing = house.call("DELETE", f"/servers/{server}/os-interface/{unknown}")
    assert (missing.status_code, told(missing)) == (404, f"Port {unknown} could not be found.")
    house.act(server, {"suspend": None})
    house.settle()
    refused = attach(house, server)
    state = f"Cannot 'attach_interface' instance {server} while it is in vm_state suspended"
    assert (refused.status_code, told(refused)) == (409, state)
    house.act(server, {"resume": None})
    house.settle()
    house.act(server, {"lock": None})
    house.add_person("ada", "demo", "member")
    for locked in (attach(house, server, user="ada"), detach_as(house, server, own["port_id"], "ada")):
        assert (locked.status_code, told(locked)) == (409, f"Instance {server} is locked")


def detach_as(house: House, server_id: str, port_id: str, user: str) -> Any:
    return house.call("DELETE", f"/servers/{server_id}/os-interface/{port_id}", user=user)


def test_a_host_that_fails_to_plug_leaves_the_server_as_it_was(house: House) -> None:
    server = house.boot(networks="auto")["id"]
    before = addresses(house, server)
    port = make_port(house)
    with house.failing("plug"):
        assert attach(house, server, {"port_id": port["id"]}).status_code == 200
        house.settle()
    assert addresses(house, server) == before
    assert house.show(server)["status"] == "ACTIVE"
    spare = find_port(house, port["id"])
    assert spare is not None
    assert spare["device_id"] == ""
    actions = house.call("GET", f"/servers/{server}/os-instance-actions").json()["instanceActions"]
    assert (actions[0]["action"], actions[0]["message"]) == ("attach_interface", "Error")


def test_a_host_that_fails_to_unplug_leaves_the_server_as_it_was(house: House) -> None:
    server = house.boot(networks="auto")["id"]
    before, (own,) = addresses(house, server), interfaces(house, server)
    with house.failing("unplug"):
        assert house.call("DELETE", f"/servers/{server}/os-interface/{own['port_id']}").status_code == 202
        house.settle()
    assert (addresses(house, server), interfaces(house, server)) == (before, [own])
    assert house.show(server)["status"] == "ACTIVE"
    actions = house.call("GET", f"/servers/{server}/os-instance-actions").json()["instanceActions"]
    assert (actions[0]["action"], actions[0]["message"]) == ("detach_interface", "Error")
    assert house.call("DELETE", f"/servers/{server}/os-interface/{own['port_id']}").status_code == 202
    house.settle()
    assert interfaces(house, server) == []


def test_ports_are_for_their_project(house: House) -> None:
    house.add_person("ada", "web", "member")
    house.add_person("eve", "other", "member")
    port = make_port(house, user="ada", project="web")
    path = f"//network/v2.0/ports/{port['id']}"
    for method, body in (("GET", None), ("PUT", {"port": {"name": "mine"}}), ("DELETE", None)):
        assert house.call(method, path, body, user="eve", project="other").status_code == 404
    theirs = house.boot(networks="auto", user="eve", project="other")["id"]
    reply = attach(house, theirs, {"port_id": port["id"]}, user="eve", project="other")
    assert (reply.status_code, told(reply)) == (404, f"Port {port['id']} could not be found.")
    body = {"port": {"network_id": NETWORK, "project_id": port["project_id"]}}
    assert house.call("POST", "//network/v2.0/ports", body, user="eve", project="other").status_code == 403
    renamed = house.call("PUT", path, {"port": {"name": "front"}}, user="ada", project="web")
    assert (renamed.status_code, renamed.json()["port"]["name"]) == (200, "front")


def readdress(house: House, server_id: str, body: dict[str, Any], **who: str) -> Any:
    return house.act(server_id, body, version="2.43", **who)


def legacy_of(house: House, server_id: str, event: str) -> list[dict[str, Any]]:
    """The legacy payloads of an event of the server."""
    options = NotificationOptions(host="ctl")
    rows = [row for row in house.told("instance") if row.key == server_id]
    messages = [each for row in rows for each in render(row, options) if each.event_type.startswith(event)]
    return [dict(each.payload) for each in messages]


def test_an_address_comes_and_goes_without_a_word_to_guest_or_ledger(house: House) -> None:
    server = house.boot(networks="auto")["id"]
    (first,) = addresses(house, server)
    before = house.call("GET", f"/servers/{server}/os-instance-actions").json()
    assert readdress(house, server, {"addFixedIp": {"networkId": NETWORK}}).status_code == 202
    shown = addresses(house, server)
    assert (shown[0], len(shown)) == (first, 2)
    (interface,) = interfaces(house, server)
    assert [each["ip_address"] for each in interface["fixed_ips"]] == shown
    port = find_port(house, interface["port_id"])
    assert port is not None
    assert [each["ip_address"] for each in port["fixed_ips"]] == shown
    for address in (first, shown[1]):
        assert readdress(house, server, {"removeFixedIp": {"address": address}}).status_code == 202
    assert addresses(house, server) == []
    assert [each["fixed_ips"] for each in interfaces(house, server)] == [[]]
    assert readdress(house, server, {"addFixedIp": {"networkId": NETWORK}}).status_code == 202
    assert len(addresses(house, server)) == 1
    assert house.call("GET", f"/servers/{server}/os-instance-actions").json() == before
    told_of = [len(each["fixed_ips"]) for each in legacy_of(house, server, "compute.instance.create_ip")]
    assert told_of == [1, 2, 0, 1]
    assert [len(each["fixed_ips"]) for each in legacy_of(house, server, "compute.instance.delete_ip")] == [2, 1, 1, 0]


def test_an_address_that_was_taken_away_is_free_for_others(house: House) -> None:
    server, other = house.boot(networks="auto")["id"], house.boot(networks="auto")["id"]
    (address,) = addresses(house, server)
    wanted = {"net_id": NETWORK, "fixed_ips": [{"ip_address": address}]}
    assert attach(house, other, wanted).status_code == 409
    readdress(house, server, {"removeFixedIp": {"address": address}})
    assert attach(house, other, wanted).status_code == 200


def test_what_cannot_be_added_or_taken_away_is_refused(house: House) -> None:
    server, bare = house.boot(networks="auto")["id"], house.boot(networks="none")["id"]
    (address,) = addresses(house, server)
    house.add_person("ada", "demo", "member")
    elsewhere = "11111111-1111-4111-8111-111111111111"
    for target, body, status, text in (
        (server, {"addFixedIp": {"networkId": elsewhere}}, 404, f"Network could not be found for instance {server}."),
        (bare, {"addFixedIp": {"networkId": NETWORK}}, 404, f"Network could not be found for instance {bare}."),
        (server, {"removeFixedIp": {"address": "10.77.9.9"}}, 400, f"Instance {server} does not have fixed IP"),
        (bare, {"removeFixedIp": {"address": address}}, 400, f"Instance {bare} does not have fixed IP"),
    ):
        reply = readdress(house, target, body)
        assert (reply.status_code, told(reply)[: len(text)]) == (status, text)
    for _ in range(4):
        assert readdress(house, server, {"addFixedIp": {"networkId": NETWORK}}).status_code == 202
    assert readdress(house, server, {"addFixedIp": {"networkId": NETWORK}}).status_code == 400
    house.act(server, {"lock": None})
    for body in ({"addFixedIp": {"networkId": NETWORK}}, {"removeFixedIp": {"address": address}}):
        locked = readdress(house, server, body, user="ada")
        assert (locked.status_code, told(locked)) == (409, f"Instance {server} is locked")


@pytest.mark.parametrize(
    "wanted, status",
    [
        ({"network_id": NETWORK, "mac_address": "fa:16:3e:ff:00:01", "admin_state_up": True}, 201),
        ({}, 400),
        ({"network_id": NETWORK, "colour": "red"}, 400),
        ({"network_id": NETWORK, "name": 5}, 400),
        ({"network_id": NETWORK, "name": "x" * 256}, 400),
        ({"network_id": NETWORK, "mac_address": "ff:ff:ff:ff:ff:ff"}, 400),
        ({"network_id": NETWORK, "mac_address": ["fa:16:3e:ff:00:01"]}, 400),
        ({"network_id": NETWORK, "fixed_ips": "10.77.1.1"}, 400),
        ({"network_id": NETWORK, "fixed_ips": [{"ip_address": 7}]}, 400),
        ({"network_id": NETWORK, "fixed_ips": [{"ip_address": "10.77.0.1"}]}, 400),
        ({"network_id": NETWORK, "fixed_ips": [{"ip_address": "10.77.255.255"}]}, 400),
        ({"network_id": NETWORK, "fixed_ips": [{"subnet_id": "other"}]}, 404),
        ({"network_id": "other"}, 404),
        ({"network_id": NETWORK, "admin_state_up": False}, 501),
        ({"network_id": NETWORK, "device_id": "x"}, 501),
        ({"network_id": NETWORK, "fixed_ips": []}, 501),
    ],
)
def test_a_port_is_made_as_the_network_can_have_it_or_not_at_all(
    house: House, wanted: dict[str, Any], status: int
) -> None:
    reply = house.call("POST", "//network/v2.0/ports", {"port": wanted})
    assert reply.status_code == status, reply.text
    assert len(house.call("GET", "//network/v2.0/ports").json()["ports"]) == (status == 201)


def test_a_body_that_is_no_port_is_refused(house: House) -> None:
    sent = {"X-Auth-Token": house.token()}
    for content, status in (
        (b"{", 400),
        (b"[]", 400),
        (b'{"port": 1}', 400),
        (b"[" * 60_000, 400),
        (f'{{"port": {{"network_id": "{NETWORK}", "name": "a\\u0000"}}}}'.encode(), 400),
        (b"x" * 115_000, 413),
    ):
        assert house.raw("POST", "/network/v2.0/ports", headers=sent, content=content).status_code == status


def test_plugging_is_told_with_the_addresses_before_and_after(house: House) -> None:
    server = house.boot(networks="auto")["id"]
    made = attach(house, server).json()["interfaceAttachment"]["port_id"]
    house.settle()
    house.call("DELETE", f"/servers/{server}/os-interface/{made}")
    house.settle()
    told_of = [
        (row.operation, str(row.phase), len([nic for nic in _nics(row) if not nic.get("is_coming")]))
        for row in house.told("instance")
        if row.operation in ("attach_interface", "detach_interface")
    ]
    assert told_of == [
        ("attach_interface", "accepted", 1),
        ("attach_interface", "start", 1),
        ("attach_interface", "end", 2),
        ("detach_interface", "accepted", 2),
        ("detach_interface", "start", 2),
        ("detach_interface", "end", 1),
    ]


def _nics(row: Any) -> list[dict[str, Any]]:

    found: list[dict[str, Any]] = json.loads(row.snapshot["nics_json"])
    return found
