"""What becomes of servers that stay as they are for too long (contract §6.7), and of images that nobody has use for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.errors import Unavailable
from kilonova.domain.images import ImageQuery
from kilonova.domain.model import after
from kilonova.services.leftovers import Shelf
from kilonova.store import instances
from tests.plane.house import House, lived_in
from tests.plane.ledger import actions_of, told
from tests.plane.moving import beat, state

_LASTING = 1_000_000
_OVERTAKEN: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"reboot": {"type": "SOFT"}}, {"reboot": {"type": "HARD"}}),
    ({"pause": None}, {"reboot": {"type": "HARD"}}),
    ({"os-stop": None}, {"forceDelete": None}),
]


@contextmanager
def _house(path: Path, **settings: int) -> Iterator[House]:
    with lived_in(path, DEFAULT={"service_down_time": _LASTING, "instance_lease": _LASTING, **settings}) as made:
        yield made


def _later(house: House, seconds: int) -> None:
    house.at = after(house.at, seconds)
    beat(house)
    house.tidy()
    house.settle()


def _newest(house: House, server: str) -> dict[str, Any]:
    found: dict[str, Any] = house.call("GET", f"/servers/{server}/os-instance-actions").json()["instanceActions"][0]
    return found


def test_a_build_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    with _house(tmp_path, instance_build_timeout=120) as house:
        body = {"server": {"name": "web1", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none"}}
        server = house.call("POST", "/servers", body).json()["server"]["id"]
        plane, (agent,) = house.cloud.plane, house.cloud.plane.agents
        assert plane.conductor.step()
        assert plane.conductor.next_work(agent.host, "a run that hangs", limit=1)
        house.at = after(house.at, 119)
        house.tidy()
        assert state(house, server)[:2] == ("BUILD", "spawning")
        house.at = after(house.at, 2)
        house.tidy()
        shown = house.show(server)
        assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ERROR", None)
        assert shown["fault"]["message"] == "The operation 'create' was given up. It did not end in time."
        (operation,) = house.call("GET", f"//state/v1/operations/{_newest(house, server)['request_id']}").json()[
            "operations"
        ]
        assert (operation["result"], operation["cause"]["code"]) == ("Error", "interrupted")
        (row,) = [row for row in house.told("instance", "create") if row.phase == "error"]
        assert row.cause == "expired"


@pytest.mark.parametrize("seconds", [0, 300])
def test_a_rescued_server_is_brought_back_by_itself_if_that_is_wanted(tmp_path: Path, seconds: int) -> None:
    with _house(tmp_path, rescue_timeout=seconds) as house:
        server = house.boot()["id"]
        house.act(server, {"rescue": None})
        house.settle()
        _later(house, 295)
        assert state(house, server)[0] == "RESCUE"
        _later(house, 5)
        assert state(house, server)[0] == ("ACTIVE" if seconds else "RESCUE")
        assert actions_of(house, server)[0] == ("unrescue" if seconds else "rescue")
        if seconds:
            assert (_newest(house, server)["user_id"], _newest(house, server)["project_id"]) == (None, None)


@pytest.mark.parametrize("seconds", [0, 60])
def test_a_soft_reboot_that_does_not_end_is_followed_by_a_hard_one(tmp_path: Path, seconds: int) -> None:
    with _house(tmp_path, reboot_timeout=seconds) as house:
        server = house.boot()["id"]
        house.act(server, {"reboot": {"type": "SOFT"}})
        (agent,) = house.cloud.plane.agents
        assert house.cloud.plane.conductor.next_work(agent.host, agent.run_id, limit=1), "and it hangs"
        _later(house, 50)
        assert state(house, server)[:2] == ("REBOOT", "rebooting")
        _later(house, 10)
        if not seconds:
            assert state(house, server)[:2] == ("REBOOT", "rebooting")
            return
        assert state(house, server) == ("ACTIVE", None, 1)
        path = f"/servers/{server}/os-instance-actions"
        reboots = house.call("GET", path).json()["instanceActions"][:2]
        assert [(each["action"], each["message"], each["user_id"]) for each in reboots] == [
            ("reboot", None, None),
            ("reboot", "Error", reboots[1]["user_id"]),
        ]
        _later(house, 2000)
        assert state(house, server) == ("ACTIVE", None, 1), "the first one's deadline is nobody's trouble"


def test_a_hard_reboot_and_a_delete_wait_for_nothing_that_is_under_way_on_their_host(tmp_path: Path) -> None:
    with _house(tmp_path) as house:
        (agent,) = house.cloud.plane.agents
        for hanging, then in _OVERTAKEN:
            server = house.boot()["id"]
            assert house.act(server, hanging).status_code == 202
            assert house.cloud.plane.conductor.next_work(agent.host, agent.run_id, limit=1), "and it hangs"
            assert house.act(server, then).status_code == 202
            house.settle()
            if "forceDelete" in then:
                assert house.call("GET", f"/servers/{server}").status_code == 404
            else:
                assert state(house, server) == ("ACTIVE", None, 1)
            with house.cloud.database.read() as connection:
                assert instances.find_instance(connection, server, include_deleted=True)
            operations = house.call("GET", "//state/v1/operations").json()["operations"]
            assert operations == [], "what was overtaken is over as well"


def test_an_operation_that_overtakes_nothing_waits(tmp_path: Path) -> None:
    with _house(tmp_path) as house:
        server = house.boot()["id"]
        house.act(server, {"pause": None})
        (agent,) = house.cloud.plane.agents
        assert house.cloud.plane.conductor.next_work(agent.host, agent.run_id, limit=1)
        reply = house.act(server, {"reboot": {"type": "SOFT"}})
        assert told(reply) == f"Cannot 'reboot' instance {server} while it is in task_state pausing"
        assert house.cloud.plane.conductor.next_work(agent.host, agent.run_id, limit=1) == []


# --- images of servers that were shelved ---------------------------------------------------------------------


def _images(house: House) -> list[str | None]:
    every = house.cloud.images.list_images(ImageQuery(project_id=None, every_project=True))
    return [image.name for image in every if image.name != "tiny"]


def _shelf(house: House) -> Shelf:
    return Shelf(house.cloud.database, house.cloud.plane.gallery)


def _shelved(house: House) -> str:
    server: str = house.boot()["id"]
    house.act(server, {"shelve": None})
    house.settle()
    assert _images(house) == ["web1-shelved"]
    return server


def test_the_image_of_a_shelved_server_stays_as_long_as_it_is_needed(tmp_path: Path) -> None:
    with _house(tmp_path) as house:
        server = _shelved(house)
        assert _shelf(house).step() is False
        assert _images(house) == ["web1-shelved"]
        house.act(server, {"os-resetState": {"state": "active"}})
        _shelf(house).step()
        assert _images(house) == ["web1-shelved"], "it is all that is left of the server"


def test_no_image_stays_when_the_process_dies_before_it_could_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _house(tmp_path) as house:
        server = _shelved(house)
        with monkeypatch.context() as patch:
            patch.setattr(type(house.cloud.plane.gallery), "discard", _dies)
            house.call("DELETE", f"/servers/{server}")
        assert house.call("GET", f"/servers/{server}").status_code == 404
        assert _images(house) == ["web1-shelved"]
        _shelf(house).step()
        assert _images(house) == []
        assert _shelf(house).step() is False, "what is done is done"


def test_no_image_stays_of_a_server_that_is_deleted_while_it_is_being_shelved(tmp_path: Path) -> None:
    with _house(tmp_path) as house:
        server = house.boot()["id"]
        house.act(server, {"shelve": None})
        house.call("DELETE", f"/servers/{server}")
        house.settle()
        house.tidy()
        assert house.call("GET", f"/servers/{server}").status_code == 404
        assert _images(house) == []


def test_no_image_stays_of_a_server_that_came_back_from_the_shelf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _house(tmp_path) as house:
        server = _shelved(house)
        with monkeypatch.context() as patch:
            patch.setattr("kilonova.services.snapshots.Snapshots.forget", lambda *_: None)
            house.act(server, {"unshelve": None})
            house.settle()
        assert (state(house, server)[0], _images(house)) == ("ACTIVE", ["web1-shelved"])
        _shelf(house).step()
        assert _images(house) == []


def _dies(*_given: Any, **_named: Any) -> None:
    raise Unavailable("the process is dead by now")
