"""Health and metrics, as whoever watches a cloud from outside gets them."""

import re
from pathlib import Path
from typing import Any

import pytest

from kilonova.domain.errors import HypervisorUnavailable, Unavailable
from kilonova.domain.model import after
from tests.plane.house import House, lived_in

_LINE = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-z_A-Z]+="([^"\\]|\\.)*",?)*\})? -?[0-9.e+-]+(inf)?\Z')


def _ready(house: House) -> Any:
    return house.raw("GET", "/readyz")


def _check(house: House, name: str) -> dict[str, Any]:
    found: dict[str, Any] = _ready(house).json()["checks"][name][0]
    return found


def _scraped(house: House, **headers: str) -> str:
    token = (house.cloud.state_dir / "metrics-token").read_text().strip()
    house.cloud.plane.monitor.step()
    reply = house.raw("GET", "/metrics", headers=headers or {"Authorization": f"Bearer {token}"})
    assert reply.status_code == 200, reply.text
    return str(reply.text)


def _value(text: str, sample: str) -> float:
    (found,) = [line.rpartition(" ")[2] for line in text.splitlines() if line.rpartition(" ")[0] == sample]
    return float(found)


def test_a_cloud_that_is_well_passes_every_check(house: House) -> None:
    reply = _ready(house)
    assert (reply.status_code, reply.json()["status"]) == (200, "pass"), reply.text
    for (check,) in reply.json()["checks"].values():
        assert {"status", "reason", "age_seconds"} <= check.keys()
    assert reply.headers["cache-control"] == "no-store"


def test_health_tells_strangers_of_trouble_without_a_name(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    (agent,) = house.cloud.plane.agents

    def probe() -> None:
        raise HypervisorUnavailable("the socket /run/secret/place is gone")

    monkeypatch.setattr(agent.driver, "probe", probe)
    house.pass_seconds(3)
    reply = _ready(house)
    assert (reply.status_code, reply.json()["status"]) == (200, "warn")
    check = _check(house, "hypervisor")
    assert (check["reason"], check["observedValue"], check["age_seconds"]) == ("SomeSilent", 1, 2.0)
    assert agent.host not in reply.text
    assert "secret" not in reply.text


def test_a_journal_that_is_behind_is_told_with_its_age(house: House) -> None:
    house.boot()
    house.cloud.plane.create_server  # noqa: B018  nothing is numbered until somebody steps
    house.call("POST", "/os-keypairs", {"keypair": {"name": "k"}}, version="2.1")
    house.at = after(house.at, 100)
    check = _check(house, "journal:lag")
    assert (check["status"], check["reason"], check["age_seconds"]) == ("warn", "Behind", 100.0)


def test_a_cloud_without_its_images_or_its_database_is_not_ready(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object) -> None:
        raise Unavailable("the image service of 10.0.0.7 does not answer")

    monkeypatch.setattr(house.cloud.plane.gallery, "list_images", silent)
    reply = _ready(house)
    assert (reply.status_code, reply.json()["checks"]["images"][0]["reason"]) == (503, "NoAnswer")
    assert house.raw("GET", "/healthz").status_code == 200
    monkeypatch.setattr(house.cloud.database, "read", silent)
    for path in ("/readyz", "/healthz"):
        reply = house.raw("GET", path)
        assert (reply.status_code, reply.json()["checks"]["database"][0]["status"]) == (503, "fail")
        assert "10.0.0.7" not in reply.text


def test_skewed_clocks_are_counted_by_readiness(house: House) -> None:
    from dataclasses import replace

    (agent,) = house.cloud.plane.agents
    house.cloud.plane.conductor.report_state(replace(agent.state(), sent_at=after(house.at, 99)))
    assert (_check(house, "clocks")["reason"], _check(house, "clocks")["observedValue"]) == ("SomeSkewed", 1)


def test_metrics_are_for_who_shows_a_token(house: House) -> None:
    house.add_person("watcher", "watch", "auditor")
    house.add_person("ann", "other", "member")
    assert house.raw("GET", "/metrics").status_code == 401
    assert house.raw("GET", "/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert house.raw("GET", "/metrics", headers={"Authorization": "Basic d3Jvbmc="}).status_code == 401
    assert house.raw("GET", "/metrics", headers={"X-Auth-Token": house.token("ann", "other")}).status_code == 403
    assert _scraped(house, Authorization=f"Bearer {house.token('watcher', 'watch')}")
    assert _scraped(house, **{"X-Auth-Token": house.token()})
    assert (house.cloud.state_dir / "metrics-token").stat().st_mode & 0o077 == 0


def test_metrics_can_be_for_everybody(tmp_path: Path) -> None:
    with lived_in(tmp_path, metrics={"public": True}) as house:
        assert house.raw("GET", "/metrics").status_code == 200


def test_every_line_of_the_metrics_is_one_that_prometheus_reads(tmp_path: Path) -> None:
    with lived_in(tmp_path, metrics={"openstack_names": True}, simulate_hosts=2) as house:
        uuid = house.call("GET", "/os-services?binary=nova-compute").json()["services"][0]["id"]
        reason = 'a "quoted"\\reason\nof two lines'
        house.call("PUT", f"/os-services/{uuid}", {"status": "disabled", "disabled_reason": reason})
        house.boot()
        text = _scraped(house)
        names: set[str] = set()
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                name = line.split()[2]
                assert name not in names, "a family comes once"
                names.add(name)
            elif not line.startswith("# HELP "):
                assert _LINE.match(line), line
        assert all(name.startswith(("kilonova_", "openstack_nova_")) for name in names)
        assert 'disabledReason="a \\"quoted\\"\\\\reason' in text
        assert _value(text, "openstack_nova_total_vms") == 1


def test_metrics_count_what_there_is_and_what_happened(house: House) -> None:
    server = house.boot()
    house.boot("second")
    house.boot("too large", flavorRef="42", metadata={"sim:fail": "spawn"})
    house.act(server["id"], {"os-stop": None})
    house.settle()
    text = _scraped(house)
    assert _value(text, 'kilonova_servers{status="ACTIVE"}') == 1
    assert _value(text, 'kilonova_servers{status="SHUTOFF"}') == 1
    assert _value(text, 'kilonova_servers{status="ERROR"}') == 1
    assert _value(text, 'kilonova_operation_duration_seconds_count{operation="create",result="success"}') == 2
    assert _value(text, 'kilonova_operation_duration_seconds_count{operation="create",result="error"}') == 1
    assert _value(text, 'kilonova_operation_duration_seconds_count{operation="stop",result="success"}') == 1
    assert _value(text, 'kilonova_placement_decisions_total{outcome="placed"}') == 3
    assert _value(text, "kilonova_operations_stuck") == 0
    assert _value(text, 'kilonova_services{binary="nova-compute",state="up",status="enabled"}') == 1
    node = house.call("GET", "//state/v1/fleet").json()["nodes"][0]["capacity"]["memory_mb"]
    assert _value(text, 'kilonova_memory_bytes{kind="total"}') == node["total"] * 1024**2
    assert _value(text, 'kilonova_memory_bytes{kind="allocated"}') == node["allocated"] * 1024**2


def test_what_is_counted_does_not_depend_on_when_the_counting_began(house: House) -> None:
    server = house.boot()
    house.call("DELETE", f"/servers/{house.boot('second')['id']}")
    house.settle()
    house.act(server["id"], {"os-stop": None})
    house.cloud.plane.monitor.step()
    house.settle()
    house.cloud.plane.monitor.step()
    followed = dict(house.cloud.plane.monitor.tallies.servers)
    house.cloud.plane.monitor.recount()
    counted = dict(house.cloud.plane.monitor.tallies.servers)
    assert {status: number for status, number in followed.items() if number} == counted == {"SHUTOFF": 1}


def test_a_host_that_is_down_has_a_sample_of_its_own(house: House) -> None:
    host = house.cloud.plane.agents[0].host
    house.pass_seconds(62, beating=False)
    text = _scraped(house)
    assert _value(text, f'kilonova_service_down{{binary="nova-compute",host="{host}"}}') == 1
    assert _value(text, 'kilonova_services{binary="nova-compute",state="down",status="enabled"}') == 1
    house.cloud.plane.settle()
    text = _scraped(house)
    assert _value(text, 'kilonova_service_turns_total{binary="nova-compute",to="down"}') == 1


def test_what_nobody_will_end_is_counted_by_kind(house: House) -> None:
    server = house.boot()["id"]
    house.cloud.plane.monitor.search()
    kinds = ("task_state", "operation", "event", "lease")
    assert [_value(_scraped(house), f'kilonova_stuck{{kind="{kind}"}}') for kind in kinds] == [0, 0, 0, 0]
    with house.cloud.database.transaction() as tx:  # as nothing in Kilonova would
        tx.connection.exec_driver_sql("UPDATE instances SET task_state = 'rebooting'")
        tx.connection.exec_driver_sql("UPDATE instance_events SET finished_at = NULL, result = NULL")
    house.at = after(house.at, 100_000)
    house.cloud.plane.monitor.search()
    assert [_value(_scraped(house), f'kilonova_stuck{{kind="{kind}"}}') for kind in kinds] == [1, 0, 1, 0]
    found = house.call("GET", "//state/v1/stuck").json()["stuck"]
    assert {each["kind"] for each in found} == {"task_state", "event"}
    assert {each["server"] for each in found} == {server}


def test_overdue_operations_are_told_to_be_stuck(house: House) -> None:
    server = house.boot()
    house.act(server["id"], {"os-stop": None})
    house.at = after(house.at, 100_000)
    text = _scraped(house)
    assert _value(text, "kilonova_operations_stuck") == 1
    assert _value(text, 'kilonova_operation_open_age_seconds{operation="stop"}') == 100_000
