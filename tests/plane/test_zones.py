"""Zones, as servers that ask for one come to lie."""

from pathlib import Path

from tests.plane.house import House, lived_in


def _zone(house: House, name: str, host: str) -> int:
    made = house.call("POST", "/os-aggregates", {"aggregate": {"name": name, "availability_zone": name}})
    id: int = made.json()["aggregate"]["id"]
    assert house.call("POST", f"/os-aggregates/{id}/action", {"add_host": {"host": host}}).status_code == 200
    return id


def test_a_server_is_placed_in_the_zone_that_it_asks_for(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_hosts=3) as house:
        services = house.call("GET", "/os-services?binary=nova-compute").json()["services"]
        hosts = [service["host"] for service in services]
        _zone(house, "east", hosts[1])
        for _ in range(3):
            server = house.boot(availability_zone="east")
            assert server["status"] == "ACTIVE"
            assert (server["OS-EXT-SRV-ATTR:host"], server["OS-EXT-AZ:availability_zone"]) == (hosts[1], "east")
        elsewhere = house.boot(availability_zone="nova")
        assert elsewhere["OS-EXT-SRV-ATTR:host"] in {hosts[0], hosts[2]}
        assert elsewhere["OS-EXT-AZ:availability_zone"] == "nova"


def test_no_server_is_placed_on_a_host_that_is_disabled_or_forced_down(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_hosts=3) as house:
        services = house.call("GET", "/os-services?binary=nova-compute").json()["services"]
        for service, change in zip(services, ({"status": "disabled"}, {"forced_down": True}), strict=False):
            assert house.call("PUT", f"/os-services/{service['id']}", change).status_code == 200
        placed = {house.boot(f"s{number}")["OS-EXT-SRV-ATTR:host"] for number in range(3)}
        assert placed == {services[2]["host"]}
