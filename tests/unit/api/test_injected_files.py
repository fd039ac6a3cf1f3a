"""Files that a server is to find in their places, until 2.56 (contract §6.1, §4.2)."""

from base64 import b64encode
from typing import Any

import pytest

from kilonova.store import ledger
from tests.unit.api.cloud import IMAGE_ID, ApiCloud

FILE = {"path": "/etc/motd", "contents": b64encode(b"welcome").decode()}


def _create(cloud: ApiCloud, files: Any, version: str = "2.56") -> Any:
    server = {"name": "web1", "flavorRef": "1", "imageRef": IMAGE_ID, "networks": "none", "personality": files}
    return cloud.call("POST", "/servers", {"server": server}, version=version, role="member")


def test_files_are_kept_for_the_host_and_travel_on_a_config_drive(cloud: ApiCloud) -> None:
    uuid = _create(cloud, [FILE]).json()["server"]["id"]
    assert cloud.get(f"/servers/{uuid}")["server"]["config_drive"] == "True"
    with cloud.database.read() as connection:
        (action,) = ledger.list_actions(connection, uuid)
    assert action.parameters["files"] == [FILE]


def test_a_rebuild_brings_files_of_its_own(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    body = {"rebuild": {"imageRef": IMAGE_ID, "personality": [FILE]}}
    assert cloud.call("POST", f"/servers/{uuid}/action", body, version="2.56").status_code == 202
    with cloud.database.read() as connection:
        action = next(each for each in ledger.list_actions(connection, uuid) if each.action == "rebuild")
    assert action.parameters["files"] == [FILE]
    assert cloud.get(f"/servers/{uuid}")["server"]["config_drive"] == "True"


def test_there_are_no_files_from_2_57_on(cloud: ApiCloud) -> None:
    reply = _create(cloud, [FILE], version="2.57")
    assert (reply.status_code, "'personality' was unexpected" in reply.text) == (400, True)


@pytest.mark.parametrize(
    "files, text",
    [
        ([FILE] * 6, "Personality file limit exceeded"),
        ([{**FILE, "path": "/" + "x" * 255}], "Personality file path exceeds maximum 255"),
        (
            [{**FILE, "contents": b64encode(b"x" * 10241).decode()}],
            "Personality file content exceeds maximum 10240",
        ),
    ],
)
def test_files_have_limits(cloud: ApiCloud, files: Any, text: str) -> None:
    reply = _create(cloud, files)
    assert (reply.status_code, reply.json()["forbidden"]["message"]) == (403, text)


@pytest.mark.parametrize("files", [[{"path": "/x"}], [{**FILE, "contents": "a"}], [{**FILE, "more": 1}], "x"])
def test_files_that_make_no_sense_are_refused(cloud: ApiCloud, files: Any) -> None:
    assert _create(cloud, files).status_code == 400
