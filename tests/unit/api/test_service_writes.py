"""What administrators do to services: the texts, and what is left of it afterwards."""

from typing import Any

import pytest

from kilonova.domain.journal import JournalRow
from kilonova.domain.model import Instant
from kilonova.domain.states import VmState
from kilonova.store import fleet, journal
from tests.unit.api.cloud import ApiCloud

HOST = {"host": "cmp-1", "binary": "nova-compute"}
UNKNOWN = "3cb9bc59-5699-4588-a4b1-b87f96708bc6"


@pytest.fixture(autouse=True)
def _a_host(cloud: ApiCloud) -> None:
    cloud.add_host()


def _message(reply: Any) -> tuple[int, str]:
    (fault,) = reply.json().values()
    return reply.status_code, fault["message"]


def _service(cloud: ApiCloud, host: str = "cmp-1", version: str = "2.53") -> dict[str, Any]:
    (found,) = cloud.get(f"/os-services?host={host}", version=version)["services"]
    return dict(found)


def _told(cloud: ApiCloud, kind: str = "service") -> list[JournalRow]:
    journal.sequence(cloud.database)
    with cloud.database.read() as connection:
        return list(journal.list_entries(connection, after_seq=0, limit=100, kind=kind))


def test_a_host_is_disabled_with_a_reason_and_enabled_without_one(cloud: ApiCloud) -> None:
    reason = {**HOST, "disabled_reason": "a new disk"}
    reply = cloud.call("PUT", "/os-services/disable-log-reason", reason)
    assert reply.json() == {"service": {**HOST, "status": "disabled", "disabled_reason": "a new disk"}}
    shown = _service(cloud)
    assert (shown["status"], shown["disabled_reason"]) == ("disabled", "a new disk")
    assert cloud.call("PUT", "/os-services/enable", HOST).json() == {"service": {**HOST, "status": "enabled"}}
    shown = _service(cloud)
    assert (shown["status"], shown["disabled_reason"]) == ("enabled", None)


def test_a_reason_is_not_kept_by_a_plain_disable(cloud: ApiCloud) -> None:
    reply = cloud.call("PUT", "/os-services/disable", {**HOST, "disabled_reason": "why"})
    assert reply.json() == {"service": {**HOST, "status": "disabled"}}
    assert _service(cloud)["disabled_reason"] is None


def test_a_host_that_is_forced_down_is_down_however_it_beats(cloud: ApiCloud) -> None:
    reply = cloud.call("PUT", "/os-services/force-down", {**HOST, "forced_down": "yes"}, version="2.11")
    assert reply.json() == {"service": {**HOST, "forced_down": True}}
    shown = _service(cloud)
    assert (shown["state"], shown["forced_down"], shown["status"]) == ("down", True, "enabled")


@pytest.mark.parametrize(
    "word, body, version, wanted",
    [
        ("disable-log-reason", HOST, "2.1", (400, "Missing disabled reason field")),
        ("force-down", HOST, "2.11", (400, "Missing forced_down field")),
        ("force-down", HOST, "2.10", (404, "Unknown action")),
        ("explode", HOST, "2.1", (404, "Unknown action")),
        ("enable", {**HOST, "host": "nowhere"}, "2.1", (404, "Host 'nowhere' is not mapped to any cell")),
        (
            "enable",
            {"host": "nowhere", "binary": "nova-scheduler"},
            "2.1",
            (400, "Updating a nova-scheduler service is not supported. Only nova-compute services can be updated."),
        ),
    ],
)
def test_what_cannot_be_is_refused_in_novas_words(
    cloud: ApiCloud, word: str, body: dict[str, str], version: str, wanted: tuple[int, str]
) -> None:
    assert _message(cloud.call("PUT", f"/os-services/{word}", body, version=version)) == wanted


@pytest.mark.parametrize(
    "body",
    [{"host": "cmp-1"}, {**HOST, "disabled_reason": ""}, {**HOST, "forced_down": True}, {**HOST, "colour": "red"}, []],
)
def test_a_malformed_body_is_refused(cloud: ApiCloud, body: Any) -> None:
    assert cloud.call("PUT", "/os-services/disable", body).status_code == 400


def test_a_service_is_changed_by_its_uuid(cloud: ApiCloud) -> None:
    uuid = _service(cloud)["id"]
    wanted = {"status": "disabled", "disabled_reason": "moving", "forced_down": True}
    changed = cloud.call("PUT", f"/os-services/{uuid}", wanted, version="2.53").json()["service"]
    assert changed == _service(cloud)
    assert (changed["status"], changed["disabled_reason"], changed["forced_down"]) == ("disabled", "moving", True)
    assert changed["updated_at"] is not None


def test_the_same_again_is_told_but_moves_nothing(cloud: ApiCloud) -> None:
    uuid = _service(cloud)["id"]
    first = cloud.call("PUT", f"/os-services/{uuid}", {"status": "disabled"}, version="2.53").json()
    cloud.plane.at = Instant(cloud.plane.at + 1_000_000)
    assert cloud.call("PUT", f"/os-services/{uuid}", {"status": "disabled"}, version="2.53").json() == first
    changed, again = _told(cloud)[-2:]
    assert (changed.operation, changed.previous) == ("update", {"disabled": False})
    assert (again.operation, again.previous, again.user_id) == ("update", {}, "somebody")


@pytest.mark.parametrize(
    "uuid, body, wanted",
    [
        ("", {}, (400, "No updates were requested. Fields 'status' or 'forced_down' should be specified.")),
        (
            "",
            {"disabled_reason": "x"},
            (400, "No updates were requested. Fields 'status' or 'forced_down' should be specified."),
        ),
        (
            "",
            {"status": "enabled", "disabled_reason": "x"},
            (400, "Specifying 'disabled_reason' with status 'enabled' is invalid."),
        ),
        ("enable", {"status": "enabled"}, (400, "Invalid uuid enable")),
        (UNKNOWN, {"status": "enabled"}, (404, f"Service {UNKNOWN} could not be found.")),
    ],
)
def test_what_cannot_be_from_2_53_on_is_refused(
    cloud: ApiCloud, uuid: str, body: dict[str, str], wanted: tuple[int, str]
) -> None:
    path = f"/os-services/{uuid or _service(cloud)['id']}"
    assert _message(cloud.call("PUT", path, body, version="2.53")) == wanted


def test_nobody_but_administrators_changes_services(cloud: ApiCloud) -> None:
    assert cloud.call("PUT", "/os-services/disable", HOST, role="member").status_code == 403
    assert cloud.call("DELETE", "/os-services/1", role="member").status_code == 403


def test_a_service_with_servers_stays_and_an_empty_one_goes_with_its_nodes(cloud: ApiCloud) -> None:
    uuid, server = _service(cloud)["id"], cloud.boot()
    assert _message(cloud.call("DELETE", f"/os-services/{uuid}", version="2.53")) == (
        409,
        "Unable to delete compute service that is hosting instances. Migrate or delete the instances first.",
    )
    now = cloud.plane.at
    cloud.move(server, vm_state=VmState.DELETED, task_state=None, deleted_at=now, terminated_at=now)
    assert cloud.call("DELETE", f"/os-services/{uuid}", version="2.53").status_code == 204
    assert cloud.get("/os-services?host=cmp-1")["services"] == []
    with cloud.database.read() as connection:
        assert "cmp-1" not in [node.host for node in fleet.list_nodes(connection)]
    assert _told(cloud)[-1].operation == "delete"
    assert _told(cloud, "compute_node")[-1].operation == "delete"


@pytest.mark.parametrize(
    "id, version, wanted",
    [
        ("abc", "2.1", (400, "Invalid input received: id must be an integer")),
        ("4711", "2.1", (404, "Service 4711 not found.")),
        ("9" * 30, "2.1", (404, f"Service {'9' * 30} not found.")),
        ("abc", "2.53", (400, "Invalid uuid abc")),
        (UNKNOWN, "2.53", (404, f"Service {UNKNOWN} not found.")),
    ],
)
def test_a_service_that_is_not_there_cannot_be_removed(
    cloud: ApiCloud, id: str, version: str, wanted: tuple[int, str]
) -> None:
    assert _message(cloud.call("DELETE", f"/os-services/{id}", version=version)) == wanted


def test_a_service_is_removed_by_its_number_of_old(cloud: ApiCloud) -> None:
    number = _service(cloud, version="2.1")["id"]
    assert cloud.call("DELETE", f"/os-services/{number}", version="2.52").status_code == 204
