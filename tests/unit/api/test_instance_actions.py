"""What was asked of a server, and how far it came (contract §7)."""

from typing import Any

import pytest

from kilonova.domain.changes import Change, Phase
from kilonova.domain.model import Request, after
from kilonova.domain.operations import get_operation
from kilonova.domain.states import PowerState, VmState
from kilonova.store import changes, instances, ledger
from tests.unit.api.cloud import DEMO, ApiCloud, capture


@pytest.fixture
def uuid(cloud: ApiCloud) -> str:
    """A server whose creation is over and that was asked to stop a minute later."""
    made = cloud.boot()
    with cloud.database.transaction() as tx:
        server = instances.get_instance(tx.connection, made)
        (action,) = ledger.list_actions(tx.connection, made)
        request = Request(request_id=action.request_id, user_id=None, project_id=None, received_at=cloud.plane.at)
        for phase in (Phase.START, Phase.END):
            step = Change(
                before=server,
                after=server._replace(updated_at=cloud.plane.at),
                request=request,
                occurred_at=cloud.plane.at,
                operation=get_operation("create"),
                phase=phase,
                action_id=action.id,
                host="cmp-1",
            )
            server = changes.save(tx, step).instance
    cloud.plane.at = after(cloud.plane.at, 60)
    cloud.call("POST", f"/servers/{made}/action", {"os-stop": None}, role="member")
    return made


def _list(cloud: ApiCloud, uuid: str, query: str = "", **how: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cloud.get(f"/servers/{uuid}/os-instance-actions{query}", **how)["instanceActions"]
    return found


def _show(cloud: ApiCloud, uuid: str, **how: Any) -> Any:
    request_id = _list(cloud, uuid)[-1]["request_id"]
    return cloud.get(f"/servers/{uuid}/os-instance-actions/{request_id}", **how)["instanceAction"]


@pytest.mark.parametrize("version", ["2.1", "latest"])
def test_actions_are_listed_newest_first_as_a_real_nova_lists_them(cloud: ApiCloud, uuid: str, version: str) -> None:
    ours = _list(cloud, uuid, version=version)
    theirs = capture(f"instance-actions@{version}")["body"]["instanceActions"]
    assert [action["action"] for action in ours] == ["stop", "create"]
    assert list(ours[0]) == list(theirs[0])
    assert (ours[0]["user_id"], ours[0]["project_id"], ours[0]["message"]) == ("somebody", DEMO, None)


@pytest.mark.parametrize("version", ["2.1", "2.53", "latest"])
def test_an_action_shows_its_events_as_a_real_nova_shows_them(cloud: ApiCloud, uuid: str, version: str) -> None:
    ours = _show(cloud, uuid, version=version)
    theirs = capture(f"instance-action-show@{version}")["body"]["instanceAction"]
    assert list(ours) == list(theirs)
    assert list(ours["events"][0]) == list(theirs["events"][0])
    assert ours["events"][0]["event"] == "compute__do_build_and_run_instance"
    assert ours["events"][0]["result"] == "Success"


@pytest.mark.parametrize(
    "version, keys",
    [
        ("2.50", None),
        ("2.51", ["event", "start_time", "finish_time", "result"]),
        ("2.62", ["event", "start_time", "finish_time", "result", "hostId"]),
        ("2.84", ["event", "start_time", "finish_time", "result", "hostId"]),
    ],
)
def test_a_reader_sees_events_from_2_51_on_and_no_host(
    cloud: ApiCloud, uuid: str, version: str, keys: list[str] | None
) -> None:
    ours = _show(cloud, uuid, version=version, role="reader")
    assert (list(ours["events"][0]) if keys else ours.get("events")) == keys


def test_the_host_of_an_event_is_told_as_the_server_tells_it(cloud: ApiCloud, uuid: str) -> None:
    server = cloud.get(f"/servers/{uuid}")["server"]
    assert _show(cloud, uuid, version="2.62", role="reader")["events"][0]["hostId"] == server["hostId"]


def test_actions_are_paged_by_request_id(cloud: ApiCloud, uuid: str) -> None:
    path = f"/servers/{uuid}/os-instance-actions"
    page = cloud.get(f"{path}?limit=1", version="2.58")
    (stop,) = page["instanceActions"]
    assert page["links"][0]["href"].endswith(f"{path}?limit=1&marker={stop['request_id']}")
    (create,) = _list(cloud, uuid, f"?marker={stop['request_id']}", version="2.58")
    assert create["action"] == "create"
    reply = cloud.call("GET", f"{path}?marker=req-none", version="2.58")
    assert reply.json()["badRequest"]["message"] == "Marker None could not be found."


def test_actions_are_listed_by_the_time_they_last_moved(cloud: ApiCloud, uuid: str) -> None:
    untouched, moment = (action["updated_at"] for action in _list(cloud, uuid, version="2.58"))
    assert untouched is None
    names = [
        [action["action"] for action in _list(cloud, uuid, f"?{query}", version="2.66")]
        for query in (f"changes-since={moment}", f"changes-before={moment}", "changes-before=2001-01-01")
    ]
    assert names == [["create"], ["create"], []]
    wrong = cloud.call("GET", f"/servers/{uuid}/os-instance-actions?changes-before=2001-01-01", version="2.58")
    assert wrong.status_code == 400


def test_an_unknown_request_is_not_found(cloud: ApiCloud, uuid: str) -> None:
    reply = cloud.call("GET", f"/servers/{uuid}/os-instance-actions/req-none")
    assert reply.json()["itemNotFound"]["message"] == "Action req-none not found"


def test_the_actions_of_a_deleted_server_stay_from_2_21_on(cloud: ApiCloud, uuid: str) -> None:
    cloud.move(
        uuid,
        vm_state=VmState.DELETED,
        task_state=None,
        power_state=PowerState.NOSTATE,
        deleted_at=cloud.plane.at,
        terminated_at=cloud.plane.at,
    )
    path = f"/servers/{uuid}/os-instance-actions"
    assert [cloud.call("GET", path, version=version).status_code for version in ("2.20", "2.21")] == [404, 200]
    assert cloud.call("GET", path, version="2.21", role="reader", project="f" * 32).status_code == 404
