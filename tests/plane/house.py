"""A whole plane in the test's own process, reached through its real HTTP surface, with nothing running behind it.

Nothing happens on its own: ``settle`` carries out what was accepted. The clock stands still until a test moves it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
from starlette.testclient import TestClient

from kilonova.bootstrap import Cloud, application, build
from kilonova.config import load
from kilonova.domain.accounts import Grant, Project, User
from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.journal import JournalRow
from kilonova.domain.model import Instant, after
from kilonova.domain.states import PowerState
from kilonova.drivers.protocol import GuestEventKind
from kilonova.drivers.simulated import SimulatedDriver
from kilonova.store.journal import list_entries, sequence

PASSWORD = "a-password-of-the-tests"
_YEAR_SECONDS = 365 * 24 * 3600
BEGINNING = Instant(1_795_000_000_000_000)


class House:
    """The cloud, its clock, and clients of it."""

    def __init__(self, state_dir: Path, **options: Any) -> None:
        self.at = BEGINNING
        groups = {name: options.pop(name) for name in list(options) if isinstance(options[name], dict)}
        named = {"driver": "simulated", "simulate_pace": 0.0, "state_dir": str(state_dir), **options}
        overrides = {("kilonova", name): value for name, value in named.items()}
        overrides[("token", "expiration")] = _YEAR_SECONDS
        overrides |= {(group, name): value for group, values in groups.items() for name, value in values.items()}
        settings = load(environment={}, overrides=overrides)
        self.cloud: Cloud = build(settings, clock=lambda: self.at)
        self.cloud.ensure_basics(password=PASSWORD)
        self.cloud.plane.start(concurrently=False)
        self._http = TestClient(application(self.cloud), base_url="http://cloud.test:8774")
        self._tokens: dict[tuple[str, str], str] = {}

    def settle(self) -> None:
        """Carry out everything that was accepted, and let a moment pass."""
        self.at = after(self.at, 1)
        self.cloud.plane.settle()

    @contextmanager
    def put_aside(self, seconds: int = 3600) -> Iterator[None]:
        """Let servers that are deleted within the context be restorable for a while."""
        servers: Any = vars(self.cloud.plane)["_servers"]  # a cloud has one interval for all of its life
        settings = vars(servers)["_settings"]
        vars(servers)["_settings"] = replace(settings, reclaim_instance_interval=seconds)
        try:
            yield
        finally:
            vars(servers)["_settings"] = settings

    def delete_softly(self, server_id: str) -> None:
        """Delete a server so that it can be restored for a while; it is still to be carried out."""
        with self.put_aside():
            reply = self.call("DELETE", f"/servers/{server_id}")
        assert reply.status_code == 204, reply.text

    @contextmanager
    def failing(self, verb: str) -> Iterator[None]:
        """Let a verb of the only host's driver fail within the context, as on a full disk."""
        driver = self.driver()

        def fail(*_given: Any, **_named: Any) -> None:
            raise GuestFailure(FaultCause.DISK_FULL, "the host's disk is full")

        setattr(driver, verb, fail)
        try:
            yield
        finally:
            delattr(driver, verb)

    def tidy(self) -> None:
        """Let what is done now and then be done once: the janitor, and whoever looks for what is left over."""
        self.at = after(self.at, 1)
        self.cloud.plane.tidy()

    def pass_seconds(self, seconds: int, *, beating: bool = True) -> None:
        """Let time pass second by second: agents beat, if they do, beats are written, and the watcher looks."""
        plane = self.cloud.plane
        for _ in range(seconds):
            self.at = after(self.at, 1)
            if beating:
                for agent in plane.agents:
                    agent.beat()
            plane.conductor.beats.beat_control(self.cloud.settings.DEFAULT.host)
            plane.conductor.beats.flush()
            plane.watcher.step()

    def told(self, kind: str, operation: str | None = None) -> list[JournalRow]:
        """What the journal has of things of one kind, in order; of one operation if wanted."""
        sequence(self.cloud.database)
        with self.cloud.database.read() as connection:
            found = list_entries(connection, after_seq=0, limit=10_000, kind=kind)
        return [entry for entry in found if operation in (None, entry.operation)]

    def token(self, user: str = "admin", project: str = "demo") -> str:
        """A token of the user on the project."""
        if (user, project) not in self._tokens:
            domain = {"id": "default"}
            body = {
                "auth": {
                    "identity": {
                        "methods": ["password"],
                        "password": {"user": {"name": user, "domain": domain, "password": PASSWORD}},
                    },
                    "scope": {"project": {"name": project, "domain": domain}},
                }
            }
            reply = self._http.post("/identity/v3/auth/tokens", json=body)
            assert reply.status_code == 201, reply.text
            self._tokens[user, project] = reply.headers["X-Subject-Token"]
        return self._tokens[user, project]

    def add_person(self, user: str, project: str, role: str) -> None:
        """A user with a role on a project, both made if they are not there."""
        people = self.cloud.identity.records
        home = people.find_project_by_name(project, "default")
        if home is None:
            home = Project(id=f"{len(people.list_projects()):032x}", domain_id="default", name=project, description="")
            people.add_project(home)
        roles = {known.name: known.id for known in people.list_roles()}
        person = User(
            id=f"{len(people.list_users()) + 4096:032x}",
            domain_id="default",
            name=user,
            password_hash=self.cloud.identity.passwords.hash(PASSWORD),
        )
        people.add_user(person, [Grant(user_id=person.id, project_id=home.id, role_id=roles[role])])

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        version: str | None = "2.96",
        user: str = "admin",
        project: str = "demo",
    ) -> httpx2.Response:
        """One request to the compute API (a path that begins with ``/servers``, say) or, with ``//``, elsewhere."""
        url = path[1:] if path.startswith("//") else f"/compute/v2.1{path}"
        sent = {"X-Auth-Token": self.token(user, project)}
        if version:
            sent["OpenStack-API-Version"] = f"compute {version}"
        return self._http.request(method, url, json=body, headers=sent)

    @property
    def transport(self) -> httpx2.BaseTransport:
        """What another client needs to reach this cloud."""
        return self._http._transport  # noqa: SLF001 - there is no public way to it

    def raw(self, method: str, url: str, **how: Any) -> httpx2.Response:
        """One request exactly as given."""
        return self._http.request(method, url, **how)

    def image_id(self) -> str:
        """The tiny image's id."""
        found: str = self.call("GET", "//image/v2/images?name=tiny").json()["images"][0]["id"]
        return found

    def add_image(self, name: str, content: bytes, *, user: str = "admin", project: str = "demo", **facts: Any) -> str:
        """An image of a raw disk with data, public unless it is said otherwise; its id."""
        kind = {"disk_format": "raw", "container_format": "bare", "visibility": "public", **facts}
        reply = self.call("POST", "//image/v2/images", {"name": name, **kind}, user=user, project=project)
        assert reply.status_code == 201, reply.text
        image: str = reply.json()["id"]
        sent = {"X-Auth-Token": self.token(user, project), "Content-Type": "application/octet-stream"}
        assert self.raw("PUT", f"/image/v2/images/{image}/file", content=content, headers=sent).status_code == 204
        return image

    def boot(self, name: str = "web1", **wanted: Any) -> dict[str, Any]:
        """Order a server and carry the order out; the server as it then shows."""
        who = {key: wanted.pop(key) for key in ("user", "project") if key in wanted}
        server = {"name": name, "flavorRef": "42", "imageRef": self.image_id(), "networks": "none", **wanted}
        reply = self.call("POST", "/servers", {"server": server}, **who)
        assert reply.status_code == 202, reply.text
        self.settle()
        return self.show(reply.json()["server"]["id"], **who)

    def show(self, server_id: str, **how: Any) -> dict[str, Any]:
        """The server as it shows."""
        reply = self.call("GET", f"/servers/{server_id}", **how)
        assert reply.status_code == 200, reply.text
        shown: dict[str, Any] = reply.json()["server"]
        return shown

    def act(self, server_id: str, action: dict[str, Any], **how: Any) -> httpx2.Response:
        """Ask for an action, without carrying it out."""
        return self.call("POST", f"/servers/{server_id}/action", action, **how)

    def driver(self, host: str | None = None) -> SimulatedDriver:
        """The driver of a host, of the only one if there is but one."""
        (found,) = [agent.driver for agent in self.cloud.plane.agents if host in (None, agent.host)]
        assert isinstance(found, SimulatedDriver)
        return found

    def guests(self) -> dict[str, PowerState]:
        """All guests on all hosts."""
        return {uuid: power for agent in self.cloud.plane.agents for uuid, power in agent.driver.list_guests().items()}

    def befall(self, server_id: str, kind: GuestEventKind) -> None:
        """Let something happen to a guest that nobody asked for, and be told."""
        self.driver().befall(server_id, kind)
        for agent in self.cloud.plane.agents:
            agent.compare()

    def console(self, server_id: str) -> str:
        """What the guest wrote."""
        written: str = self.act(server_id, {"os-getConsoleOutput": {}}).json()["output"]
        return written

    def close(self) -> None:
        """Stop it."""
        self._http.close()
        self.cloud.close()


@contextmanager
def lived_in(state_dir: Path, **options: Any) -> Iterator[House]:
    """A house for as long as a test needs it."""
    house = House(state_dir, **options)
    try:
        yield house
    finally:
        house.close()
