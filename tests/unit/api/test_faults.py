"""``/state/v1/faults``: what went wrong, one by one and by cause."""

from typing import Any

import pytest

from kilonova.domain.faults import FaultCause
from kilonova.domain.model import Fault, after
from kilonova.store import ledger
from kilonova.store.faults import prune_faults
from tests.unit.api.cloud import OTHER, ApiCloud


def _fail(cloud: ApiCloud, uuid: str, cause: FaultCause, host: str | None = "cmp-1") -> None:
    cloud.plane.at = after(cloud.plane.at, 60)
    fault = Fault(
        code=500,
        cause=cause.code,
        message=f"{cause.title} {uuid}",
        details="secret",
        host=host,
        created_at=cloud.plane.at,
    )
    with cloud.database.transaction() as tx:
        ledger.record_fault(tx, uuid, fault)


def _faults(cloud: ApiCloud, query: str = "", **how: Any) -> Any:
    reply = cloud.call("GET", f"//state/v1/faults{query}", **how)
    assert reply.status_code == 200, reply.text
    return reply.json()["faults"]


@pytest.fixture
def troubled(cloud: ApiCloud) -> ApiCloud:
    mine, theirs = cloud.boot("mine"), cloud.boot("theirs", project=OTHER)
    _fail(cloud, mine, FaultCause.DISK_FULL)
    _fail(cloud, mine, FaultCause.DISK_FULL, host="cmp-2")
    _fail(cloud, theirs, FaultCause.DISK_FULL)
    _fail(cloud, theirs, FaultCause.NO_VALID_HOST, host=None)
    return cloud


def test_equal_causes_are_counted_together_whatever_their_texts_say(troubled: ApiCloud) -> None:
    full, nowhere = _faults(troubled, "?group_by=code")
    assert (full["code"], full["count"], full["servers"]) == ("disk_full", 3, 2)
    assert full["hosts"] == {"cmp-1": 2, "cmp-2": 1}
    assert full["first_seen"] < full["last_seen"] < nowhere["first_seen"] == nowhere["last_seen"]
    assert full["next_step"] == FaultCause.DISK_FULL.remedy
    assert full["operator"] == FaultCause.DISK_FULL.operator
    assert (nowhere["count"], nowhere["hosts"]) == (1, {})


def test_faults_are_grouped_from_an_instant_on(troubled: ApiCloud) -> None:
    last = _faults(troubled)[0]["created_at"]
    assert [group["code"] for group in _faults(troubled, f"?group_by=code&since={last}")] == ["no_valid_host"]


def test_faults_are_listed_newest_first_by_server_and_cause(troubled: ApiCloud) -> None:
    newest, *rest = _faults(troubled)
    assert (newest["code"], newest["details"], len(rest)) == ("no_valid_host", "secret", 3)
    assert len(_faults(troubled, f"?server={newest['server']}")) == 2
    assert len(_faults(troubled, "?code=disk_full&limit=2")) == 2


def test_a_tenant_sees_the_faults_of_its_own_servers_without_hosts_and_details(troubled: ApiCloud) -> None:
    (group,) = _faults(troubled, "?group_by=code", role="reader")
    assert (group["count"], group["servers"], "hosts" in group) == (2, 1, False)
    listed = _faults(troubled, role="reader")
    assert len(listed) == 2
    assert "secret" not in str(listed)
    assert "cmp-" not in str(listed)


def test_another_grouping_is_refused(troubled: ApiCloud) -> None:
    assert troubled.call("GET", "//state/v1/faults?group_by=host").status_code == 400


def test_the_newest_faults_of_each_server_are_kept(troubled: ApiCloud) -> None:
    while prune_faults(troubled.database, most=1):
        pass
    assert [fault["code"] for fault in _faults(troubled)] == ["no_valid_host", "disk_full"]
