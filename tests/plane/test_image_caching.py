"""Images that the hosts of an aggregate fetch ahead of time (contract §2.3)."""

from pathlib import Path
from typing import Any

from kilonova.drivers.simulated import SimulatedDriver
from tests.plane.house import House, lived_in

_NOWHERE = "00000000-0000-4000-8000-000000000001"


def _aggregate(house: House, *hosts: str) -> int:
    made = house.call("POST", "/os-aggregates", {"aggregate": {"name": f"of {len(hosts)}"}})
    id: int = made.json()["aggregate"]["id"]
    for host in hosts:
        assert house.call("POST", f"/os-aggregates/{id}/action", {"add_host": {"host": host}}).status_code == 200
    return id


def _cache(house: House, id: object, *image_ids: str, **how: Any) -> Any:
    body = {"cache": [{"id": image_id} for image_id in image_ids]}
    return house.call("POST", f"/os-aggregates/{id}/images", body, **{"version": "2.81", **how})


def _cached(house: House) -> list[set[str]]:
    found = []
    for agent in house.cloud.plane.agents:
        assert isinstance(agent.driver, SimulatedDriver)
        found.append(agent.driver.cached_images)
    return found


def test_the_hosts_of_an_aggregate_fetch_images_and_no_other_host_does(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_hosts=3) as house:
        hosts = [agent.host for agent in house.cloud.plane.agents]
        id, image = _aggregate(house, *hosts[:2]), house.image_id()
        reply = _cache(house, id, image)
        assert (reply.status_code, reply.content) == (202, b"")
        house.settle()
        assert _cached(house) == [{image}, {image}, set()]
        told = house.told("aggregate", "cache_images")
        assert [str(row.phase) for row in told] == ["start", "step", "step", "end"]
        assert [(row.facts["host"], row.facts["index"], row.facts["total"]) for row in told[1:3]] == [
            (hosts[0], 1, 2),
            (hosts[1], 2, 2),
        ]


def test_an_image_that_cannot_be_had_is_told_and_keeps_no_other_from_being_fetched(house: House) -> None:
    id, image = _aggregate(house, house.cloud.plane.agents[0].host), house.image_id()
    assert _cache(house, id, _NOWHERE, image).status_code == 202
    house.settle()
    (progress,) = [row for row in house.told("aggregate", "cache_images") if str(row.phase) == "step"]
    assert (progress.facts["images_cached"], progress.facts["images_failed"]) == ([image], [_NOWHERE])


def test_an_aggregate_without_hosts_is_done_at_once(house: House) -> None:
    assert _cache(house, _aggregate(house), house.image_id()).status_code == 202
    assert [str(row.phase) for row in house.told("aggregate", "cache_images")] == ["start", "end"]


def test_what_makes_no_sense_is_refused(house: House) -> None:
    id, image = _aggregate(house), house.image_id()
    assert _cache(house, 4711, image).status_code == 404
    assert _cache(house, id).status_code == 400
    assert _cache(house, id, image, image).status_code == 400
    assert _cache(house, id, "no-uuid").status_code == 400
    assert _cache(house, "x", image).status_code == 400
    assert _cache(house, id, image, version="2.80").status_code == 404
