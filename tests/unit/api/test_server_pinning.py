"""The zone that a server is pinned to: shown from 2.96 on, changed from 2.104 on (contract §6.1, §6.3)."""

from typing import Any

import pytest

from kilonova.domain.states import TaskState, VmState
from tests.unit.api.cloud import ApiCloud


def _pin(cloud: ApiCloud, uuid: str, zone: Any, version: str = "2.104", role: str = "member") -> Any:
    return cloud.call(
        "PUT", f"/servers/{uuid}", {"server": {"pinned_availability_zone": zone}}, version=version, role=role
    )


def _shown(cloud: ApiCloud, uuid: str) -> Any:
    return cloud.get(f"/servers/{uuid}", version="2.104", role="member")["server"]["pinned_availability_zone"]


@pytest.fixture
def pinned(cloud: ApiCloud) -> str:
    """A server that was created in a zone."""
    cloud.add_host()
    return cloud.boot(availability_zone="nova")


def test_a_server_can_be_unpinned_and_pinned_again_to_the_zone_it_is_in(cloud: ApiCloud, pinned: str) -> None:
    for zone in (None, "nova", "nova", None):
        reply = _pin(cloud, pinned, zone)
        assert (reply.status_code, reply.json()["server"]["pinned_availability_zone"]) == (200, zone)
        assert _shown(cloud, pinned) == zone


def test_a_server_is_not_pinned_to_a_zone_it_is_not_in(cloud: ApiCloud, pinned: str) -> None:
    reply = _pin(cloud, pinned, "elsewhere")
    assert (reply.status_code, "nova" in reply.json()["badRequest"]["message"]) == (400, True)
    assert _shown(cloud, pinned) == "nova"


def test_other_fields_change_in_the_same_request_or_none_does(cloud: ApiCloud, pinned: str) -> None:
    body = {"server": {"name": "renamed", "pinned_availability_zone": "elsewhere"}}
    assert cloud.call("PUT", f"/servers/{pinned}", body, version="2.104").status_code == 400
    assert cloud.get(f"/servers/{pinned}")["server"]["name"] == "web1"
    body["server"]["pinned_availability_zone"] = None  # type: ignore[assignment]
    assert cloud.call("PUT", f"/servers/{pinned}", body, version="2.104").json()["server"]["name"] == "renamed"


def test_the_pin_of_a_server_on_its_way_is_not_touched(cloud: ApiCloud, pinned: str) -> None:
    cloud.move(pinned, task_state=TaskState.MIGRATING)
    reply = _pin(cloud, pinned, None)
    text = f"Cannot 'update pinned availability zone' instance {pinned} while it is in task_state migrating"
    assert (reply.status_code, reply.json()["conflictingRequest"]["message"]) == (409, text)


def test_a_server_without_a_host_can_be_unpinned_and_not_pinned(cloud: ApiCloud, pinned: str) -> None:
    cloud.move(pinned, host=None, node=None, vm_state=VmState.SHELVED_OFFLOADED)
    assert _pin(cloud, pinned, None).status_code == 200
    reply = _pin(cloud, pinned, "nova")
    assert (reply.status_code, reply.json()["conflictingRequest"]["message"]) == (
        409,
        f"Instance {pinned} is not ready",
    )


@pytest.mark.parametrize("zone", ["", 1, [], "x" * 256])
def test_a_pin_is_a_zone_or_nothing(cloud: ApiCloud, pinned: str, zone: Any) -> None:
    assert _pin(cloud, pinned, zone).status_code == 400


def test_the_pin_cannot_be_changed_before_2_104(cloud: ApiCloud, pinned: str) -> None:
    reply = _pin(cloud, pinned, None, version="2.103")
    text = "Additional properties are not allowed ('pinned_availability_zone' was unexpected)"
    assert (reply.status_code, text in reply.json()["badRequest"]["message"]) == (400, True)


def test_who_only_reads_pins_nothing(cloud: ApiCloud, pinned: str) -> None:
    assert _pin(cloud, pinned, None, role="reader").status_code == 403
