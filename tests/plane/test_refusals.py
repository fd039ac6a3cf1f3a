"""What is refused leaves no trace but the refusal: no server, action, fault, decision, image, claim or journal row."""

from typing import Any

import pytest
from sqlalchemy import func, select

from kilonova.store.schema import metadata
from tests.plane.house import House
from tests.plane.moving import told

_ID = "11111111-2222-4333-8444-555555555555"
_OF_ASKING = {"tokens", "sessions", "heartbeats"}


def _trace(house: House) -> dict[str, Any]:
    """How much there is of everything that is kept, and every server as it is."""
    with house.cloud.database.read() as connection:
        found: dict[str, Any] = {
            name: connection.scalar(select(func.count()).select_from(table))
            for name, table in metadata.tables.items()
            if name not in _OF_ASKING
        }
        servers = select(metadata.tables["instances"]).order_by(metadata.tables["instances"].c.id)
        found["servers"] = [tuple(row) for row in connection.execute(servers)]
    return found


@pytest.fixture
def server(house: House) -> str:
    """A server that runs, another project with an image of its own, and a flavor that nobody has room for."""
    flavors = [("huge", 300, 64, 1), ("diskless", 1, 64, 0), ("other", 1, 128, 1)]
    for name, vcpus, ram, disk in flavors:
        flavor = {"name": name, "id": name, "vcpus": vcpus, "ram": ram, "disk": disk}
        assert house.call("POST", "/flavors", {"flavor": flavor}).status_code == 200
    house.add_person("member", "demo", "member")
    house.add_person("stranger", "elsewhere", "member")
    running: str = house.boot(user="member")["id"]
    return running


def _foreign_image(house: House) -> str:
    body = {"name": "theirs", "disk_format": "raw", "container_format": "bare", "visibility": "private"}
    made = house.call("POST", "//image/v2/images", body, user="stranger", project="elsewhere").json()
    found: str = made["id"]
    return found


@pytest.mark.parametrize(
    "wanted, hints, status",
    [
        ({}, {"group": _ID}, 400),
        ({}, {"group": "no uuid"}, 400),
        ({}, {"same_host": ["SERVER"], "different_host": ["SERVER"]}, 400),
        ({}, {"query": "not a query"}, 400),
        ({}, {"build_near_host_ip": "nonsense"}, 400),
        ({"flavorRef": "huge"}, None, 403),
        ({"min_count": 11, "max_count": 12}, None, 403),
        ({"min_count": 3, "max_count": 2}, None, 400),
        ({"flavorRef": "no such flavor"}, None, 400),
        ({"imageRef": _ID}, None, 400),
        ({"imageRef": "FOREIGN"}, None, 400),
        ({"availability_zone": "atlantis"}, None, 400),
        ({"key_name": "nobody's"}, None, 400),
        ({"networks": [{"uuid": _ID}]}, None, 400),
    ],
)
def test_a_server_that_cannot_be_is_refused_without_a_trace(
    house: House, server: str, wanted: dict[str, Any], hints: Any, status: int
) -> None:
    if wanted.get("imageRef") == "FOREIGN":
        wanted = {**wanted, "imageRef": _foreign_image(house)}
    body = {"name": "web2", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none", **wanted}
    asked: dict[str, Any] = {"server": body}
    if hints is not None:
        asked["os:scheduler_hints"] = {key: [server] if value == ["SERVER"] else value for key, value in hints.items()}
    before = _trace(house)
    reply = house.call("POST", "/servers", asked, user="member")
    assert reply.status_code == status, reply.text
    assert told(reply)
    house.settle()
    assert _trace(house) == before


@pytest.mark.parametrize(
    "action, status",
    [
        ({"resize": {"flavorRef": "42"}}, 400),
        ({"resize": {"flavorRef": "huge"}}, 403),
        ({"resize": {"flavorRef": "diskless"}}, 400),
        ({"resize": {"flavorRef": "no such flavor"}}, 400),
        ({"rebuild": {"imageRef": _ID}}, 400),
        ({"rebuild": {"imageRef": "FOREIGN"}}, 400),
        ({"rescue": {"rescue_image_ref": _ID}}, 400),
        ({"createImage": {"name": "x", "metadata": {"m" * 300: "x"}}}, 400),
        ({"createBackup": {"name": "x", "backup_type": "daily", "rotation": -1}}, 400),
        ({"confirmResize": None}, 409),
        ({"revertResize": None}, 409),
        ({"unshelve": None}, 409),
        ({"restore": None}, 409),
        ({"migrate": None}, 403),
        ({"os-migrateLive": {"host": None, "block_migration": "auto"}}, 403),
        ({"evacuate": {}}, 403),
        ({"os-resetState": {"state": "active"}}, 403),
    ],
)
def test_an_action_that_cannot_be_is_refused_without_a_trace(
    house: House, server: str, action: dict[str, Any], status: int
) -> None:
    if action.get("rebuild", {}).get("imageRef") == "FOREIGN":
        action = {"rebuild": {"imageRef": _foreign_image(house)}}
    before = _trace(house)
    reply = house.act(server, action, user="member")
    assert (reply.status_code, bool(told(reply))) == (status, True), reply.text
    house.settle()
    assert _trace(house) == before


@pytest.mark.parametrize(
    "action, status",
    [
        ({"migrate": {"host": "nowhere"}}, 400),
        ({"os-migrateLive": {"host": "nowhere", "block_migration": "auto"}}, 400),
        ({"evacuate": {}}, 400),
        ({"evacuate": {"host": "nowhere"}}, 404),
        ({"unshelve": {"host": "nowhere"}}, 409),
    ],
)
def test_a_move_to_nowhere_is_refused_without_a_trace(
    house: House, server: str, action: dict[str, Any], status: int
) -> None:
    before = _trace(house)
    reply = house.act(server, action)
    assert (reply.status_code, bool(told(reply))) == (status, True), reply.text
    house.settle()
    assert _trace(house) == before


def test_a_live_migration_without_a_host_is_refused_at_once_until_2_33(house: House, server: str) -> None:
    before = _trace(house)
    action = {"os-migrateLive": {"host": None, "block_migration": False, "disk_over_commit": False, "force": False}}
    del action["os-migrateLive"]["force"], action["os-migrateLive"]["disk_over_commit"]
    reply = house.act(server, action, version="2.25")
    assert (reply.status_code, told(reply)[:28]) == (400, "No valid host was found. 1 c")
    assert _trace(house) == before
