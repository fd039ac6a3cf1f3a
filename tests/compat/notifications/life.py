"""A cloud in which everything happens of which a real Nova was recorded, and what it then tells."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from kilonova.domain.journal import JournalRow
from kilonova.domain.model import Flavor
from kilonova.drivers.simulated import StagedDriver
from kilonova.drivers.simulated.scenario import Trouble
from kilonova.network.embedded import FlatNetwork
from kilonova.notifications import Format, Message, NotificationOptions, render
from kilonova.notifications.occasions import NOTICES, phases_of
from kilonova.store import journal
from tests.compat.notifications.golden import Heard
from tests.plane.house import House

_FLAVOR: Final = asdict(Flavor(id=7, flavorid="7", name="new", vcpus=2, memory_mb=128, root_gb=1))

KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJNP0bnAHf0JGWmCDKXx0CB8UyuJkzXbYyXOpJkIx8jL cap"
_ACTIONS: Final[Mapping[str, tuple[str, Any]]] = {
    "stop": ("os-stop", None),
    "start": ("os-start", None),
    "pause": ("pause", None),
    "unpause": ("unpause", None),
    "suspend": ("suspend", None),
    "resume": ("resume", None),
    "reboot": ("reboot", {"type": "SOFT"}),
    "reboot_hard": ("reboot", {"type": "HARD"}),
    "rescue": ("rescue", None),
    "unrescue": ("unrescue", None),
    "create_image": ("createImage", {"name": "image of web1"}),
    "lock": ("lock", None),
    "unlock": ("unlock", None),
}


class Life:
    """Does what was recorded, one operation after another, and keeps what was told of each."""

    def __init__(self, house: House) -> None:
        self.house = house
        host = house.cloud.settings.DEFAULT.host
        self.options = NotificationOptions(host=host, image_url="http://ctl/image")
        self.told: dict[str, list[Message]] = {}
        self.rows: list[JournalRow] = []
        self._seen = 0
        self._hear("the beginning")

    @property
    def hosts(self) -> dict[str, str]:
        """What every host is called in comparisons."""
        agents = {agent.host: "HOST" for agent in self.house.cloud.plane.agents}
        return {self.options.host: "CONTROL", **agents}

    def live(self) -> None:
        """All of it."""
        self._nouns()
        server = self._do("create", lambda: self.house.boot("web1", networks="auto", key_name="key", tags=["a"]))
        for name, (action, asked) in _ACTIONS.items():
            self._act(name, server, {action: asked})
        self._act("rebuild", server, {"rebuild": {"imageRef": server["image"]["id"]}})
        self._moves(server)
        self._interfaces(server)
        self._do("tags", lambda: self._call("PUT", f"/servers/{server['id']}/tags", {"tags": ["b"]}))
        self._do("rename", lambda: self._call("PUT", f"/servers/{server['id']}", {"server": {"name": "web2"}}))
        self._do("delete", lambda: self._call("DELETE", f"/servers/{server['id']}"))
        self._troubles()

    def heard(self, name: str) -> list[Heard]:
        """What was told of an operation, in the form in which the golden sequences are."""
        return [heard_of(message) for message in self.told[name]]

    def payloads(self) -> dict[tuple[Format, str], dict[str, Any]]:
        """A payload of every event type that is told at all: of those that happened, and of every other notice."""
        row = next(row for row in reversed(self.rows) if row.operation == "rebuild" and row.phase == "end")
        row = replace(row, facts_json=json.dumps({**row.facts, "parameters": {"flavor": _FLAVOR}}))
        every = [message for name in self.told for message in self.told[name]]
        every += [message for told in self._every_notice() for message in render(_told_as(row, told), self.options)]
        found: dict[tuple[Format, str], dict[str, Any]] = {}
        for message in every:
            found.setdefault((message.format, message.event_type), message.payload)
        return found

    def _every_notice(self) -> list[str]:
        told = [f"{name}.{phase}".rstrip(".") for name in NOTICES for phase in phases_of(name) or ("",)]
        return [*told, "migrate_server", "rebuild_server", "exception"]

    def _moves(self, server: Mapping[str, Any]) -> None:
        self._act("resize", server, {"resize": {"flavorRef": "1"}})
        self._act("confirm_resize", server, {"confirmResize": None})
        self._act("migrate", server, {"migrate": None})
        self._act("revert_resize", server, {"revertResize": None})
        self._act("live_migrate", server, {"os-migrateLive": {"host": None, "block_migration": "auto"}})
        self._act("shelve", server, {"shelve": None})
        self._act("unshelve", server, {"unshelve": None})

    def _interfaces(self, server: Mapping[str, Any]) -> None:
        """Cards that come and go, and addresses."""
        path = f"/servers/{server['id']}/os-interface"
        made = self._do("interface_attach", lambda: self._call("POST", path, {}).json()["interfaceAttachment"])
        self._do("interface_detach", lambda: self._call("DELETE", f"{path}/{made['port_id']}"))
        self._readdress("create_ip", server, {"addFixedIp": {"networkId": FlatNetwork.id}})
        address = self.house.show(server["id"])["addresses"]["private"][0]["addr"]
        self._readdress("delete_ip", server, {"removeFixedIp": {"address": address}})

    def _readdress(self, name: str, server: Mapping[str, Any], action: dict[str, Any]) -> None:
        self._do(name, lambda: self._call("POST", f"/servers/{server['id']}/action", action, version="2.43"))

    def _nouns(self) -> None:
        key = {"keypair": {"name": "key", "public_key": KEY}}
        self._do("keypair_import", lambda: self._call("POST", "/os-keypairs", key))
        self._do(
            "keypair_create", lambda: self._call("POST", "/os-keypairs", {"keypair": {"name": "made"}}, version="2.91")
        )
        self._do("keypair_delete", lambda: self._call("DELETE", "/os-keypairs/made"))
        zoned = {"aggregate": {"name": "agg-cap", "availability_zone": "z"}}
        self._do("aggregate_create", lambda: self._call("POST", "/os-aggregates", zoned))
        items = {"set_metadata": {"metadata": {"ssd": "true"}}}
        self._do("aggregate_update_metadata", lambda: self._call("POST", "/os-aggregates/1/action", items))
        self._do(
            "aggregate_update_prop", lambda: self._call("PUT", "/os-aggregates/1", {"aggregate": {"name": "faster"}})
        )
        host = {"host": self.house.cloud.plane.agents[0].host}
        self._do("aggregate_add_host", lambda: self._call("POST", "/os-aggregates/1/action", {"add_host": host}))
        wanted = {"cache": [{"id": self.house.image_id()}]}
        self._do("aggregate_cache_images", lambda: self._call("POST", "/os-aggregates/1/images", wanted))
        self._do("aggregate_remove_host", lambda: self._call("POST", "/os-aggregates/1/action", {"remove_host": host}))
        self._do("aggregate_delete", lambda: self._call("DELETE", "/os-aggregates/1"))
        small = {"flavor": {"id": "small", "name": "small", "ram": 64, "vcpus": 1, "disk": 1}}
        self._do("flavor_create", lambda: self._call("POST", "/flavors", small))
        self._do("flavor_update", lambda: self._call("PUT", "/flavors/small", {"flavor": {"description": "d"}}))
        self._do("flavor_delete", lambda: self._call("DELETE", "/flavors/small"))
        services = self.house.call("GET", "/os-services?binary=nova-compute").json()["services"]
        off = {"status": "disabled", "disabled_reason": "why"}
        self._do("service_update", lambda: self._call("PUT", f"/os-services/{services[0]['id']}", off))
        self._do(
            "service_enable", lambda: self._call("PUT", f"/os-services/{services[0]['id']}", {"status": "enabled"})
        )
        apart = {"server_group": {"name": "apart", "policy": "anti-affinity", "rules": {"max_server_per_host": 3}}}
        group = self._do("server_group_create", lambda: self._call("POST", "/os-server-groups", apart).json())
        group_id = group["server_group"]["id"]
        hints = {"os:scheduler_hints": {"group": group_id}}
        member = self._do("server_group_add_member", lambda: self._boot_with(hints))
        self._do("member_delete", lambda: self._call("DELETE", f"/servers/{member}"))
        self._do("server_group_delete", lambda: self._call("DELETE", f"/os-server-groups/{group_id}"))

    def _troubles(self) -> None:
        self.house.pass_seconds(1)  # in which hosts report, that would else be taken for down
        failing = {"sim:fail": "spawn"}
        self._do("create_failing", lambda: self.house.boot("bad", metadata=failing))
        huge = {"flavor": {"id": "huge", "name": "huge", "ram": 64, "vcpus": 1, "disk": 9_000_000}}
        self._call("POST", "/flavors", huge)
        self._hear("between")
        lost = self._do("create_without_host", lambda: self.house.boot("huge", flavorRef="huge"))
        self._do("delete_without_host", lambda: self._call("DELETE", f"/servers/{lost['id']}"))
        server = self._do("pausing_badly", lambda: self.house.boot("bad", metadata={"sim:fail": "pause"}))
        self._act("pause_failing", server, {"pause": None})
        for part in ("plug", "unplug"):
            self._interface_failing(part)
        self._do("between", lambda: self._call("DELETE", f"/servers/{server['id']}"))
        self._hypervisor_gone("simulated")
        self._hypervisor_gone("libvirt")
        services = self.house.call("GET", "/os-services?binary=nova-compute").json()["services"]
        self._do("service_delete", lambda: self._call("DELETE", f"/os-services/{services[-1]['id']}"))

    def _hypervisor_gone(self, name: str) -> None:
        """The hypervisor of the last host, of a driver of that name, goes and comes back."""
        driver = self.house.cloud.plane.agents[-1].driver
        assert isinstance(driver, StagedDriver)
        driver.name = name
        driver.befalls(Trouble.HYPERVISOR_DISCONNECTS)
        self._do(f"{name}_gone", lambda: self.house.pass_seconds(1))
        driver.passes(Trouble.HYPERVISOR_DISCONNECTS)
        self._do(f"{name}_back", lambda: self.house.pass_seconds(1))

    def _interface_failing(self, part: str) -> None:
        """A card that its host cannot put in, or take out."""
        server = self.house.boot(f"bad-{part}", networks="auto", metadata={"sim:fail": part})
        path = f"/servers/{server['id']}/os-interface"
        (first,) = self._call("GET", path).json()["interfaceAttachments"]
        self._hear("between")
        if part == "plug":
            self._do("interface_attach_failing", lambda: self._call("POST", path, {}))
        else:
            self._do("interface_detach_failing", lambda: self._call("DELETE", f"{path}/{first['port_id']}"))
        self._call("DELETE", f"/servers/{server['id']}")
        self.house.settle()
        self._hear("between")

    def _boot_with(self, hints: dict[str, Any]) -> str:
        server = {"name": "apart", "flavorRef": "42", "imageRef": self.house.image_id(), "networks": "none"}
        reply = self._call("POST", "/servers", {"server": server, **hints})
        return str(reply.json()["server"]["id"])

    def _act(self, name: str, server: Mapping[str, Any], action: dict[str, Any]) -> None:
        def act() -> None:
            assert self.house.act(server["id"], action).is_success, name

        self._do(name, act)

    def _do(self, name: str, act: Callable[[], Any]) -> Any:
        done = act()
        self.house.settle()
        self._hear(name)
        return done

    def _call(self, method: str, path: str, body: Any = None, *, version: str = "2.96") -> Any:
        reply = self.house.call(method, path, body, version=version)
        assert reply.is_success, (path, reply.text)
        return reply

    def _hear(self, name: str) -> None:
        database = self.house.cloud.database
        journal.sequence(database)
        with database.read() as connection:
            rows = journal.list_entries(connection, after_seq=self._seen, limit=10_000)
        self.told.setdefault(name, []).extend(message for row in rows for message in render(row, self.options))
        self.rows += rows
        self._seen = max([self._seen, *(row.seq or 0 for row in rows)])


def heard_of(message: Message) -> Heard:
    """The message in the golden form."""
    states = None
    if message.event_type.endswith("instance.update"):
        states = _states(message.payload)
    return Heard(message.event_type, message.publisher_id, str(message.priority), states)


def _states(payload: dict[str, Any]) -> tuple[str | None, ...]:
    if "nova_object.data" in payload:
        payload = payload["nova_object.data"]["state_update"]["nova_object.data"]
    return tuple(payload[name] for name in ("old_state", "state", "old_task_state", "new_task_state"))


def _told_as(row: JournalRow, *occasions: str) -> JournalRow:
    """The row, told as something else."""
    return replace(row, facts_json=json.dumps({**row.facts, "notices": occasions}))
