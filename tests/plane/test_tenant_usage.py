"""Usage reports, as Nova makes them (contract §5)."""

from typing import Any

import pytest

from kilonova.domain.model import Instant, after
from kilonova.wire.times import naive
from tests.plane.house import House

_PATH = "/os-simple-tenant-usage"
_DAY = 86_400


def _at(house: House, seconds: float) -> str:
    return naive(after(house.at, seconds))


def _list(house: House, query: str = "", **how: Any) -> list[dict[str, Any]]:
    reply = house.call("GET", f"{_PATH}?{query}", **how)
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["tenant_usages"]
    return found


def _day(house: House) -> str:
    return f"start={_at(house, -_DAY)}&end={_at(house, _DAY)}"


def _refusal(house: House, query: str, *, path: str = _PATH, **how: Any) -> tuple[int, str]:
    reply = house.call("GET", f"{path}?{query}", **how)
    (fault,) = reply.json().values()
    return reply.status_code, fault["message"]


def test_hours_run_from_launch_to_now_and_are_multiplied_by_what_the_server_has(house: House) -> None:
    house.boot(flavorRef="2")
    house.at = after(house.at, 7200)
    (found,) = _list(house, _day(house))
    assert list(found) == [
        "tenant_id",
        "total_local_gb_usage",
        "total_vcpus_usage",
        "total_memory_mb_usage",
        "total_hours",
        "start",
        "stop",
    ]
    assert (found["total_hours"], found["total_memory_mb_usage"]) == (2.0, 4096.0)
    assert (found["start"], found["stop"]) == (_at(house, -_DAY), naive(house.at))


def test_a_detailed_report_tells_each_server(house: House) -> None:
    server = house.boot("web", flavorRef="2")
    launched = house.at
    house.at = after(house.at, 5400)
    (found,) = _list(house, f"detailed=1&{_day(house)}")
    (told,) = found["server_usages"]
    assert told == {
        "instance_id": server["id"],
        "name": "web",
        "tenant_id": server["tenant_id"],
        "flavor": "m1.small",
        "hours": 1.5,
        "memory_mb": 2048,
        "local_gb": 20,
        "vcpus": 1,
        "started_at": naive(launched),
        "ended_at": None,
        "state": "active",
        "uptime": 5400,
    }
    assert found["total_local_gb_usage"] == 30.0


@pytest.mark.parametrize("detailed", ["0", "true", "2", "01", "", "0&detailed=1"])
def test_only_exactly_one_makes_a_report_detailed(house: House, detailed: str) -> None:
    house.boot()
    house.at = after(house.at, 60)
    assert "server_usages" not in _list(house, f"detailed={detailed}&{_day(house)}")[0]


def test_a_deleted_server_has_hours_up_to_its_end_and_a_stopped_one_goes_on(house: House) -> None:
    gone, stopped = house.boot("gone"), house.boot("stopped")
    house.act(stopped["id"], {"os-stop": None})
    house.call("DELETE", f"/servers/{gone['id']}")
    house.settle()
    ended = house.at
    house.at = after(house.at, 3600)
    project = house.call("GET", f"{_PATH}/{gone['tenant_id']}?{_day(house)}").json()["tenant_usage"]
    told = {server["name"]: server for server in project["server_usages"]}
    assert (told["gone"]["state"], told["gone"]["ended_at"]) == ("terminated", naive(ended))
    assert told["gone"]["uptime"] == 2
    assert told["stopped"]["state"] == "stopped"
    assert told["stopped"]["hours"] > 1.0


def test_a_project_without_servers_has_an_empty_report(house: House) -> None:
    reply = house.call("GET", f"{_PATH}/nobody?{_day(house)}")
    assert reply.json() == {"tenant_usage": {}}
    assert _list(house, _day(house)) == []


def test_a_window_in_the_future_is_reversed_and_its_hours_are_negative(house: House) -> None:
    house.boot()
    house.at = after(house.at, 60)
    (found,) = _list(house, f"start={_at(house, 7200)}&end={_at(house, 9000)}", version="2.1")
    assert found["total_hours"] == -2.0
    assert found["total_memory_mb_usage"] < -2.0


def test_without_times_the_window_is_as_short_as_can_be(house: House) -> None:
    server = house.boot()
    house.at = after(house.at, 60)
    (found,) = _list(house)
    assert 0 <= found["total_hours"] < 1e-6
    assert "server_usages" in house.call("GET", f"{_PATH}/{server['tenant_id']}").json()["tenant_usage"]


@pytest.mark.parametrize(
    "spelling", ["2026-11-01", "2026-11-01T00:00:00Z", "2026-11-01 00:00:00", "2026-11-01T00:00:00+00:00", "now"]
)
def test_a_time_that_is_spelled_otherwise_is_refused(house: House, spelling: str) -> None:
    said = (400, "Invalid datetime string: Datetime is in invalid format")
    query = f"start={spelling.replace('+', '%2B')}"
    assert _refusal(house, query) == said
    assert _refusal(house, query.replace("start", "end"), path=f"{_PATH}/some") == said


@pytest.mark.parametrize("spelling", ["2026-11-01T00:00:00", "2026-11-01T00:00:00.5", "2026-11-01 00:00:00.000001"])
def test_three_spellings_of_time_are_read_and_the_first_value_counts(house: House, spelling: str) -> None:
    assert _list(house, f"start={spelling}&start=rubbish") == []


@pytest.mark.parametrize("end", ["2026-11-01T00:00:00", "2026-10-31T00:00:00"])
def test_a_start_that_is_not_before_the_end_is_refused(house: House, end: str) -> None:
    said = "Invalid start time. The start time cannot occur after the end time."
    assert _refusal(house, f"start=2026-11-01T00:00:00&end={end}") == (400, said)


def test_pages_of_servers_add_up_to_the_whole(house: House) -> None:
    for name in ("a", "b", "c"):
        house.boot(name)
    house.at = after(house.at, 3600)
    whole = _list(house, _day(house))[0]["total_hours"]
    query, hours, pages = f"limit=2&{_day(house)}", 0.0, 0
    while query:
        reply = house.call("GET", f"{_PATH}?{query}").json()
        hours += sum(each["total_hours"] for each in reply["tenant_usages"])
        links = reply.get("tenant_usages_links")
        query = links[0]["href"].partition("?")[2] if links else ""
        pages += 1
    assert pages == 2
    assert hours == pytest.approx(whole)


def test_a_full_page_of_one_project_has_a_link_that_works(house: House) -> None:
    server = house.boot()
    path = f"{_PATH}/{server['tenant_id']}"
    house.at = after(house.at, 60)
    reply = house.call("GET", f"{path}?limit=1&{_day(house)}").json()
    (link,) = reply["tenant_usage_links"]
    assert f"marker={server['id']}" in link["href"]
    assert house.call("GET", f"{path}?{link['href'].partition('?')[2]}").json() == {"tenant_usage": {}}
    assert "tenant_usage_links" not in house.call("GET", f"{path}?limit=1&{_day(house)}", version="2.39").json()


def test_below_paging_a_report_is_cut_at_the_longest_page_without_a_word(house: House) -> None:
    for name in ("a", "b"):
        house.boot(name)
    house.at = after(house.at, 60)
    assert _list(house, f"limit=0&{_day(house)}") == []
    whole = _list(house, f"limit=0&marker=nobody&{_day(house)}", version="2.39")
    assert len(whole) == 1
    assert _refusal(house, f"marker=nobody&{_day(house)}") == (400, "Marker nobody could not be found.")


def test_an_unknown_parameter_is_an_error_from_2_75_on(house: House) -> None:
    assert _list(house, "foo=1", version="2.74") == []
    assert _refusal(house, "foo=1", version="2.75")[0] == 400
    path = f"{_PATH}/some"
    assert house.call("GET", f"{path}?detailed=1", version="2.74").status_code == 200
    assert _refusal(house, "detailed=1", path=path, version="2.75")[0] == 400


def test_owners_see_their_own_report_and_nobody_elses(house: House) -> None:
    house.add_person("eva", "other", "reader")
    server = house.boot()
    how = {"user": "eva", "project": "other"}
    rule = "Policy doesn't allow os_compute_api:os-simple-tenant-usage:{} to be performed."
    assert _refusal(house, "", **how) == (403, rule.format("list"))
    assert _refusal(house, "", path=f"{_PATH}/{server['tenant_id']}", **how) == (403, rule.format("show"))


def test_the_flavor_of_a_report_outlives_its_deletion(house: House) -> None:
    wanted = {"flavor": {"name": "passing", "ram": 64, "vcpus": 1, "disk": 1, "id": "passing"}}
    assert house.call("POST", "/flavors", wanted).status_code == 200
    server = house.boot(flavorRef="passing")
    house.call("DELETE", "/flavors/passing")
    house.at = Instant(house.at + 1)
    found = house.call("GET", f"{_PATH}/{server['tenant_id']}?{_day(house)}").json()["tenant_usage"]
    assert found["server_usages"][0]["flavor"] == "passing"
