"""Remote consoles, of which no driver has any: the answers that Nova then gives (contract §11.11)."""

import pytest

from tests.unit.api.cloud import ApiCloud


@pytest.fixture
def server(cloud: ApiCloud) -> str:
    cloud.add_host()
    return cloud.boot()


@pytest.mark.parametrize("version, status", [("2.1", 400), ("2.30", 400), ("2.31", 404), ("2.104", 404)])
def test_no_token_leads_anywhere(cloud: ApiCloud, version: str, status: int) -> None:
    assert cloud.call("GET", "/os-console-auth-tokens/none", version=version).status_code == status


@pytest.mark.parametrize("protocol, kind, status", [("vnc", "novnc", 501), ("rdp", "rdp-html5", 400), ("x", "y", 400)])
def test_no_driver_offers_a_console(cloud: ApiCloud, server: str, protocol: str, kind: str, status: int) -> None:
    wanted = {"remote_console": {"protocol": protocol, "type": kind}}
    assert cloud.call("POST", f"/servers/{server}/remote-consoles", wanted, version="2.6").status_code == status


@pytest.mark.parametrize("version, status", [("2.7", 400), ("2.8", 501)])
def test_mks_came_with_its_version(cloud: ApiCloud, server: str, version: str, status: int) -> None:
    wanted = {"remote_console": {"protocol": "mks", "type": "webmks"}}
    assert cloud.call("POST", f"/servers/{server}/remote-consoles", wanted, version=version).status_code == status


@pytest.mark.parametrize(
    "action, kind, status",
    [
        ("os-getVNCConsole", "novnc", 501),
        ("os-getSPICEConsole", "spice-html5", 501),
        ("os-getSerialConsole", "serial", 501),
        ("os-getRDPConsole", "rdp-html5", 400),
        ("os-getVNCConsole", "serial", 400),
    ],
)
def test_the_older_ways_answer_the_same(cloud: ApiCloud, server: str, action: str, kind: str, status: int) -> None:
    reply = cloud.call("POST", f"/servers/{server}/action", {action: {"type": kind}}, version="2.1")
    assert reply.status_code == status
