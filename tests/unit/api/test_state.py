"""Our own surface: decisions, operations, the journal and health."""

from typing import Any

import pytest

from kilonova.domain.model import after
from kilonova.domain.placement import Ask, Decision
from kilonova.store import decisions, journal
from tests.unit.api.cloud import IMAGE_ID, OTHER, ApiCloud

NOBODY = "00000000-0000-0000-0000-000000000000"


def _state(cloud: ApiCloud, path: str, **how: Any) -> Any:
    return cloud.call("GET", f"//state/v1{path}", **how)


def test_health_needs_no_token_and_names_nothing(cloud: ApiCloud) -> None:
    cloud.add_host()
    reply = cloud.http.get("/healthz")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/health+json")
    assert (reply.json()["status"], set(reply.json()["checks"])) == ("pass", {"loops", "database"})
    ready = cloud.http.get("/readyz")
    assert ready.json()["checks"]["journal:lag"][0]["observedValue"] > 0
    assert "cmp-1" not in ready.text + reply.text


def test_health_warns_of_a_service_that_is_down(cloud: ApiCloud) -> None:
    cloud.add_host()
    cloud.plane.at = after(cloud.plane.at, 3600)
    reply = cloud.http.get("/readyz")
    assert (reply.status_code, reply.json()["status"]) == (200, "warn")
    assert reply.json()["checks"]["services:up"][0]["reason"] == "SomeDown"


def test_our_own_surface_needs_a_token_too(cloud: ApiCloud) -> None:
    assert cloud.http.get("/state/v1/events").status_code == 401
    assert _state(cloud, "/nothing").status_code == 404
    assert cloud.call("GET", "//state/v9").status_code == 404


def test_decisions_are_shown_to_administrators(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    ask = Ask(vcpus=1, memory_mb=512, disk_gb=1)
    decision = Decision(ask=ask, candidates=0, removed=(), weighed=())
    with cloud.database.transaction() as tx:
        decisions.add_decision(tx, instance_uuid=uuid, request_id="req-x", decision=decision, now=cloud.plane.at)
    (shown,) = _state(cloud, f"/decisions?server={uuid}").json()["decisions"]
    assert (shown["server"], shown["candidates"], shown["chosen_host"]) == (uuid, 0, None)
    assert shown["document"]["ask"]["vcpus"] == 1
    assert shown["decided_at"].endswith("Z")
    assert _state(cloud, f"/decisions?server={uuid}", role="member").status_code == 403
    assert _state(cloud, "/decisions").status_code == 400


def test_an_operation_is_shown_to_its_project_with_its_deadline(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    reply = cloud.call("POST", f"/servers/{uuid}/action", {"os-stop": None}, role="member")
    path = f"/operations/{reply.headers['x-openstack-request-id']}"
    assert reply.headers["location"] == f"http://127.0.0.1:18774/state/v1{path}"
    (shown,) = _state(cloud, path, role="reader").json()["operations"]
    assert (shown["operation"], shown["is_open"], shown["finished_at"]) == ("stop", True, None)
    assert (shown["result"], shown["progress"], shown["cause"]) == (None, 0, None)
    assert shown["deadline_at"] > shown["started_at"]
    assert "host" not in shown
    assert _state(cloud, path).json()["operations"][0]["host"] == "cmp-1"
    assert _state(cloud, path, role="member", project=OTHER).status_code == 404
    assert _state(cloud, f"{path}?server={uuid}").status_code == 200
    assert _state(cloud, f"{path}?server={NOBODY}").status_code == 404
    assert _state(cloud, "/operations/req-none").status_code == 404


def test_what_is_under_way_is_listed_page_by_page_to_whom_it_concerns(cloud: ApiCloud) -> None:
    mine, theirs = cloud.boot("mine"), cloud.boot("theirs", project=OTHER)
    for uuid in (mine, theirs):
        cloud.call("POST", f"/servers/{uuid}/action", {"pause": None})
    every = _state(cloud, "/operations").json()
    assert [each["operation"] for each in every["operations"]] == ["create", "create", "pause", "pause"]
    first = _state(cloud, "/operations?limit=3").json()
    rest = _state(cloud, f"/operations?after={first['next']}").json()
    assert [*first["operations"], *rest["operations"]] == every["operations"]
    seen = _state(cloud, "/operations", role="reader").json()["operations"]
    assert {each["server"] for each in seen} == {mine}


def test_several_servers_of_one_order_are_one_operation_with_a_link_to_it(cloud: ApiCloud) -> None:
    server = {"name": "web", "flavorRef": "1", "imageRef": IMAGE_ID, "networks": "auto", "min_count": 3}
    reply = cloud.call("POST", "/servers", {"server": server}, version="2.96")
    assert "/servers/" in reply.headers["location"], "that is Nova's own"
    address, rel = reply.headers["link"].split("; ")
    assert rel == 'rel="monitor"'
    shown = cloud.call("GET", f"/{address.strip('<>').removeprefix('http://127.0.0.1:18774')}").json()
    assert [each["operation"] for each in shown["operations"]] == ["create"] * 3
    assert len({each["server"] for each in shown["operations"]}) == 3


@pytest.mark.parametrize(
    "body", [{"createImage": {"name": "i"}}, {"createBackup": {"name": "b", "backup_type": "d", "rotation": 0}}]
)
def test_clients_that_look_for_an_image_in_the_location_find_no_operation_there(
    cloud: ApiCloud, body: dict[str, Any]
) -> None:
    reply = cloud.call("POST", f"/servers/{cloud.boot()}/action", body)
    assert "/state/" not in reply.headers.get("location", "")


def test_nothing_is_stuck_unless_the_ledger_was_tampered_with(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    cloud.call("POST", f"/servers/{uuid}/action", {"os-stop": None})
    assert _state(cloud, "/stuck").json() == {"stuck": [], "count": 0}
    assert _state(cloud, "/stuck", role="reader").status_code == 403
    with cloud.database.transaction() as tx:
        tx.connection.exec_driver_sql("DELETE FROM instance_actions")
    (found,) = _state(cloud, "/stuck").json()["stuck"]
    assert (found["kind"], found["server"], found["what"]) == ("task_state", uuid, "powering-off")
    cloud.boot()
    cloud.plane.at = after(cloud.plane.at, 24 * 3600)
    kinds = [each["kind"] for each in _state(cloud, "/stuck").json()["stuck"]]
    assert kinds == ["task_state", "operation"], "nobody closes a creation here"


def test_events_are_read_in_order_from_where_one_left_off(cloud: ApiCloud) -> None:
    cloud.boot("mine")
    cloud.boot("theirs", project=OTHER)
    journal.sequence(cloud.database)
    everything = _state(cloud, "/events?limit=1000").json()
    numbers = [event["seq"] for event in everything["events"]]
    assert numbers == list(range(1, everything["head"] + 1))
    first = _state(cloud, "/events?limit=2").json()
    rest = _state(cloud, f"/events?after={first['next']}&limit=1000").json()
    assert [*first["events"], *rest["events"]] == everything["events"]
    assert _state(cloud, f"/events?after={rest['next']}").json()["events"] == []


def test_a_tenant_reads_the_events_of_its_own_project_without_hosts(cloud: ApiCloud) -> None:
    cloud.boot("mine")
    cloud.boot("theirs", project=OTHER)
    journal.sequence(cloud.database)
    found = _state(cloud, "/events?limit=1000", role="reader").json()
    assert {event["snapshot"]["display_name"] for event in found["events"]} == {"mine"}
    assert "cmp-1" not in str(found)
    assert found["next"] == found["head"]
    one = _state(cloud, "/events?limit=1", role="reader").json()
    more = _state(cloud, f"/events?after={one['next']}&limit=1000", role="reader").json()
    assert [*one["events"], *more["events"]] == found["events"]


def test_what_lies_between_a_tenants_events_is_passed_over(cloud: ApiCloud) -> None:
    cloud.boot("mine")
    uuid = cloud.boot("theirs", project=OTHER)
    for number in range(40):
        cloud.move(uuid, progress=number)
    journal.sequence(cloud.database)
    mine = _state(cloud, "/events?limit=2", role="reader").json()
    assert len(mine["events"]) == 2
    after_it = _state(cloud, f"/events?limit=2&after={mine['next']}", role="reader").json()
    assert (after_it["events"], after_it["next"]) == ([], after_it["head"])
    assert _state(cloud, "/events?after=" + "9" * 18).json()["events"] == []
    assert _state(cloud, "/events?limit=0").json()["next"] == 0


def test_a_requests_rows_are_for_those_who_may_see_them(cloud: ApiCloud) -> None:
    mine, theirs = cloud.boot("mine"), cloud.boot("theirs", project=OTHER)
    renamed = {name: cloud.call("PUT", f"/servers/{name}", {"server": {"name": "new"}}) for name in (mine, theirs)}
    grown = cloud.call("POST", "/os-aggregates", {"aggregate": {"name": "rack"}})
    journal.sequence(cloud.database)

    def keys(reply: Any, role: str) -> list[str]:
        request_id = reply.headers["x-openstack-request-id"]
        return [row["key"] for row in _state(cloud, f"/events?request={request_id}", role=role).json()["events"]]

    assert [keys(renamed[name], "admin") for name in (mine, theirs)] == [[mine], [theirs]]
    assert [keys(renamed[name], "reader") for name in (mine, theirs)] == [[mine], []]
    assert (len(keys(grown, "admin")), keys(grown, "reader")) == (1, [])
    assert _state(cloud, "/events?request=req-nothing").json()["events"] == []
