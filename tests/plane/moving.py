"""What the tests of moves look at."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kilonova.domain.changes import Phase
from kilonova.domain.model import InstanceAction
from kilonova.domain.operations import get_operation
from kilonova.images.source import ImageSource
from kilonova.services.door import PhaseReport, Work
from kilonova.services.driver_calls import DriverCalls
from kilonova.services.safe import Safe
from kilonova.store import fleet
from kilonova.store import ledger as ledger_of
from tests.plane.house import House

PROGRESS = {f"{what}_{how}_bytes": 1 for what in ("memory", "disk") for how in ("total", "processed", "remaining")}
"""What a driver may tell of a live migration under way."""


def ledger(house: House, server_id: str) -> tuple[str, list[tuple[str, str | None]]]:
    """The newest action of the server, and its events in the order of time with their results."""
    path = f"/servers/{server_id}/os-instance-actions"
    newest = house.call("GET", path).json()["instanceActions"][0]
    shown = house.call("GET", f"{path}/{newest['request_id']}").json()["instanceAction"]
    return shown["action"], [(event["event"], event["result"]) for event in reversed(shown["events"])]


def state(house: House, server_id: str) -> tuple[str, str | None, int]:
    """Its status, task state and power state."""
    shown = house.show(server_id)
    return shown["status"], shown["OS-EXT-STS:task_state"], shown["OS-EXT-STS:power_state"]


def host_of(house: House, server_id: str) -> str:
    """Where it is."""
    host: str = house.show(server_id)["OS-EXT-SRV-ATTR:host"]
    return host


def claims(house: House) -> list[tuple[str, int]]:
    """Hosts that something is promised of, with the virtual CPUs in use; what is claimed is what is used."""
    found = []
    with house.cloud.database.read() as connection:
        for node in fleet.list_nodes(connection):
            claimed = fleet.claims_of(connection, node.uuid)
            used = (node.vcpus_used, node.memory_mb_used, node.local_gb_used)
            assert (claimed.vcpus, claimed.memory_mb, claimed.local_gb) == used
            if claimed.vcpus:
                found.append((node.host, claimed.vcpus))
    return found


def migrations(house: House, **how: Any) -> list[dict[str, Any]]:
    """Every migration, the newest first."""
    reply = house.call("GET", "/os-migrations", **how)
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["migrations"]
    return found


def told(reply: Any) -> str:
    """What the error body says."""
    (body,) = reply.json().values()
    text: str = body["message"]
    return text


def compare(house: House) -> None:
    """Let every agent compare its guests with the records."""
    for agent in house.cloud.plane.agents:
        agent.compare()


def guests_by_host(house: House) -> dict[str, int]:
    """How many guests there are, on each host that has any."""
    counts = {agent.host: len(agent.driver.list_guests()) for agent in house.cloud.plane.agents}
    return {host: count for host, count in counts.items() if count}


def lose(house: House, host: str, *, is_down: bool = True) -> None:
    """Let the host be down, or up again, as an administrator declares it."""
    services = house.call("GET", f"/os-services?host={host}&binary=nova-compute").json()["services"]
    reply = house.call("PUT", f"/os-services/{services[0]['id']}", {"forced_down": is_down})
    assert reply.status_code == 200, reply.text


def beat(house: House) -> None:
    """Let every agent say that it lives."""
    for agent in house.cloud.plane.agents:
        agent.beat()
    house.cloud.plane.conductor.beats.flush()


def sweep(house: House) -> None:
    """Let the loops that look for what nobody ended look, and carry out what they found."""
    house.cloud.plane.sweep()
    house.settle()


def open_action(house: House, server: str) -> InstanceAction | None:
    """The operation of the server that is under way."""
    with house.cloud.database.read() as connection:
        return ledger_of.find_open_action(connection, server)


class Run:
    """A run of all agents, by hand: it does each step, and is told what to do at one of them."""

    def __init__(self, house: House) -> None:
        self.house = house
        settings, images = house.cloud.settings.DEFAULT, house.cloud.images
        self._calls = {
            agent.host: DriverCalls(agent.driver, ImageSource(images), Safe(), settings=settings, scratch=Path())
            for agent in house.cloud.plane.agents
        }

    def until(self, server: str, step: str, then: Callable[[str, Work], object]) -> None:
        """Carry the operation out up to this step, and do something else there."""
        while (action := open_action(self.house, server)) is not None:
            if action.host is None:
                assert self.house.cloud.plane.conductor.step()
                continue
            (work,) = self.house.cloud.plane.conductor.next_work(action.host, "by hand", limit=1)
            assert work.leg is not None
            self.say(action.host, work, Phase.START)
            if work.leg.step == step:
                then(action.host, work)
                return
            self.say(action.host, work, Phase.END, result=self.do(action.host, work))
        raise AssertionError(f"step {step} never came")

    def do(self, host: str, work: Work) -> Mapping[str, Any]:
        """Have the driver do it."""
        call = self._calls[host].carry_out
        return call(get_operation(work.operation), work, lambda _: None, lambda _: None) or {}

    def say(self, host: str, work: Work, phase: Phase, **more: Any) -> bool:
        """Report of it."""
        report = PhaseReport(action_id=work.action_id, host=host, run_id="by hand", phase=phase, leg=work.leg, **more)
        return self.house.cloud.plane.conductor.report(report)
