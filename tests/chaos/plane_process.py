"""One run of a whole plane in a process of its own, which may be told to die at a commit.

    python -m tests.chaos.plane_process STATE_DIR DRIVER boot|recover [before|after N]

``boot`` orders one server and carries everything out; ``recover`` only does what is left. With ``before N`` or
``after N`` the process kills itself with SIGKILL just before or just after its Nth commit. The last line of a run
that lived tells how many commits it made, and how everything ended.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from kilonova.bootstrap import Cloud, build
from kilonova.config import load
from kilonova.domain.images import ImageQuery
from kilonova.domain.model import Request
from kilonova.services.servers import ServerOrder
from kilonova.store import instances, ledger
from kilonova.store.database import Database, Transaction
from kilonova.store.instances import InstanceQuery


class Death:
    """Counts the commits of a database, and kills the process at one of them."""

    def __init__(self, database: Database, side: str, at: int) -> None:
        self.commits = 0
        self._side, self._at = side, at
        self._transaction = database.transaction
        database.transaction = self._counted  # type: ignore[method-assign]

    @contextmanager
    def _counted(self) -> Iterator[Transaction]:
        with self._transaction() as tx:
            yield tx
            self.commits += 1
            self._strike("before")
        self._strike("after")

    def _strike(self, side: str) -> None:
        if side == self._side and self.commits == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


def run(state_dir: Path, driver: str, what: str, death: tuple[str, int]) -> dict[str, Any]:
    """Boot or recover, and tell how it ended."""
    settings = load(
        environment={}, overrides={("kilonova", "state_dir"): str(state_dir), ("kilonova", "driver"): driver}
    )
    cloud = build(settings)
    cloud.ensure_basics(password="a-password")
    counted = Death(cloud.database, *death)
    cloud.plane.start(concurrently=False)
    if what == "boot":
        _order(cloud)
    cloud.plane.settle()
    told = {"commits": counted.commits, **_state(cloud)}
    cloud.plane.stop()
    return told


def _order(cloud: Cloud) -> None:
    people = cloud.identity.records
    project = people.find_project_by_name("demo", "default")
    user = people.find_user_by_name("admin", "default")
    assert project is not None
    assert user is not None
    image = next(iter(cloud.images.list_images(ImageQuery(project_id=project.id))))
    request = Request(
        request_id=f"req-{uuid4()}", user_id=user.id, project_id=project.id, received_at=cloud.plane.now()
    )
    order = ServerOrder(name="web1", flavorid="42", project_id=project.id, user_id=user.id, image_id=image.id)
    cloud.plane.create_server(request, order)


def _state(cloud: Cloud) -> dict[str, Any]:
    with cloud.database.read() as connection:
        servers = instances.list_instances(connection, InstanceQuery(deleted=None))
        faults = ledger.latest_faults(connection, [server.uuid for server in servers])
        actions = {server.uuid: ledger.list_actions(connection, server.uuid) for server in servers}
    return {
        "servers": [
            {
                "uuid": server.uuid,
                "status": server.status,
                "task_state": server.task_state,
                "fault": faults[server.uuid].message if server.uuid in faults else None,
                "open": [action.operation for action in actions[server.uuid] if action.is_open],
                "actions": len(actions[server.uuid]),
            }
            for server in servers
        ]
    }


if __name__ == "__main__":
    where, with_driver, doing, *rest = sys.argv[1:]
    deadly = (rest[0], int(rest[1])) if rest else ("never", 0)
    print(json.dumps(run(Path(where), with_driver, doing, deadly)))  # noqa: T201 - the test reads it
