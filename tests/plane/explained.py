"""Failures that are scripted on simulated hosts: what is injected, what Nova's API says, and what the console must.

A row's script makes the failure and gives what is to be explained: the id of a server, a request or a host's name.
``own_house`` rows change hosts, and get a cloud of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kilonova.domain.model import after
from kilonova.drivers.protocol import GuestEventKind
from kilonova.drivers.simulated import StagedDriver
from kilonova.drivers.simulated.scenario import Trouble
from kilonova.services.janitor import Janitor
from tests.plane.house import House
from tests.plane.moving import host_of, lose

Script = Callable[[House], str]
LIVE = {"os-migrateLive": {"host": None, "block_migration": "auto"}}
HOSTS = 3
DISABLED_BECAUSE = "new memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One row. ``nova`` is a part of what Nova's API says of it, ``explains`` a part of the console's sentence."""

    name: str
    script: Script
    nova: str
    rule: str
    explains: str
    own_house: bool = False
    kind: str = "server"


def spawn(fail: str) -> Script:
    """A build that fails with this cause on every host."""
    return lambda house: str(house.boot("web1", metadata={"sim:fail": f"spawn:{fail}"})["id"])


def asked(action: dict[str, Any], fail: str, *, fate: bool = False) -> Script:
    """An operation that fails with a cause, on a server that was well."""

    def script(house: House) -> str:
        server = house.boot("web1", metadata={"sim:fail": fail})["id"]
        reply = house.act(server, action)
        assert reply.status_code in (200, 202), reply.text
        house.settle()
        if fate:
            house.settle()
        return str(server)

    return script


def befallen(kind: GuestEventKind) -> Script:
    """Something that happens to a guest on its own."""

    def script(house: House) -> str:
        server = house.boot("web1")["id"]
        house.driver(host_of(house, server)).befall(server, kind)
        for agent in house.cloud.plane.agents:
            agent.compare()
        return str(server)

    return script


def flavored(**wanted: Any) -> Script:
    """A flavor that no host can take."""

    def script(house: House) -> str:
        id = "-".join(f"{key}{value}" for key, value in wanted.items())
        house.call("POST", "/flavors", {"flavor": {"name": id, "id": id, "vcpus": 1, "ram": 64, "disk": 1, **wanted}})
        return str(house.boot("web1", flavorRef=id)["id"])

    return script


def disabled_everywhere(house: House) -> str:
    """No host takes new servers."""
    for service in house.call("GET", "/os-services?binary=nova-compute").json()["services"]:
        changed = {"status": "disabled", "disabled_reason": DISABLED_BECAUSE}
        assert house.call("PUT", f"/os-services/{service['id']}", changed).status_code == 200
    return str(house.boot("web1")["id"])


def down_everywhere(house: House) -> str:
    """Every host is down."""
    for host in _hosts(house):
        lose(house, host)
    return str(house.boot("web1")["id"])


def group_of_one_too_many(house: House) -> str:
    """One server more than hosts in a group that keeps them apart."""
    group = {"server_group": {"name": "apart", "policy": "anti-affinity"}}
    group_id = house.call("POST", "/os-server-groups", group).json()["server_group"]["id"]
    return [_boot_in(house, f"web{number}", group_id) for number in range(HOSTS + 1)][-1]


def _boot_in(house: House, name: str, group_id: str) -> str:
    server = {"name": name, "flavorRef": "42", "imageRef": house.image_id(), "networks": "none"}
    reply = house.call("POST", "/servers", {"server": server, "os:scheduler_hints": {"group": group_id}})
    house.settle()
    return str(reply.json()["server"]["id"])


def trait_nowhere(house: House) -> str:
    """A flavor for hosts of an aggregate that there is none of."""
    house.call("POST", "/flavors", {"flavor": {"name": "gold", "id": "gold", "vcpus": 1, "ram": 64, "disk": 1}})
    house.call(
        "POST", "/flavors/gold/os-extra_specs", {"extra_specs": {"aggregate_instance_extra_specs:class": "gold"}}
    )
    return str(house.boot("web1", flavorRef="gold")["id"])


def hypervisor_gone_everywhere(house: House) -> str:
    """Every hypervisor is disconnected when a server is to be built."""
    for host in _hosts(house):
        _befall(house, host, Trouble.HYPERVISOR_DISCONNECTS)
    house.pass_seconds(1)
    return str(house.boot("web1")["id"])


def hypervisor_gone_below(house: House) -> str:
    """The hypervisor of a running server is disconnected."""
    server = str(house.boot("web1")["id"])
    _befall(house, host_of(house, server), Trouble.HYPERVISOR_DISCONNECTS)
    house.pass_seconds(1)
    return server


def guest_removed(house: House) -> str:
    """Somebody removes the guest, and then it is rebooted."""
    server = str(house.boot("web1")["id"])
    driver: Any = house.driver(host_of(house, server))
    driver.destroy(server)
    house.act(server, {"reboot": {"type": "HARD"}})
    house.settle()
    return server


def host_lost(house: House) -> str:
    """The host of a server falls silent."""
    server = str(house.boot("web1")["id"])
    house.pass_seconds(90, beating=False)
    return server


def waiting_for_a_lost_host(house: House) -> str:
    """An operation that is asked for while the host is silent."""
    server = host_lost(house)
    assert house.act(server, {"pause": None}).status_code == 202
    return server


def past_its_deadline(house: House) -> str:
    """An operation that nobody ends."""
    server = str(house.boot("web1")["id"])
    house.act(server, {"pause": None})
    house.at = after(house.at, 3600)
    for agent in house.cloud.plane.agents:
        agent.beat()
    house.cloud.plane.conductor.beats.flush()
    _janitor(house).step()
    return server


def host_down_under_an_operation(house: House) -> str:
    """The host dies while it works on an operation, and is back when the operation was closed."""
    server = str(house.boot("web1")["id"])
    house.act(server, {"pause": None})
    plane = house.cloud.plane
    assert plane.conductor.next_work(host_of(house, server), "a lost run", limit=1)
    house.at = after(house.at, 300)
    _janitor(house).step()
    house.pass_seconds(1)
    return server


def resize_with_no_room(house: House) -> str:
    """A resize to a flavor that no host can take."""
    server = str(house.boot("web1")["id"])
    house.call("POST", "/flavors", {"flavor": {"name": "vast", "id": "vast", "vcpus": 1, "ram": 64, "disk": 900_000}})
    house.act(server, {"resize": {"flavorRef": "vast"}})
    house.settle()
    return server


def set_to_error(house: House) -> str:
    """An administrator sets a server's state."""
    server = str(house.boot("web1")["id"])
    house.act(server, {"os-resetState": {"state": "error"}})
    return server


def power_lost(house: House) -> str:
    """The power of a host fails, and comes back."""
    server = str(house.boot("web1")["id"])
    host = host_of(house, server)
    _befall(house, host, Trouble.POWER_LOST)
    _befall(house, host, Trouble.POWER_LOST, is_over=True)
    for agent in house.cloud.plane.agents:
        agent.compare()
    return server


def disk_full_below(house: House) -> str:
    """The host's disk is full when an image is to be made."""
    server = str(house.boot("web1")["id"])
    _befall(house, host_of(house, server), Trouble.DISK_FULL)
    house.act(server, {"rescue": {}})
    house.settle()
    return server


def a_host(script: Script) -> Script:
    """The same, seen from the host of the server."""

    def of_host(house: House) -> str:
        return host_of(house, script(house))

    return of_host


def a_request(script: Script) -> Script:
    """The same, seen from the server's newest request."""

    def of_request(house: House) -> str:
        path = f"/servers/{script(house)}/os-instance-actions"
        return str(house.call("GET", path).json()["instanceActions"][0]["request_id"])

    return of_request


def disabled(house: House) -> str:
    """One host takes no new servers."""
    (service, *_) = house.call("GET", "/os-services?binary=nova-compute").json()["services"]
    house.call("PUT", f"/os-services/{service['id']}", {"status": "disabled", "disabled_reason": DISABLED_BECAUSE})
    return str(service["host"])


def marked_down(house: House) -> str:
    """An administrator says that a host is down."""
    host = _hosts(house)[0]
    lose(house, host)
    return host


def failing_host(house: House) -> str:
    """A host on which builds fail."""
    (fault, *_) = _faults_after(house, spawn("disk_full"))
    return str(fault["host"])


def host_of_a_bad_image(house: House) -> str:
    """A host where a build failed for what is no fault of the host."""
    (fault, *_) = _faults_after(house, spawn("image_corrupt"))
    return str(fault["host"])


def _faults_after(house: House, script: Script) -> list[dict[str, Any]]:
    server = script(house)
    found: list[dict[str, Any]] = house.call("GET", f"//state/v1/faults?server={server}").json()["faults"]
    return found


def _janitor(house: House) -> Janitor:
    plane = house.cloud.plane
    return Janitor(plane.database, plane.now, plane.conductor, settings=house.cloud.settings.DEFAULT)


def _hosts(house: House) -> list[str]:
    return [agent.host for agent in house.cloud.plane.agents]


def _befall(house: House, host: str, trouble: Trouble, *, is_over: bool = False) -> None:
    driver = house.driver(host)
    assert isinstance(driver, StagedDriver)
    (driver.passes if is_over else driver.befalls)(trouble)


_NO_HOST = "No valid host was found. 3 candidates: 3 "
_ABORTED = "Build of instance"
_TRIED = "Exceeded maximum number of retries."
_DOWN = "down"
_PAUSE = {"pause": None}
_IMAGE = {"createImage": {"name": "kept"}}


def _rows(*rows: tuple[str, Script, str, str, str], own: bool = False, kind: str = "server") -> tuple[Failure, ...]:
    names = ("name", "script", "nova", "rule", "explains")
    return tuple(Failure(own_house=own, kind=kind, **dict(zip(names, row, strict=True))) for row in rows)  # type: ignore[arg-type]


FAILURES: tuple[Failure, ...] = (
    *_rows(
        ("no host has so many vCPUs", flavored(vcpus=300), _NO_HOST, "no_valid_host", "3 short of vcpus"),
        ("no host has so much memory", flavored(ram=900_000), _NO_HOST, "no_valid_host", "3 short of memory"),
        ("no host has so much disk", flavored(disk=900_000), _NO_HOST, "no_valid_host", "3 short of disk"),
        ("a group keeps its servers apart", group_of_one_too_many, _NO_HOST, "no_valid_host", "anti-affinity group"),
        ("the flavor wants another aggregate", trait_nowhere, _NO_HOST, "no_valid_host", "wanted class"),
        ("the disk of every host is full", spawn("disk_full"), _TRIED, "disk_full", "The disk of"),
        ("the memory of every host is short", spawn("memory_short"), _TRIED, "memory_short", "enough free memory"),
        ("hypervisors go away", spawn("hypervisor_gone"), _TRIED, "hypervisor_gone", "did not answer"),
        ("the image is damaged", spawn("image_corrupt"), _ABORTED, "image_corrupt", "is damaged"),
        ("the image refers to other files", spawn("image_refused"), _ABORTED, "image_refused", "files outside itself"),
        ("the image is gone", spawn("image_unavailable"), _TRIED, "image_unavailable", "could not be read"),
        ("the image is too large", spawn("image_too_large"), _ABORTED, "image_too_large", "larger than the disk"),
        ("the image's kernel is none", spawn("kernel_unfit"), _ABORTED, "kernel_unfit", "names a kernel (kernel_id)"),
        ("the image is not verified", spawn("image_unverified"), _ABORTED, "image_unverified", "could not be verified"),
        ("the hypervisor refuses", spawn("driver_error"), _TRIED, "driver_error", "refused the create"),
        ("the guest crashes at its start", spawn("guest_crashed"), _TRIED, "guest_crashed", "crashed"),
        ("the guest crashes later", befallen(GuestEventKind.CRASHED), "ACTIVE", "guest_crashed_alone", "crashed on"),
        ("the guest switches itself off", befallen(GuestEventKind.STOPPED), "ACTIVE", "power_lost", "nobody asked"),
        ("the guest's disk has an error", befallen(GuestEventKind.IO_ERROR), "ACTIVE", "guest_paused", "stands still"),
        (
            "a reboot is refused",
            asked({"reboot": {"type": "HARD"}}, "reboot:driver_error"),
            "reboot: Error",
            "driver_error",
            "refused the reboot",
        ),
        (
            "the guest ignores a pause",
            asked(_PAUSE, "pause:guest_unresponsive"),
            "pause: Error",
            "guest_unresponsive",
            "does not react",
        ),
        ("no room for an image", asked(_IMAGE, "snapshot:disk_full"), "createImage: Error", "disk_full", "no room"),
        (
            "the image service is full",
            asked(_IMAGE, "snapshot:image_not_kept"),
            "createImage: Error",
            "image_not_kept",
            "could not be kept",
        ),
        (
            "a live migration stalls",
            asked(LIVE, "live_migrate:guest_unresponsive"),
            "live-migration: Error",
            "guest_unresponsive",
            "does not react",
        ),
        (
            "the destination is short of memory",
            asked(LIVE, "prepare_live:memory_short"),
            "live-migration: Error",
            "memory_short",
            "had not enough free memory",
        ),
        (
            "the destination's disk is full",
            asked({"migrate": None}, "take_in:disk_full"),
            "the host's disk is full",
            "disk_full",
            "The disk of vm-",
        ),
        (
            "the driver cannot suspend",
            asked({"suspend": None}, "suspend:not_supported"),
            "suspend: Error",
            "not_supported",
            "cannot do",
        ),
        ("somebody removes the guest", guest_removed, "not on its host", "guest_missing", "behind the cloud's back"),
        ("a resize finds no room", resize_with_no_room, "resize: Error", "no_valid_host", "2 short of disk"),
        ("somebody sets the state", set_to_error, "ERROR", "reset", "set so by hand"),
    ),
    *_rows(
        ("every host is disabled", disabled_everywhere, _NO_HOST, "no_valid_host", "3 disabled"),
        ("every host is down", down_everywhere, _NO_HOST, "no_valid_host", "3 down"),
        ("no hypervisor answers", hypervisor_gone_everywhere, _NO_HOST, "no_valid_host", "3 hypervisor not answering"),
        ("the power of a host fails", power_lost, "ACTIVE", "power_lost", "lost its power"),
        ("a host's disk fills up", disk_full_below, "cannot be rescued", "disk_full", "The disk of vm-"),
        ("a host falls silent", host_lost, "ACTIVE", "host_down", "is down; its agent was last heard of"),
        ("an operation meets a silent host", waiting_for_a_lost_host, "pausing", "waits_for_host", "waits for vm-"),
        ("an operation never ends", past_its_deadline, "pause: Error", "interrupted", "did not end in time"),
        ("a host dies at its work", host_down_under_an_operation, "pause: Error", "host_down", "while it worked"),
        ("a hypervisor falls silent", hypervisor_gone_below, "ACTIVE", "hypervisor_silent", "nothing can be done"),
        own=True,
    ),
    *_rows(
        ("a silent host", a_host(host_lost), "down", "down", "Servers on it: 1"),
        ("a host without hypervisor", a_host(hypervisor_gone_below), "up", "hypervisor_silent", "does not answer"),
        ("a disabled host", disabled, "disabled", "disabled", DISABLED_BECAUSE),
        ("a host that is marked down", marked_down, "down", "forced_down", "by an administrator"),
        ("a host where builds fail", failing_host, "up", "failing", "The host's disk is full"),
        ("a host where an image failed", host_of_a_bad_image, "up", "well", "Nothing is wrong"),
        own=True,
        kind="host",
    ),
    *_rows(
        ("a request that was never ended", a_request(past_its_deadline), "Error", "failed: interrupted", "cut off"),
        own=True,
        kind="request",
    ),
    *_rows(
        ("a request to build", a_request(spawn("disk_full")), "Error", "failed: disk_full", "The disk of"),
        kind="request",
    ),
)
