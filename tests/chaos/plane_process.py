"""One run of a whole plane in a process of its own, which may be told to die at a commit.

A scenario brings a cloud to where it begins, then does one thing and carries everything out; ``recover`` only does
what is left. With ``before`` or ``after`` and N the process kills itself with SIGKILL just before or just after the Nth
commit of that one thing. A run that lived tells how everything ended.
"""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection as Line
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from kilonova.bootstrap import Cloud, build
from kilonova.config import load
from kilonova.domain.images import ImageQuery
from kilonova.domain.model import Instance, Request
from kilonova.domain.operations import get_operation
from kilonova.domain.ports import addresses_of
from kilonova.drivers.qemu import QemuDriver
from kilonova.drivers.simulated import SimulatedDriver
from kilonova.services.nics import port_id_of
from kilonova.services.orders import ServerOrder
from kilonova.store import fleet, instances, journal, ledger, ports
from kilonova.store.database import Connection, Database, Transaction
from kilonova.store.instances import InstanceQuery
from tests.waiting import Patience

NEVER: Final = ("never", 0)
PORT: Final = "11111111-2222-4333-8444-555555555555"
_PATIENCE: Final = Patience(240, afterwards=60)
_PROCESSES: Final = multiprocessing.get_context("forkserver")
# Every run is a fork of one process that has imported everything: the imports take far longer than a run.
_PROCESSES.set_forkserver_preload([__name__])


def live(state_dir: Path, driver: str, scenario: str, death: tuple[str, int] = NEVER) -> dict[str, Any] | None:
    """Run one plane in a process of its own; what it told at its end, or None if it was killed."""
    hearing, telling = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=_run_and_tell, args=(telling, state_dir, driver, scenario, death))
    process.start()
    telling.close()
    try:
        if not hearing.poll(_PATIENCE.seconds):
            _PATIENCE.lose()
            process.kill()  # else it would be waited for at the end of the tests, and for ever
            process.join()
            raise AssertionError(f"{scenario} neither ended nor died")
        told: dict[str, Any] | None = json.loads(hearing.recv())
    except EOFError:
        told = None
    finally:
        hearing.close()
    process.join(_PATIENCE.seconds)
    exit_code = process.exitcode
    process.close()
    assert exit_code == (0 if told is not None else -signal.SIGKILL), f"{scenario} ended with {exit_code}"
    return told


def _run_and_tell(telling: Line, state_dir: Path, driver: str, scenario: str, death: tuple[str, int]) -> None:
    telling.send(json.dumps(run(state_dir, driver, scenario, death)))
    telling.close()


class Death:
    """Counts the commits of a database from now on, and kills the process at one of them."""

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


def run(state_dir: Path, driver: str, scenario: str, death: tuple[str, int]) -> dict[str, Any]:
    """Live through a scenario, and tell how it ended."""
    wanted = {"state_dir": str(state_dir), "driver": driver, "simulate_hosts": 2, "simulate_pace": 0.0}
    overrides: dict[tuple[str, str], Any] = {("kilonova", name): value for name, value in wanted.items()}
    if (state_dir / "puts-aside").exists() or scenario in ("soft delete", "restore"):
        (state_dir / "puts-aside").parent.mkdir(parents=True, exist_ok=True)
        (state_dir / "puts-aside").touch()  # whoever recovers has the same settings
        overrides["DEFAULT", "reclaim_instance_interval"] = 3600
    settings = load(environment={}, overrides=overrides)
    cloud = build(settings)
    cloud.ensure_basics(password="a-password")
    cloud.plane.start(concurrently=False)
    prepare, act = _SCENARIOS[scenario]
    prepare(cloud)
    cloud.plane.settle()
    counted = Death(cloud.database, *death)
    act(cloud)
    cloud.plane.settle()
    cloud.plane.tidy()
    cloud.plane.settle()
    every = cloud.images.list_images(ImageQuery(project_id=None, every_project=True))
    made = [image.status.value for image in every if image.name != "tiny"]
    with cloud.database.read() as connection:
        told = {"commits": counted.commits, "images": made, "cards": _cards(cloud), **_state(connection)}
    cloud.close()
    return told


def _request(cloud: Cloud) -> Request:
    people = cloud.identity.records
    user, project = (
        people.find_user_by_name("admin", "default"),
        people.find_project_by_name("demo", "default"),
    )
    assert user is not None
    assert project is not None
    return Request(request_id=f"req-{uuid4()}", user_id=user.id, project_id=project.id, received_at=cloud.plane.now())


def _boot(cloud: Cloud, **metadata: str) -> None:
    request = _request(cloud)
    image = next(iter(cloud.images.list_images(ImageQuery(project_id=request.project_id))))
    order = ServerOrder(
        name="web1",
        flavorid="42",
        project_id=str(request.project_id),
        user_id=str(request.user_id),
        image_id=image.id,
        metadata=metadata,
    )
    cloud.plane.create_server(request, order)


def _the_server(cloud: Cloud) -> Instance:
    with cloud.database.read() as connection:
        (server,) = instances.list_instances(connection, InstanceQuery(soft_deleted=True))
    return server


def _operate(name: str, **asked: Any) -> Callable[[Cloud], None]:
    def operate(cloud: Cloud) -> None:
        server = _the_server(cloud)
        cloud.plane.act(_request(cloud), server, get_operation(name), asked, may_override_lock=True)

    return operate


def _moved(cloud: Cloud) -> None:
    """A server that waits for its migration to be confirmed."""
    _boot(cloud)
    cloud.plane.settle()
    _operate("migrate")(cloud)


def _lost(cloud: Cloud) -> None:
    """A server whose host is down, as an administrator says."""
    _boot(cloud)
    cloud.plane.settle()
    with cloud.database.transaction() as tx:
        service = fleet.find_service(tx.connection, "nova-compute", _the_server(cloud).host or "")
        assert service is not None
        fleet.change_service(tx, service.uuid, request=_request(cloud), forced_down=True)


def _rebuild(cloud: Cloud) -> None:
    request, server = _request(cloud), _the_server(cloud)
    asked = {"image_id": server.image_ref, "project_id": request.project_id, "changes": {"display_name": "new"}}
    cloud.plane.act(request, server, get_operation("rebuild"), asked, may_override_lock=True)


def _imaging(name: str) -> Callable[[Cloud], None]:
    """Ask for an operation that makes an image."""

    def operate(cloud: Cloud) -> None:
        request = _request(cloud)
        wanted = {"image_id": str(uuid4()), "name": "kept", "metadata": {}}
        asked = {**wanted, "project_id": request.project_id, "user_id": request.user_id}
        cloud.plane.act(request, _the_server(cloud), get_operation(name), asked, may_override_lock=True)

    return operate


def _unplug(cloud: Cloud) -> None:
    """Take the only card of the server."""
    _operate("detach_interface", port_id=port_id_of(_the_server(cloud), 0))(cloud)


def _boot_and(further: Callable[[Cloud], None]) -> Callable[[Cloud], None]:
    def prepare(cloud: Cloud) -> None:
        _boot(cloud)
        cloud.plane.settle()
        further(cloud)

    return prepare


def _nothing(_cloud: Cloud) -> None:
    """Only what is left from an earlier life is done."""


_SCENARIOS: Mapping[str, tuple[Callable[[Cloud], None], Callable[[Cloud], None]]] = {
    "boot": (_nothing, _boot),
    "failing boot": (_nothing, lambda cloud: _boot(cloud, **{"sim:fail": "spawn"})),
    "delete": (
        _boot,
        lambda cloud: cloud.plane.delete_server(_request(cloud), _the_server(cloud), may_override_lock=True),
    ),
    "hard reboot": (_boot, _operate("reboot_hard")),
    "stop": (_boot, _operate("stop")),
    "suspend": (_boot, _operate("suspend")),
    "rebuild": (_boot, _rebuild),
    "resize": (_boot, _operate("resize", flavorid="1", project_id=None, sees_private_flavors=True)),
    "confirm": (_moved, _operate("confirm_resize")),
    "revert": (_moved, _operate("revert_resize")),
    "live migration": (_boot, _operate("live_migrate", host=None, is_forced=False, looks_first=False)),
    "evacuation": (_lost, _operate("evacuate", host=None, is_forced=False, stops=False)),
    "create image": (_boot, _imaging("create_image")),
    "shelve": (_boot, _imaging("shelve")),
    "unshelve": (_boot_and(_imaging("shelve")), _operate("unshelve")),
    "attach interface": (_boot, _operate("attach_interface", port_id=PORT, is_given=False, fixed_ip=None, tag=None)),
    "detach interface": (_boot, _unplug),
    "soft delete": (
        _boot,
        lambda cloud: cloud.plane.delete_server(_request(cloud), _the_server(cloud), may_override_lock=True),
    ),
    "restore": (
        _boot_and(lambda cloud: cloud.plane.delete_server(_request(cloud), _the_server(cloud), may_override_lock=True)),
        _operate("restore"),
    ),
    "recover": (_nothing, _nothing),
}
"""What comes before the deaths, and what is cut off by them."""


def _state(connection: Connection) -> dict[str, Any]:
    servers = instances.list_instances(connection, InstanceQuery(deleted=None))
    return {
        "servers": [_server(connection, server) for server in servers],
        "claims": [_claims(connection, node.uuid) for node in fleet.list_nodes(connection)],
        "numbers": [entry.seq for entry in journal.list_entries(connection, after_seq=0, limit=10_000)],
        "unnumbered": journal.pending(connection),
        "taken": sorted(ports.taken_addresses(connection)),
    }


def _cards(cloud: Cloud) -> dict[str, list[str]]:
    """The MAC addresses that each guest has, as its driver knows; those of guests that are off included."""
    found: dict[str, list[str]] = {}
    for agent in cloud.plane.agents:
        driver = agent.driver
        if isinstance(driver, SimulatedDriver):
            found |= {uuid: guest.macs for uuid, guest in driver._guests.items()}  # noqa: SLF001
        elif isinstance(driver, QemuDriver):
            made = {uuid: guest._definition for uuid, guest in driver._guests.items()}  # noqa: SLF001
            found |= {uuid: [nic.mac for _, nic in one.cards] for uuid, one in made.items() if one is not None}
    return found


def _server(connection: Connection, server: Instance) -> dict[str, Any]:
    actions = ledger.list_actions(connection, server.uuid)
    events = ledger.list_events(connection, [action.id for action in actions])
    fault = ledger.latest_faults(connection, [server.uuid]).get(server.uuid)
    return {
        "uuid": server.uuid,
        "status": server.status,
        "task_state": server.task_state,
        "host": server.host,
        "fault": fault and fault.message,
        "macs": [nic["mac"] for nic in server.nics if "mac" in nic],
        "addresses": [address for nic in server.nics for address in addresses_of(nic)],
        "actions": [action.action for action in actions],
        "open": [action.action for action in actions if action.is_open],
        "open_events": [event.event for each in events.values() for event in each if event.finished_at is None],
    }


def _claims(connection: Connection, node_uuid: str) -> dict[str, Any]:
    node = fleet.get_node(connection, node_uuid)
    claimed = fleet.claims_of(connection, node_uuid)
    return {
        "instances": claimed.instances,
        "claimed": [claimed.vcpus, claimed.memory_mb, claimed.local_gb],
        "used": [node.vcpus_used, node.memory_mb_used, node.local_gb_used],
    }
