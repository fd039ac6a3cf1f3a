"""A house with things in it, each built when a request first names it: ``/servers/{stopped_server}/action``.

The words in braces are the methods of ``Estate``, which adds to these; they say what they stand for and answer an id.
What a request may spoil is made anew each time; what is only looked at is kept.
"""

import re
from collections.abc import Callable
from itertools import count
from typing import Any, Final

import httpx2

from kilonova.domain.model import Instant
from tests.plane.house import House

ORDINARY: Final = "ordinary"
UNKNOWN_UUID: Final = "3cb9bc59-5699-4588-a4b1-b87f96708bc6"
PUBLIC_KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFsp4l5S3vJpUqdPvQnSjPmZQnwVVpXKZkAaKgdu3JHi golden"

_WORD: Final = re.compile(r"\{([a-z_]+)\}")


class NotBuilt(AssertionError):
    """The situation that a request needs cannot be made: what it takes was refused."""


class Holding:
    """The house, and what stands in it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._kept: dict[str, str] = {}
        self._numbers = count(1)
        self._latest = ""
        house.add_person(ORDINARY, "demo", "member")

    def filled(self, text: str) -> str:
        """The text with each word in braces replaced by what it stands for."""
        return _WORD.sub(lambda found: str(getattr(self, found[1])()), text)

    def ask(self, method: str, path: str, body: Any = None, *, version: str, is_admin: bool = True) -> httpx2.Response:
        """One request; a path that begins with ``//`` is of the whole cloud."""
        user = "admin" if is_admin else ORDINARY
        return self.house.call(method, path, body, version=version, user=user)

    def must(self, method: str, path: str, body: Any = None, *, version: str = "2.90") -> Any:
        """What a request of the preparation answers; NotBuilt if it is refused."""
        reply = self.house.call(method, path, body, version=version)
        if reply.status_code >= 300:
            raise NotBuilt(f"cannot be prepared: {method} {path} answers {reply.status_code} {reply.text[:200]}")
        return reply.json() if reply.content else None

    def settle(self) -> None:
        """Carry out what was accepted. Hardly any time passes: nobody beats for the hosts, and they are to stay up."""
        self.house.at = Instant(self.house.at + 1000)
        self.house.cloud.plane.settle()

    def broken(self) -> list[str]:
        """What went wrong after it was accepted, once all was carried out."""
        self.settle()
        servers = {each["id"] for each in self.must("GET", "/servers")["servers"]} - set(self._kept.values())
        actions = [each for server in servers for each in self._actions(server)]
        return [f"accepted, and then {each['action']} failed: {each['message']}" for each in actions if each["message"]]

    def sweep(self) -> None:
        """Remove the servers and aggregates that a request made, so that there is room for the next; hosts are up.

        What was accepted is carried out first, and hosts remove what was evacuated from them: only then may they be up.
        """
        self.settle()
        for agent in self.house.cloud.plane.agents:
            agent.compare()
        for service in self._computes():
            if service["status"] != "enabled" or service["forced_down"]:
                self._change_service(service["id"], {"status": "enabled", "forced_down": False})
        kept = set(self._kept.values())
        for server in self.must("GET", "/servers")["servers"]:
            if server["id"] not in kept:
                self.house.act(server["id"], {"os-resetState": {"state": "active"}})
                self.house.call("DELETE", f"/servers/{server['id']}")
        self.settle()
        for aggregate in self.must("GET", "/os-aggregates")["aggregates"]:
            self._remove_aggregate(aggregate)

    # --- servers

    def server(self) -> str:
        """An active server with everything that a server can have, only looked at."""
        return self._keep("server", self._boot_rich)

    def other_server(self) -> str:
        """An active server that a request may change."""
        return self._boot("other", {"metadata": {"foo": "Foo Value"}})

    def bare_server(self) -> str:
        """A server without a network."""
        return self._boot("bare", {"networks": "none"})

    def stopped_server(self) -> str:
        """A server that was shut down."""
        return self._after({"os-stop": None}, "SHUTOFF")

    def paused_server(self) -> str:
        """A server that was paused."""
        return self._after({"pause": None}, "PAUSED")

    def suspended_server(self) -> str:
        """A server that was suspended."""
        return self._after({"suspend": None}, "SUSPENDED")

    def rescued_server(self) -> str:
        """A server in rescue."""
        return self._after({"rescue": None}, "RESCUE")

    def locked_server(self) -> str:
        """A locked server."""
        return self._after({"lock": None}, "ACTIVE")

    def resized_server(self) -> str:
        """A server whose resize waits to be confirmed."""
        return self._after({"resize": {"flavorRef": "2"}}, "VERIFY_RESIZE")

    def shelved_server(self) -> str:
        """A shelved server."""
        return self._after({"shelve": None}, "SHELVED_OFFLOADED")

    def softly_deleted_server(self) -> str:
        """A server that was deleted and can still be restored."""
        server = self.other_server()
        self.house.delete_softly(server)
        self.settle()
        self._expect(server, "SOFT_DELETED")
        return server

    def lost_server(self) -> str:
        """A server whose host is given up, until the next request."""
        server = self.other_server()
        host = self._host_of(server)
        service = next(each["id"] for each in self._computes() if each["host"] == host)
        self._change_service(service, {"forced_down": True})
        return server

    def tagged_server(self) -> str:
        """A server with the tags ``tag1`` and ``tag2``."""
        server = self.other_server()
        self.must("PUT", f"/servers/{server}/tags", {"tags": ["tag1", "tag2"]})
        return server

    def acted_server(self) -> str:
        """A server that was created, stopped and started."""
        return self._keep("acted_server", self._acted)

    def stop_request(self) -> str:
        """The request that stopped ``acted_server``."""
        return self._action_request("stop")

    def latest_request(self) -> str:
        """The last request that ``acted_server`` had."""
        return self._action_request("start")

    def create_request(self) -> str:
        """The request that made ``server``."""
        return str(self._actions(self.server())[-1]["request_id"])

    # --- what servers are made of

    def image(self) -> str:
        """The tiny image."""
        return self.house.image_id()

    def dressed_image(self) -> str:
        """An image with the properties that the samples have, which a request may change."""
        wanted = {
            "name": self.fresh("image"),
            "disk_format": "raw",
            "container_format": "bare",
            "architecture": "x86_64",
            "auto_disk_config": "True",
            "kernel_id": "nokernel",
            "ramdisk_id": "nokernel",
        }
        image = str(self.must("POST", "//image/v2/images", wanted)["id"])
        sent = {"X-Auth-Token": self.house.token(), "Content-Type": "application/octet-stream"}
        reply = self.house.raw("PUT", f"/image/v2/images/{image}/file", headers=sent, content=b"image")
        if not reply.is_success:
            raise NotBuilt(f"cannot be prepared: the image is refused with {reply.status_code} {reply.text[:200]}")
        return image

    def project(self) -> str:
        """The project that asks."""
        return str(self.house.show(self.server())["tenant_id"])

    def user(self) -> str:
        """The administrator."""
        return str(self.house.show(self.server())["user_id"])

    def network(self) -> str:
        """The built-in network; until there is one, an id that no network has."""
        reply = self.house.call("GET", "//network/v2.0/networks")
        networks = reply.json().get("networks", []) if reply.status_code == 200 else []
        return str(networks[0]["id"]) if networks else UNKNOWN_UUID

    def keypair(self) -> str:
        """A key pair."""
        return self._keep("keypair", lambda: self._make_keypair("new-key"))

    def spare_keypair(self) -> str:
        """A key pair that may go."""
        return self._make_keypair(self.fresh("spare"))

    def group(self) -> str:
        """A server group with one server in it."""
        return self._keep("group", self._make_group)

    def flavor(self) -> str:
        """A flavor that a request may change, with a spec of its own."""
        return self._make_flavor(is_public=True)

    def private_flavor(self) -> str:
        """A flavor that no project may use yet."""
        return self._make_flavor(is_public=False)

    def granted_flavor(self) -> str:
        """A flavor that one project may use."""
        flavor = self.private_flavor()
        self.must("POST", f"/flavors/{flavor}/action", {"addTenantAccess": {"tenant": self.spare_project()}})
        return flavor

    # --- the fleet

    def host(self) -> str:
        """The name of a compute service."""
        return str(self._computes()[0]["host"])

    def other_host(self) -> str:
        """The name of one where the server that was made last is not."""
        hosts = [each["host"] for each in self._computes()]
        return next(str(host) for host in hosts if host != self._host_of(self._latest))

    def service(self) -> str:
        """The UUID of a compute service."""
        return str(self._computes()[0]["id"])

    def hypervisor(self) -> str:
        """The UUID of a hypervisor with servers on it."""
        return self._hypervisor("id", "2.53")

    def hypervisor_number(self) -> str:
        """Its number, as it was called before it had a UUID."""
        return self._hypervisor("id", "2.1")

    def hypervisor_name(self) -> str:
        """Its name."""
        return self._hypervisor("hypervisor_hostname", "2.1")

    def aggregate(self) -> str:
        """An aggregate without hosts."""
        return self._make_aggregate()

    def peopled_aggregate(self) -> str:
        """An aggregate with ``host`` in it."""
        aggregate = self._make_aggregate()
        self.must("POST", f"/os-aggregates/{aggregate}/action", {"add_host": {"host": self.host()}})
        return aggregate

    def its_hypervisor(self) -> str:
        """The query for the hypervisor that ``server`` is on."""
        return f"hypervisor_hostname_pattern={self.hypervisor_name()}"

    def empty_hypervisor_name(self) -> str:
        """The name of a hypervisor without servers."""
        taken = {each["OS-EXT-SRV-ATTR:hypervisor_hostname"] for each in self.must("GET", "/servers/detail")["servers"]}
        every = self.must("GET", "/os-hypervisors")["hypervisors"]
        return next(str(each["hypervisor_hostname"]) for each in every if each["hypervisor_hostname"] not in taken)

    def spare_project(self) -> str:
        """A project whose quota may be changed."""
        return self._keep("spare_project", self._make_project)

    # --- how they are made

    def fresh(self, name: str) -> str:
        """A name that nothing has yet."""
        return f"{name}-{next(self._numbers)}"

    def _keep(self, word: str, make: Callable[[], str]) -> str:
        if word not in self._kept:
            self._kept[word] = make()
        return self._kept[word]

    def _rich(self) -> dict[str, Any]:
        """What the server of the samples was made from, as far as it is there yet."""
        return {
            "accessIPv4": "1.2.3.4",
            "accessIPv6": "80fe::",
            "OS-DCF:diskConfig": "AUTO",
            "metadata": {"My Server Name": "Apache1"},
            "user_data": "IyEvYmluL2Jhc2gK",
            "config_drive": True,
            "description": "everything",
            "tags": ["one", "two"],
            "availability_zone": "nova",
            "flavorRef": self._if_built(self.specified_flavor) or "1",
            **({"key_name": key} if (key := self._if_built(self.keypair)) else {}),
        }

    def _boot_rich(self) -> str:
        return self._boot("new-server-test", self._rich())

    def _if_built(self, make: Callable[[], str]) -> str | None:
        try:
            return make()
        except NotBuilt:
            return None

    def _boot(self, name: str, wanted: dict[str, Any]) -> str:
        hints = {"os:scheduler_hints": {"group": group}} if (group := self._if_built(self.group)) else {}
        server = {"name": name, "flavorRef": "42", "imageRef": self.image(), "networks": "auto", **wanted}
        made = self.must("POST", "/servers", {"server": server, **hints})["server"]["id"]
        self.settle()
        self._expect(made, "ACTIVE")
        self._latest = str(made)
        return self._latest

    def _after(self, action: dict[str, Any], status: str) -> str:
        server = self.other_server()
        self.must("POST", f"/servers/{server}/action", action)
        self.settle()
        self._expect(server, status)
        return server

    def _expect(self, server: str, status: str) -> None:
        reply = self.house.call("GET", f"/servers/{server}")
        shown = reply.json().get("server", {"status": "GONE"})
        if shown["status"] != status:
            raise NotBuilt(f"cannot be prepared: the server is {shown['status']}, not {status}: {shown.get('fault')}")

    def _acted(self) -> str:
        server = self._after({"os-stop": None}, "SHUTOFF")
        self.must("POST", f"/servers/{server}/action", {"os-start": None})
        self.settle()
        return server

    def _action_request(self, action: str) -> str:
        actions = self._actions(self.acted_server())
        return str(next(each["request_id"] for each in actions if each["action"] == action))

    def _actions(self, server: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.must("GET", f"/servers/{server}/os-instance-actions")["instanceActions"]
        return found

    def _make_keypair(self, name: str) -> str:
        self.must("POST", "/os-keypairs", {"keypair": {"name": name, "type": "ssh", "public_key": PUBLIC_KEY}})
        return name

    def _make_project(self) -> str:
        self.house.add_person("spare", "spare", "member")
        made = self.house.cloud.identity.records.find_project_by_name("spare", "default")
        assert made is not None
        return made.id

    def _make_group(self) -> str:
        wanted = {"server_group": {"name": self.fresh("test"), "policy": "soft-anti-affinity"}}
        return str(self.must("POST", "/os-server-groups", wanted)["server_group"]["id"])

    def _make_flavor(self, *, is_public: bool) -> str:
        name = self.fresh("flavor")
        wanted = {"name": name, "id": name, "ram": 64, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": is_public}
        self.must("POST", "/flavors", {"flavor": wanted})
        return name

    def specified_flavor(self) -> str:
        """A flavor with the extra spec ``hw:numa_nodes``."""
        flavor = self.flavor()
        self.must("POST", f"/flavors/{flavor}/os-extra_specs", {"extra_specs": {"hw:numa_nodes": "1"}}, version="2.85")
        return flavor

    def _make_aggregate(self) -> str:
        wanted = {"name": self.fresh("aggregate")}
        return str(self.must("POST", "/os-aggregates", {"aggregate": wanted})["aggregate"]["id"])

    def _remove_aggregate(self, aggregate: dict[str, Any]) -> None:
        for host in aggregate["hosts"]:
            self.must("POST", f"/os-aggregates/{aggregate['id']}/action", {"remove_host": {"host": host}})
        self.must("DELETE", f"/os-aggregates/{aggregate['id']}")

    def _computes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.must("GET", "/os-services?binary=nova-compute")["services"]
        return found

    def _host_of(self, server: str) -> str:
        return str(self.house.show(server)["OS-EXT-SRV-ATTR:host"])

    def _change_service(self, service: str, changes: dict[str, Any]) -> None:
        self.must("PUT", f"/os-services/{service}", changes)

    def _hypervisor(self, key: str, version: str) -> str:
        name = self.house.show(self.server())["OS-EXT-SRV-ATTR:hypervisor_hostname"]
        found = self.must("GET", "/os-hypervisors", version=version)["hypervisors"]
        return str(next(each[key] for each in found if each["hypervisor_hostname"] == name))
