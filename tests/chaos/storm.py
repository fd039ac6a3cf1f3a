"""A storm over a cloud: random operations on many servers while agents die and the whole plane is killed.

    python -m tests.chaos.storm --operations 2000 --servers 200 --hosts 10 --seed 1

Everything is asked and checked from the outside, over HTTP, by who knows nothing of the inside. Afterwards nothing may
be stuck, lost, leaked or unexplained; what is, is named, and the exit code is 1.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx

from kilonova.domain.operations import OPERATIONS
from tests.chaos.storm_cloud import StormCloud
from tests.waiting import wait_until

_VERSION = "2.96"
_NEW_PASSWORD = "new-password"
_REST_SECONDS = 240.0
_GONE = "SOFT_DELETED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How hard it blows: ``kill_every`` is how many accepted operations lie between two deaths, roughly."""

    seed: int
    operations: int
    servers: int
    hosts: int
    kill_every: int = 150


@dataclass(slots=True)
class Log:
    """What happened, counted."""

    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    unheard: int = 0
    kills: int = 0
    requests: dict[str, str] = field(default_factory=dict)
    """Ids of accepted requests, with what they asked for."""


class Storm:
    """One run against one cloud."""

    def __init__(self, cloud: StormCloud, weather: Weather) -> None:
        self.cloud = cloud
        self.weather = weather
        self.log = Log()
        self._random = Random(weather.seed)  # noqa: S311 - chances of a test, the same each time
        self._servers: list[str] = []
        self._deleted: list[str] = []
        self._down: list[str] = []
        self._names = 0
        self._image = self._get("//image/v2/images")["images"][0]["id"]

    def blow(self) -> None:
        """Ask for operations until enough were accepted; kill the plane now and then."""
        next_kill = self._next_kill(0)
        while (done := self.log.accepted.total()) < self.weather.operations:
            if done >= next_kill:
                self.cloud.kill()
                self.log.kills += 1
                self.cloud.start()
                next_kill = self._next_kill(done)
            self._anything()

    def calm_down(self) -> None:
        """Start once more without any trouble, and wait until nothing is under way; settle what waits for a word."""
        self.cloud.kill()
        self.log.kills += 1
        self.cloud.start(is_calm=True)
        for service in list(self._down):
            self._declare(service, is_down=False)
        for _ in range(3):
            self._wait_for_rest()
            waiting = [one["id"] for one in self._all_servers() if one["status"] == "VERIFY_RESIZE"]
            for uuid in waiting:
                self._ask("confirmResize", "POST", f"/servers/{uuid}/action", {"confirmResize": None})
            if not waiting:
                break
        # What is put aside, or stays on its host for a while, is not at rest yet; nor is a host with a guest too many.
        wait_until(lambda: not self._passing(), "what lasts a while only to be over", within_seconds=_REST_SECONDS)
        wait_until(lambda: not self._strays(), "hosts to compare their guests", within_seconds=_REST_SECONDS)
        self._wait_for_rest()

    def _next_kill(self, done: int) -> int:
        return done + self._random.randint(self.weather.kill_every // 2, self.weather.kill_every * 3 // 2)

    def _anything(self) -> None:
        wanted = self._random.random()
        if len(self._servers) < self.weather.servers and (not self._servers or wanted < 0.4):
            self._create()
        elif wanted > 0.96:
            self._delete()
        elif wanted > 0.94 and self._deleted:
            self._restore()
        elif wanted > 0.91:
            self._meddle()
        elif wanted > 0.90:
            self._lose_a_host()
        else:
            name, body = self._random.choice(self._actions())
            self._ask(name, "POST", f"/servers/{self._random.choice(self._servers)}/action", body)

    def _delete(self) -> None:
        """Put a server aside, or delete it for good."""
        uuid = self._servers.pop(self._random.randrange(len(self._servers)))
        if self._random.random() < 0.5:
            self._ask("forceDelete", "POST", f"/servers/{uuid}/action", {"forceDelete": None})
        elif self._ask("delete", "DELETE", f"/servers/{uuid}"):
            self._deleted.append(uuid)

    def _restore(self) -> None:
        uuid = self._deleted.pop()
        if self._ask("restore", "POST", f"/servers/{uuid}/action", {"restore": None}):
            self._servers.append(uuid)

    def _meddle(self) -> None:
        """Call a live migration off, or hurry it."""
        for server in self._get("/servers?task_state=migrating&all_tenants=1")["servers"]:
            for migration in self._get(f"/servers/{server['id']}/migrations")["migrations"]:
                path = f"/servers/{server['id']}/migrations/{migration['id']}"
                if self._random.random() < 0.5:
                    self._ask("abort", "DELETE", path)
                else:
                    self._ask("force_complete", "POST", f"{path}/action", {"force_complete": None})

    def _lose_a_host(self) -> None:
        """Declare a host down and evacuate some of its servers; or one that was is up again."""
        if len(self._down) > 1:
            self._declare(self._random.choice(self._down), is_down=False)
            return
        services = self._get("/os-services?binary=nova-compute")["services"]
        service = self._random.choice([each for each in services if each["id"] not in self._down])
        self._declare(service["id"], is_down=True)
        for server in self._get(f"/servers?all_tenants=1&host={service['host']}&limit=4")["servers"]:
            self._ask("evacuate", "POST", f"/servers/{server['id']}/action", {"evacuate": {}})

    def _declare(self, service: str, *, is_down: bool) -> None:
        if self._ask("forced_down", "PUT", f"/os-services/{service}", {"forced_down": is_down}, is_operation=False):
            if is_down:
                self._down.append(service)
            else:
                self._down.remove(service)

    def _create(self) -> None:
        self._names += 1
        flavor = self._random.choice(["42", "1", "1", "2"])
        server: dict[str, Any] = {
            "name": f"web{self._names}",
            "flavorRef": flavor,
            "imageRef": self._image,
            "networks": "none",
        }
        if self._random.random() < 0.1:
            verbs = ["spawn", "power_off", "reboot", "pause", "destroy", "snapshot", "take_in", "live_migrate"]
            verb = self._random.choice(verbs)
            server["metadata"] = {"sim:fail": verb}
        reply = self._ask("create", "POST", "/servers", {"server": server})
        if reply is not None:
            self._servers.append(reply.json()["server"]["id"])

    def _actions(self) -> list[tuple[str, dict[str, Any]]]:
        plain = ("os-stop", "os-start", "pause", "unpause", "suspend", "resume", "rescue", "unrescue", "lock", "unlock")
        moves = ("confirmResize", "revertResize", "migrate", "shelve", "unshelve", "shelveOffload")
        backup = {"name": f"backup{self._names}", "backup_type": "daily", "rotation": 2}
        return [
            *((key, {key: None}) for key in (*plain, *plain[:2], *moves, "migrate", "shelve", "unshelve")),
            ("reboot", {"reboot": {"type": "SOFT"}}),
            ("reboot", {"reboot": {"type": "HARD"}}),
            ("rebuild", {"rebuild": {"imageRef": self._image}}),
            ("resize", {"resize": {"flavorRef": self._random.choice(["1", "2", "42"])}}),
            *[("os-migrateLive", {"os-migrateLive": {"host": None, "block_migration": "auto"}})] * 2,
            ("evacuate", {"evacuate": {}}),
            ("changePassword", {"changePassword": {"adminPass": _NEW_PASSWORD}}),
            ("createImage", {"createImage": {"name": f"image{self._names}"}}),
            ("createBackup", {"createBackup": backup}),
        ]

    def _ask(
        self, what: str, method: str, path: str, body: Any = None, *, is_operation: bool = True
    ) -> httpx.Response | None:
        """Ask once; the reply if it was accepted. One that nobody heard may have been accepted all the same."""
        try:
            reply = self.cloud.call(method, path, body, version=_VERSION)
        except httpx.TransportError:
            self.log.unheard += 1
            return None
        if reply.status_code >= 500 and reply.status_code not in (501, 503):
            raise AssertionError(f"{what}: {reply.status_code} {reply.text}")
        if not reply.is_success:
            self.log.refused[f"{what} {reply.status_code}"] += 1
            return None
        if is_operation:
            self.log.accepted[what] += 1
            self.log.requests[reply.headers["x-openstack-request-id"]] = what
        return reply

    def _get(self, path: str, *, version: str = _VERSION) -> Any:
        reply = self.cloud.call("GET", path, version=version)
        assert reply.status_code == 200, f"{path}: {reply.text}"
        return reply.json()

    def _wait_for_rest(self) -> None:
        def is_at_rest() -> bool:
            return not self._get("//state/v1/operations?limit=1")["operations"]

        wait_until(is_at_rest, "the cloud to come to rest", within_seconds=_REST_SECONDS)

    def _all_servers(self, *, deleted: bool = False) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        query = f"/servers/detail?all_tenants=1&deleted={int(deleted)}&limit=500&sort_key=uuid&sort_dir=asc"
        marker = ""
        while True:
            page = self._get(f"{query}{marker}")["servers"]
            found += page
            if len(page) < 500:
                return found
            marker = f"&marker={page[-1]['id']}"

    def _passing(self) -> list[str]:
        """Servers whose state lasts a while only."""
        every = [*self._all_servers(), *self._all_servers(deleted=True)]
        return [one["id"] for one in every if one["status"] in (_GONE, "SHELVED")]

    def _strays(self) -> list[str]:
        """Guests that no server wants where they are."""
        homes = {one["id"]: one["OS-EXT-SRV-ATTR:host"] for one in self._all_servers()}
        guests = self.cloud.guests()
        found = [f"guest {uuid} is on {host}" for host, uuid, _ in guests if homes.get(uuid) != host]
        return found + [f"a guest {uuid} is set aside on {host}" for host, uuid, is_aside in guests if is_aside]

    # --- what must hold afterwards ---------------------------------------------------------------------------

    def findings(self) -> list[str]:
        """Everything that is not as it must be; nothing, or there is a defect."""
        living, deleted = self._all_servers(), self._all_servers(deleted=True)
        return [
            *self._stuck(),
            *self._states(living),
            *self._claims(living),
            *self._guests(living),
            *self._images(),
            *self._journal(),
            *self._ends([*living, *deleted]),
            *self._answers(),
        ]

    def _stuck(self) -> Iterator[str]:
        for each in self._get("//state/v1/stuck")["stuck"]:
            yield f"stuck: {each}"

    def _states(self, living: list[dict[str, Any]]) -> Iterator[str]:
        for server in living:
            if server["OS-EXT-STS:task_state"] is not None:
                yield f"server {server['id']} is {server['OS-EXT-STS:task_state']} with nothing under way"
            if server["status"] == "ERROR" and "fault" not in server:
                yield f"server {server['id']} is ERROR without a fault"
            if server["status"] == "BUILD":
                yield f"server {server['id']} is BUILD with nothing under way"

    def _claims(self, living: list[dict[str, Any]]) -> Iterator[str]:
        placed: dict[str, Counter[str]] = {}
        for server in living:
            flavor, host = server["flavor"], server["OS-EXT-SRV-ATTR:host"]
            if host:
                taken = placed.setdefault(host, Counter())
                taken.update(vcpus=flavor["vcpus"], ram=flavor["ram"], disk=flavor["disk"] + flavor["ephemeral"])
        for node in self._get("/os-hypervisors/detail", version="2.87")["hypervisors"]:
            taken = placed.get(node["service"]["host"], Counter())
            used = (node["vcpus_used"], node["memory_mb_used"] - 512, node["local_gb_used"])
            expected = (taken["vcpus"], taken["ram"], taken["disk"])
            if used != expected:
                yield f"host {node['service']['host']} has promised {used}, and its servers have {expected}"

    def _guests(self, living: list[dict[str, Any]]) -> Iterator[str]:
        yield from self._strays()
        there = {uuid for _, uuid, _ in self.cloud.guests()}
        for server in living:
            has_host, is_well = server["OS-EXT-SRV-ATTR:host"] is not None, server["status"] != "ERROR"
            if has_host and is_well and server["id"] not in there:
                yield f"server {server['id']} is {server['status']} and has no guest"

    def _images(self) -> Iterator[str]:
        """None waits for data that nobody brings, and a series of backups has no more than were to be kept."""
        series: Counter[str] = Counter()
        after = ""
        while True:
            page = self._get(f"//image/v2/images?limit=100{after}")["images"]
            for image in page:
                if image["status"] != "active":
                    yield f"image {image['name']} is {image['status']}"
                series[image.get("instance_uuid", "")] += image.get("backup_type") == "daily"
            if len(page) < 100:
                break
            after = f"&marker={page[-1]['id']}"
        for uuid, number in series.items():
            if number > 2:
                yield f"server {uuid} has {number} backups where two were to be kept"

    def _journal(self) -> Iterator[str]:
        after, expected = 0, 1
        while True:
            page = self._get(f"//state/v1/events?after={after}&limit=1000")
            for event in page["events"]:
                if event["seq"] != expected:
                    yield f"the journal has {event['seq']} where {expected} must be"
                    expected = event["seq"]
                expected += 1
            if not page["events"]:
                break
            after = page["next"]
        if expected - 1 != page["head"]:
            yield f"the journal ends at {expected - 1}, and its head is {page['head']}"

    def _ends(self, servers: list[dict[str, Any]]) -> Iterator[str]:
        for server in servers:
            path = f"/servers/{server['id']}/os-instance-actions"
            for action in self._get(path)["instanceActions"]:
                shown = self._get(f"{path}/{action['request_id']}")["instanceAction"]
                for event in shown["events"]:
                    if event["finish_time"] is None or event["result"] is None:
                        yield f"{action['action']} of {server['id']} has a step without an end: {event['event']}"

    def _answers(self) -> Iterator[str]:
        """Whatever was accepted has an operation with a result; what the API does at once may have none."""
        for request_id, what in self.log.requests.items():
            reply = self.cloud.call("GET", f"//state/v1/operations/{request_id}")
            if reply.status_code == 404 and what in ("lock", "unlock", "delete", "forceDelete"):
                continue
            if reply.status_code != 200:
                yield f"the accepted {what} {request_id} is nowhere"
                continue
            for operation in reply.json()["operations"]:
                if operation["result"] is None or operation["finished_at"] is None:
                    yield f"the accepted {what} {request_id} has no end"
                if operation["result"] == "Error" and operation["cause"] is None:
                    yield f"the accepted {what} {request_id} failed without a cause"


def deadlines() -> str:
    """Short ones for every operation: what is lost has to be noticed within the run."""
    return ",".join(f"{name}=45" for name in OPERATIONS)


def run(weather: Weather, home: Path) -> tuple[Log, list[str]]:
    """A whole storm; what happened, and what was wrong afterwards."""
    cloud = StormCloud(home, hosts=weather.hosts, seed=weather.seed, deadlines=deadlines())
    cloud.start()
    try:
        storm = Storm(cloud, weather)
        storm.blow()
        storm.calm_down()
        return storm.log, storm.findings()
    finally:
        cloud.close()


def main(arguments: list[str]) -> int:
    """Run one from the command line; tells in figures what happened."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    for name, default in (("seed", 1), ("operations", 2000), ("servers", 200), ("hosts", 10), ("kill-every", 150)):
        parser.add_argument(f"--{name}", type=int, default=default)
    weather = Weather(**vars(parser.parse_args(arguments)))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="storm-") as home:
        log, findings = run(weather, Path(home))
    told = {
        "seconds": round(time.monotonic() - began),
        "accepted": log.accepted.total(),
        "by operation": dict(log.accepted.most_common()),
        "refused": log.refused.total(),
        "by refusal": dict(log.refused.most_common(12)),
        "plane killed": log.kills,
        "unheard": log.unheard,
        "findings": findings,
    }
    print(json.dumps(told, indent=1))  # noqa: T201 - its result
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
