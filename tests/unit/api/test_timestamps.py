"""The renderings of time that Nova has, each in its places and in no other (contract §0.8)."""

import re
from typing import Any

import pytest

from kilonova.domain.changes import Change, Phase
from kilonova.domain.model import Fault, Request, after
from kilonova.domain.operations import get_operation
from kilonova.domain.states import VmState
from kilonova.store import changes, instances
from tests.unit.api.cloud import DEMO, ApiCloud
from tests.unit.api.test_query_strictness import KEY

ZULU = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_USAGE = f"/os-simple-tenant-usage/{DEMO}?start=2001-01-01T00:00:00"
NAIVE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")


@pytest.fixture
def uuid(cloud: ApiCloud) -> str:
    """A failed server on a host, with a fault and an action, and one of everything that tells a time."""
    cloud.add_host()
    cloud.call("POST", "/os-keypairs", {"keypair": {"name": "mine", "public_key": "ssh-ed25519 " + KEY}})
    cloud.call("POST", "/os-aggregates", {"aggregate": {"name": "a"}})
    made = cloud.boot()
    with cloud.database.transaction() as tx:
        before = instances.get_instance(tx.connection, made)
        fault = Fault(code=500, cause="x", message="m", details="d", host=None, created_at=cloud.plane.at)
        failed = Change(
            before=before,
            after=before._replace(vm_state=VmState.ERROR, terminated_at=cloud.plane.at, updated_at=cloud.plane.at),
            request=Request(request_id="req-x", user_id=None, project_id=None, received_at=cloud.plane.at),
            occurred_at=cloud.plane.at,
            operation=get_operation("stop"),
            phase=Phase.ACCEPTED,
            fault=fault,
        )
        changes.save(tx, failed)
    service = {"host": "cmp-1", "binary": "nova-compute"}
    assert cloud.call("PUT", "/os-services/disable", service).status_code == 200
    cloud.plane.at = after(cloud.plane.at, 3600)
    return made


def _at(body: Any, path: str) -> Any:
    for key in path.split("/"):
        body = body[int(key)] if isinstance(body, list) else body[key]
    return body


@pytest.mark.parametrize(
    "ask, keys, form",
    [
        ("/servers/{}", ["server/created", "server/updated", "server/fault/created"], ZULU),
        ("/servers/{}", ["server/OS-SRV-USG:launched_at", "server/OS-SRV-USG:terminated_at"], NAIVE),
        ("/os-services", ["services/0/updated_at"], NAIVE),
        ("/os-aggregates", ["aggregates/0/created_at"], NAIVE),
        ("/servers/{}/os-instance-actions", ["instanceActions/1/start_time"], NAIVE),
        ("/os-keypairs/mine", ["keypair/created_at"], NAIVE),
        (_USAGE, ["tenant_usage/start", "tenant_usage/stop"], NAIVE),
        (_USAGE, ["tenant_usage/server_usages/0/started_at"], NAIVE),
    ],
)
def test_a_time_is_told_as_nova_tells_it_there(
    cloud: ApiCloud, uuid: str, ask: str, keys: list[str], form: re.Pattern[str]
) -> None:
    body = cloud.get(ask.format(uuid), version="2.104")
    for key in keys:
        assert form.fullmatch(_at(body, key)), (key, _at(body, key))
