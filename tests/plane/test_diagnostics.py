"""Diagnostics in both forms, and what Nova answers where there are none (contract §9)."""

from kilonova.domain.model import after
from tests.plane.house import House


def test_the_standard_form_has_all_its_keys(house: House) -> None:
    server = house.boot(networks="auto")
    house.at = after(house.at, 60)
    reply = house.call("GET", f"/servers/{server['id']}/diagnostics", version="2.48")
    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert list(told) == [
        "state",
        "driver",
        "hypervisor",
        "hypervisor_os",
        "uptime",
        "config_drive",
        "num_cpus",
        "num_nics",
        "num_disks",
        "disk_details",
        "cpu_details",
        "nic_details",
        "memory_details",
    ]
    assert (told["state"], told["num_cpus"], told["num_nics"], told["num_disks"]) == ("running", 1, 1, 1)
    assert told["uptime"] >= 59
    (nic,) = told["nic_details"]
    (address,) = server["addresses"]["private"]
    assert nic["mac_address"] == address["OS-EXT-IPS-MAC:mac_addr"]
    assert nic["rx_octets"] >= nic["tx_octets"] >= 0
    assert nic["rx_rate"] is None


def test_the_older_form_is_flat(house: House) -> None:
    server = house.boot()
    told = house.call("GET", f"/servers/{server['id']}/diagnostics", version="2.47").json()
    assert {"memory", "cpu0_time", "vda_read", "vda_read_req", "vda_write", "vda_write_req", "vda_errors"} <= set(told)
    assert all(type(value) is int for value in told.values())


def test_a_guest_that_is_off_has_none(house: House) -> None:
    server = house.boot()
    house.act(server["id"], {"os-stop": None})
    house.settle()
    reply = house.call("GET", f"/servers/{server['id']}/diagnostics")
    assert reply.status_code == 409
    assert reply.json()["conflictingRequest"]["message"] == (
        f"Cannot 'get_diagnostics' instance {server['id']} while it is in power state shutdown"
    )


def test_a_guest_that_vanished_has_none(house: House) -> None:
    server = house.boot()
    house.driver().destroy(server["id"])
    assert house.call("GET", f"/servers/{server['id']}/diagnostics").status_code == 409


def test_a_server_without_a_host_is_not_ready(house: House) -> None:
    wanted = {"name": "late", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none"}
    server = house.call("POST", "/servers", {"server": wanted}).json()["server"]
    reply = house.call("GET", f"/servers/{server['id']}/diagnostics")
    assert reply.status_code == 409
    assert reply.json()["conflictingRequest"]["message"] == f"Instance {server['id']} is not ready"


def test_diagnostics_are_for_administrators(house: House) -> None:
    server = house.boot()
    house.add_person("mia", "demo", "member")
    assert house.call("GET", f"/servers/{server['id']}/diagnostics", user="mia").status_code == 403
