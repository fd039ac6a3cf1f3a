"""What a server looks like to clients, at every microversion (contract §6.2, §6.3, §8.3)."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha224
from typing import Any, Final

import msgspec

from kilonova.api.call import Call
from kilonova.api.plane import Plane
from kilonova.api.resources.zones import Zones, read_zones
from kilonova.api.shape import ABSENT, Field, JsonText, Shape, field, raw, starting
from kilonova.domain.model import Fault, Instance, Instant, Service
from kilonova.domain.states import VmState
from kilonova.store import fleet, ledger, server_groups
from kilonova.store.database import Connection
from kilonova.wire.times import naive, zulu

_ATTRIBUTES: Final = "os_compute_api:os-extended-server-attributes"
_EXTRA_SPECS: Final = "os_compute_api:servers:show:flavor-extra-specs"
_HOST_STATUS: Final = "os_compute_api:servers:show:host_status"
_HOST_UNKNOWN: Final = "os_compute_api:servers:show:host_status:unknown-only"
_COMPUTE: Final = "nova-compute"
_FEW_HOSTS: Final = 3

_PROGRESSING: Final = frozenset({"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"})
_FAULTY: Final = frozenset({"ERROR", "DELETED"})
_FAULTY_STATES: Final = frozenset({VmState.ERROR, VmState.DELETED})


@dataclass(slots=True, kw_only=True)
class ServerView:
    """What of the request and of the plane servers are rendered with; worked out once for all of them.

    ``host_states`` are the ``host_status`` of each compute host; ``sees_*`` what the caller's policy lets through.
    """

    call: Call
    now: Instant
    zones: Zones
    faults: Mapping[str, Fault]
    host_states: Mapping[str, str]
    is_admin: bool
    sees_specs: bool
    sees_host_status: bool


@dataclass(slots=True, kw_only=True)
class RebuiltView(ServerView):
    """With the password, which is told once; None where passwords are not told."""

    admin_pass: str | None


def view_of(call: Call, servers: Sequence[Instance]) -> ServerView:
    """The view for these servers: the newest faults of those that show one, and the states of their hosts."""
    plane, sees_host_status = call.plane, call.may(_HOST_STATUS)
    asks_for_hosts = sees_host_status or call.may(_HOST_UNKNOWN)
    hosts = {server.host for server in servers if server.host}
    with plane.database.read() as connection:
        zones = read_zones(connection, plane.settings, hosts)
        faults = _faults(connection, servers)
        host_states = _host_states(connection, plane, hosts) if asks_for_hosts else {}
    return ServerView(
        call=call,
        now=plane.now(),
        zones=zones,
        faults=faults,
        host_states=host_states,
        is_admin=call.sees_all,
        sees_specs=call.may(_EXTRA_SPECS),
        sees_host_status=sees_host_status,
    )


def _faults(connection: Connection, servers: Sequence[Instance]) -> Mapping[str, Fault]:
    faulty = [server.uuid for server in servers if server.vm_state in _FAULTY_STATES]
    return ledger.latest_faults(connection, faulty) if faulty else {}


def _host_states(connection: Connection, plane: Plane, hosts: Collection[str]) -> Mapping[str, str]:
    """The states of hosts: a few are looked up one by one, for many the whole fleet is read."""
    if len(hosts) <= _FEW_HOSTS:
        each = [fleet.find_service(connection, _COMPUTE, host) for host in hosts]
        found = [service for service in each if service is not None]
    else:
        found = fleet.list_services(connection, binary=_COMPUTE)
    now, down = plane.now(), plane.settings.service_down_seconds
    return {service.host: _state_of_host(service, now, down) for service in found}


@lru_cache(maxsize=65536)
def host_id(project_id: str, host: str | None) -> str:
    """A host's name as a project may know it: never the same for two projects, empty without a host."""
    return sha224((project_id + host).encode()).hexdigest() if host else ""


def _flavor_link(server: Instance, view: ServerView) -> Any:
    return {"id": server.flavorid, "links": raw(view.call.links.bookmark("flavors", server.flavorid))}


def _flavor(server: Instance, view: ServerView) -> Any:
    if view.sees_specs:
        return raw(server.flavor_json)
    return {key: value for key, value in json.loads(server.flavor_json).items() if key != "extra_specs"}


def _image(server: Instance, view: ServerView) -> Any:
    if not server.image_ref:
        return ""
    return raw(f'{{"id":"{server.image_ref}","links":{view.call.links.bookmark("images", server.image_ref)}}}')


class _ImageFacts(msgspec.Struct):
    properties: msgspec.Raw = msgspec.Raw(b"{}")


_image_facts: Final = msgspec.json.Decoder(_ImageFacts)


@lru_cache(maxsize=1024)
def _properties(image_json: str) -> str:
    """The image's properties as JSON; many servers have the same image."""
    return bytes(_image_facts.decode(image_json).properties).decode()


def _image_with_properties(server: Instance, view: ServerView) -> Any:
    if not server.image_ref:
        return ""
    links = view.call.links.bookmark("images", server.image_ref)
    return raw(f'{{"id":"{server.image_ref}","links":{links},"properties":{_properties(server.image_json)}}}')


def _addresses(server: Instance) -> Any:
    return raw("{}" if server.vm_state == VmState.BUILDING else server.addresses_json)


def plain_addresses(server: Instance) -> dict[str, list[dict[str, Any]]]:
    """The addresses without what only the full view tells of them (contract §11.9)."""
    if server.vm_state == VmState.BUILDING:
        return {}
    found = json.loads(server.addresses_json)
    return {
        label: [{"version": each["version"], "addr": each["addr"]} for each in addresses]
        for label, addresses in found.items()
    }


def _progress(server: Instance) -> Any:
    return server.progress if server.status in _PROGRESSING else ABSENT


def _fault(server: Instance, view: ServerView) -> Any:
    fault = view.faults.get(server.uuid)
    if fault is None or server.status not in _FAULTY:
        return ABSENT
    shown = {"code": fault.code, "created": zulu(fault.created_at), "message": fault.message}
    if fault.details and (view.is_admin or fault.code != 500):
        shown["details"] = fault.details
    return shown


def _zone(server: Instance, view: ServerView) -> str:
    """The zone of the server's host, or the one that was asked for while it has none (contract §2.2)."""
    return view.zones.of_host(server.host) if server.host else server.availability_zone or ""


def _host_status(server: Instance, view: ServerView) -> Any:
    status = view.host_states.get(server.host, "UNKNOWN") if server.host else ""
    return status if view.sees_host_status or status == "UNKNOWN" else ABSENT


def _state_of_host(service: Service, now: Instant, down: float) -> str:
    """Forced down beats disabled, disabled beats up or down (contract §6.3.2)."""
    if service.forced_down:
        return "DOWN"
    if service.disabled:
        return "MAINTENANCE"
    return "UP" if service.is_up(now, service_down_seconds=down) else "UNKNOWN"


def _volume_ids(server: Instance) -> Any:
    return [{"id": volume["id"]} for volume in json.loads(server.volumes_json)]


def _security_groups(server: Instance) -> Any:
    is_unplugged = server.nics_json == "[]" and server.vm_state != VmState.BUILDING
    return ABSENT if is_unplugged or server.security_groups_json == "[]" else raw(server.security_groups_json)


def _groups(server: Instance, view: ServerView) -> list[str]:
    """The group of a server that is shown by itself: lists never tell it, so it is looked up here.

    Servers join a group by a hint alone, so one without such a hint is in none.
    """
    if '"group"' not in server.hints_json:
        return []
    with view.call.plane.database.read() as connection:
        group = server_groups.find_group_uuid(connection, server.uuid)
    return [] if group is None else [group]


def _updated(server: Instance, view: ServerView) -> str:
    return zulu(view.now if server.updated_at is None else server.updated_at)


def _moment(get: Callable[[Instance], int | None]) -> Callable[[Instance], str | None]:
    def moment(server: Instance) -> str | None:
        instant = get(server)
        return None if instant is None else naive(instant)

    return moment


def _links(server: Instance, view: ServerView) -> Any:
    return view.call.links.both("servers", server.uuid)


_START: Final[tuple[Field, ...]] = (
    field("id", "uuid"),
    field("name", "display_name"),
    field("status", "status"),
    field("tenant_id", "project_id"),
    field("user_id", "user_id"),
    field("metadata", JsonText("metadata_json")),
    field("hostId", lambda server: host_id(server.project_id, server.host)),
    field("image", _image, until="2.97"),
    field("image", _image_with_properties, since="2.98"),
    field("flavor", _flavor_link, until="2.46"),
    field("flavor", _flavor, since="2.47"),
    field("created", lambda server: zulu(server.created_at)),
    field("updated", _updated),
    field("accessIPv4", "access_ip_v4"),
    field("accessIPv6", "access_ip_v6"),
    field("links", _links),
    field("OS-DCF:diskConfig", "disk_config"),
    field("progress", _progress),
    field("fault", _fault),
)
_ADDRESSES: Final = field("addresses", _addresses)
_MIDDLE: Final[tuple[Field, ...]] = (
    field("OS-EXT-AZ:availability_zone", _zone),
    field("config_drive", "config_drive"),
    field("key_name", "key_name"),
    field("OS-SRV-USG:launched_at", _moment(lambda server: server.launched_at)),
    field("OS-SRV-USG:terminated_at", _moment(lambda server: server.terminated_at)),
    field("security_groups", _security_groups),
    field("OS-EXT-SRV-ATTR:host", "host", when=_ATTRIBUTES),
    field("OS-EXT-SRV-ATTR:instance_name", "name", when=_ATTRIBUTES),
    field("OS-EXT-SRV-ATTR:hypervisor_hostname", "node", when=_ATTRIBUTES),
    field("OS-EXT-SRV-ATTR:hostname", "hostname", since="2.3", until="2.89", when=_ATTRIBUTES),
    field("OS-EXT-SRV-ATTR:hostname", "hostname", since="2.90"),
    field("OS-EXT-SRV-ATTR:kernel_id", "kernel_id", since="2.3", when=_ATTRIBUTES),
    field("OS-EXT-SRV-ATTR:launch_index", "launch_index", since="2.3", when=_ATTRIBUTES),
    field("OS-EXT-SRV-ATTR:ramdisk_id", "ramdisk_id", since="2.3", when=_ATTRIBUTES),
    field("OS-EXT-SRV-ATTR:reservation_id", "reservation_id", since="2.3", when=_ATTRIBUTES),
    field("OS-EXT-SRV-ATTR:root_device_name", "root_device_name", since="2.3", when=_ATTRIBUTES),
    field("OS-EXT-SRV-ATTR:user_data", "user_data", since="2.3", when=_ATTRIBUTES),
    field("OS-EXT-STS:task_state", "task_state"),
    field("OS-EXT-STS:vm_state", "vm_state"),
    field("OS-EXT-STS:power_state", "power_state"),
    field("os-extended-volumes:volumes_attached", _volume_ids, until="2.2"),
    field("os-extended-volumes:volumes_attached", JsonText("volumes_json"), since="2.3"),
    field("host_status", _host_status, since="2.16", when=(_HOST_STATUS, _HOST_UNKNOWN)),
)
_END: Final[tuple[Field, ...]] = (
    field("locked", lambda server: server.locked_by is not None, since="2.9"),
    field("description", "display_description", since="2.19"),
    field("tags", JsonText("tags_json"), since="2.26"),
    field("trusted_image_certificates", lambda server: raw(server.trusted_certs_json or "null"), since="2.63"),
    field("server_groups", _groups, since="2.71"),
    field("locked_reason", "locked_reason", since="2.73"),
)
_LATEST: Final[tuple[Field, ...]] = (
    field("pinned_availability_zone", "availability_zone", since="2.96"),
    field("scheduler_hints", JsonText("hints_json"), since="2.100"),
)

BRIEF: Final = Shape(
    "server",
    field("id", "uuid"),
    field("name", "display_name"),
    field("links", lambda server, call: call.links.both("servers", server.uuid)),
)
"""A server in a list (contract §6.2)."""

FULL: Final = Shape("server", *_START, _ADDRESSES, *_MIDDLE, *_END, *_LATEST)
"""A server by itself."""

DETAIL: Final = FULL.without("server", "server_groups")
"""A server in a detailed list, which never tells its group."""

UPDATED: Final = Shape(
    "server",
    *_START,
    field("addresses", plain_addresses, until="2.74"),
    *starting("2.75", (_ADDRESSES, *_MIDDLE)),
    *_END,
    *_LATEST,
)
"""A server after a change: in part until 2.74, then in full."""

REBUILT: Final = Shape(
    "server",
    *UPDATED.without("server", "OS-EXT-SRV-ATTR:user_data", "key_name").fields,
    field("key_name", "key_name", since="2.54"),
    field("user_data", "user_data", since="2.57"),
    field("adminPass", lambda _, view: ABSENT if view.admin_pass is None else view.admin_pass),
)
"""A server that is being rebuilt: as after a change, and what only its owner is told (contract §6.3, column R)."""

CREATED: Final = Shape(
    "server",
    field("id", lambda order: order.server.uuid),
    field("links", lambda order, view: view.links.both("servers", order.server.uuid)),
    field("OS-DCF:diskConfig", lambda order: order.server.disk_config),
    field("security_groups", lambda order: order.security_groups),
    field("adminPass", lambda order: ABSENT if order.admin_pass is None else order.admin_pass),
)
"""What the one who ordered a server is told at once (contract §6.1)."""
