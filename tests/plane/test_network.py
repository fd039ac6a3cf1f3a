"""The network stand-in through the whole plane: what clients look up to boot and to show servers."""

from typing import Any

import pytest

from tests.plane.house import House

NETWORK = "//network/v2.0"


def listed(house: House, path: str, **who: str) -> Any:
    """The only value of the body of a list."""
    reply = house.call("GET", f"{NETWORK}/{path}", **who)
    assert reply.status_code == 200, reply.text
    (value,) = reply.json().values()
    return value


def boot_plugged(house: House, name: str = "web1", **how: Any) -> dict[str, Any]:
    return house.boot(name, networks="auto", **how)


def test_there_is_one_network_with_one_subnet_and_it_is_found_by_name_and_by_id(house: House) -> None:
    (network,) = listed(house, "networks?name=private")
    (subnet,) = listed(house, f"subnets?network_id={network['id']}")
    assert (network["status"], network["shared"], network["subnets"]) == ("ACTIVE", True, [subnet["id"]])
    assert (subnet["cidr"], subnet["gateway_ip"]) == ("10.77.0.0/16", "10.77.0.1")
    assert house.call("GET", f"{NETWORK}/networks/{network['id']}").json() == {"network": network}
    assert listed(house, "networks?name=other") == []
    assert house.call("GET", f"{NETWORK}/networks/private").status_code == 404


def test_a_server_has_a_port_with_the_address_that_it_shows(house: House) -> None:
    server = boot_plugged(house)
    (address,) = server["addresses"]["private"]
    (port,) = listed(house, f"ports?device_id={server['id']}")
    assert port["fixed_ips"][0]["ip_address"] == address["addr"]
    assert port["mac_address"] == address["OS-EXT-IPS-MAC:mac_addr"]
    assert (port["device_id"], port["device_owner"], port["status"]) == (server["id"], "compute:nova", "ACTIVE")
    assert port["project_id"] == server["tenant_id"]
    assert listed(house, f"ports?mac_address={port['mac_address']}") == [port]
    assert listed(house, f"ports?fixed_ips=ip_address={address['addr']}") == [port]
    assert house.call("GET", f"{NETWORK}/ports/{port['id']}").json() == {"port": port}


def test_a_server_without_a_network_and_one_that_is_gone_have_no_port(house: House) -> None:
    bare, server = house.boot("bare"), boot_plugged(house)
    house.call("DELETE", f"/servers/{server['id']}")
    house.settle()
    assert listed(house, f"ports?device_id={bare['id']}") == listed(house, "ports") == []


def test_ports_are_for_their_project_and_for_administrators(house: House) -> None:
    house.add_person("ada", "web", "member")
    house.add_person("eve", "other", "member")
    server = boot_plugged(house, user="ada", project="web")
    (port,) = listed(house, "ports", user="ada", project="web")
    assert listed(house, "ports", user="eve", project="other") == []
    assert listed(house, f"ports?project_id={server['tenant_id']}", user="eve", project="other") == []
    assert house.call("GET", f"{NETWORK}/ports/{port['id']}", user="eve", project="other").status_code == 404
    assert listed(house, "ports") == listed(house, f"ports?tenant_id={server['tenant_id']}") == [port]
    assert listed(house, "ports?tenant_id=nobody") == []


def test_a_project_has_a_security_group_whose_rules_hold_nothing_back(house: House) -> None:
    (group,) = listed(house, "security-groups?name=default")
    rules = listed(house, f"security-group-rules?security_group_id={group['id']}")
    assert group["security_group_rules"] == rules
    assert {(rule["direction"], rule["ethertype"], rule["remote_ip_prefix"]) for rule in rules} == {
        (direction, family, None) for direction in ("ingress", "egress") for family in ("IPv4", "IPv6")
    }
    (other,) = listed(house, "security-groups?tenant_id=other")
    assert other["id"] != group["id"]


def test_a_default_group_is_deleted_by_administrators_only_and_comes_back(house: House) -> None:
    house.add_person("ada", "web", "member")
    (group,) = listed(house, "security-groups", user="ada", project="web")
    path = f"{NETWORK}/security-groups/{group['id']}"
    assert house.call("DELETE", path, user="ada", project="web").status_code == 409
    assert house.call("DELETE", f"{NETWORK}/security-groups/other", user="ada", project="web").status_code == 404
    assert house.call("DELETE", path).status_code == 204
    assert listed(house, "security-groups", user="ada", project="web") == [group]


@pytest.mark.parametrize("collection", ["floatingips", "routers", "agents", "availability_zones", "subnetpools"])
def test_what_there_never_is_is_an_empty_list(house: House, collection: str) -> None:
    assert listed(house, collection) == []
    assert house.call("GET", f"{NETWORK}/{collection}/x").status_code == 404


def test_limits_tell_what_there_is(house: House) -> None:
    server = boot_plugged(house)
    path = f"quotas/{server['tenant_id']}"
    assert listed(house, path)["network"] == listed(house, f"{path}/default")["network"] == 0
    assert listed(house, f"{path}/details")["port"] == {"limit": 500, "used": 0, "reserved": 0}
    assert listed(house, "quotas") == []
    house.add_person("ada", "web", "member")
    refused = house.call("GET", f"{NETWORK}/{path}", user="ada", project="web")
    assert (refused.status_code, refused.json()["NeutronError"]["type"]) == (403, "PolicyNotAuthorized")


@pytest.mark.parametrize(
    "method, path",
    [
        ("POST", "networks"),
        ("DELETE", "networks/x"),
        ("DELETE", "subnets/x"),
        ("POST", "floatingips"),
        ("PUT", "routers/x/add_router_interface"),
        ("PUT", "quotas/x"),
    ],
)
def test_whoever_wants_to_change_the_network_is_told_that_it_cannot_be(house: House, method: str, path: str) -> None:
    reply = house.call(method, f"{NETWORK}/{path}", {})
    assert (reply.status_code, reply.json()["NeutronError"]["type"]) == (501, "NotSupported")
    assert "ports alone can be made" in reply.json()["NeutronError"]["message"]


def test_versions_are_told_without_a_token_and_nothing_else_is(house: House) -> None:
    for path in ("/network", "/network/", "/network/v2.0", "/network/v2.0/"):
        (version,) = house.raw("GET", path).json()["versions"]
        assert version["links"] == [{"rel": "self", "href": "http://cloud.test:8774/network/v2.0/"}]
    for token in ({}, {"X-Auth-Token": "guess"}):
        refused = house.raw("GET", "/network/v2.0/networks", headers=token)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == 'Keystone uri="http://cloud.test:8774/identity"'


def test_what_is_not_there_is_answered_in_neutrons_envelope(house: House) -> None:
    for method, path in (("GET", "nothing"), ("POST", "nothing"), ("GET", "ports/%00")):
        reply = house.call(method, f"{NETWORK}/{path}", None)
        assert (reply.status_code, reply.json()["NeutronError"]["type"]) == (404, "HTTPNotFound")


def test_extensions_are_found_by_their_alias(house: House) -> None:
    assert "security-group" in {one["alias"] for one in listed(house, "extensions")}
    assert house.call("GET", f"{NETWORK}/extensions/quotas").json()["extension"]["alias"] == "quotas"
    assert house.call("GET", f"{NETWORK}/extensions/trunk").status_code == 404


def test_the_catalog_leads_to_the_network(house: House) -> None:
    catalog = house.call("GET", "//identity/v3/auth/catalog").json()["catalog"]
    (network,) = [service for service in catalog if service["type"] == "network"]
    assert network["name"] == "neutron"
    assert {one["url"] for one in network["endpoints"]} == {"http://cloud.test:8774/network"}
