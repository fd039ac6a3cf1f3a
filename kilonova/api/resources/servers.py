"""``/servers``: list, show, create, update, delete (contract §6.1)."""

import json
import secrets
import string
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv6Address
from typing import Any, Final

from kilonova.api.call import Accepted, Call, Page, Plain, Shown
from kilonova.api.paging import page_limit, page_of
from kilonova.api.quotas import limits_of
from kilonova.api.resources.devices import local_disks
from kilonova.api.resources.server_listing import listed
from kilonova.api.resources.server_views import BRIEF, CREATED, DETAIL, FULL, UPDATED, view_of
from kilonova.api.resources.zones import zones_of
from kilonova.api.routes import Many, One, route
from kilonova.api.schemas import servers as schemas
from kilonova.api.schemas.types import NOTHING, flavor_id, integer, truth
from kilonova.api.schemas.validation import is_uuid
from kilonova.domain.errors import Conflict, Invalid, QuotaExceeded
from kilonova.domain.model import Instance
from kilonova.network.embedded import FlatNetwork
from kilonova.services.servers import ServerOrder, ServerUpdate

_RULE: Final = "os_compute_api:servers:"
_DEFAULT_GROUP: Final = "default"
_PIN: Final = "pinned_availability_zone"
_PASSWORD_LENGTH: Final = 12
_PASSWORD_SYMBOLS: Final = "".join(each for each in string.ascii_letters + string.digits if each not in "0O1lI")
"""Letters and digits that nobody mistakes for another."""


def show(call: Call) -> Shown:
    """``GET /servers/{id}``."""
    return Shown(record=call.server, view=view_of(call, [call.server]))


def index(call: Call) -> Page:
    """``GET /servers``."""
    found = listed(call, all_tenants_rule=_RULE + "index:get_all_tenants")
    return page_of(found, page_limit(call), id_of=_uuid)


def detail(call: Call) -> Page:
    """``GET /servers/detail``."""
    found = listed(call, all_tenants_rule=_RULE + "detail:get_all_tenants")
    return page_of(found, page_limit(call), id_of=_uuid, view=view_of(call, found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """A server just accepted, with what only its owner is told, and only now."""

    server: Instance
    security_groups: list[dict[str, Any]]
    admin_pass: str | None


def create(call: Call) -> Accepted:
    """``POST /servers``. The password is told once and kept nowhere."""
    wanted: dict[str, Any] = call.body["server"]
    check_metadata(call, wanted.get("metadata", {}))
    order = _order(call, wanted)
    server = call.plane.create_server(call.request, order)
    if truth(wanted.get("return_reservation_id", False)):
        return Accepted(body=Plain({"reservation_id": server.reservation_id}))
    ordered = Ordered(
        server=server,
        security_groups=[{"name": name} for name in order.security_groups],
        admin_pass=told_password(call, wanted.get("adminPass")),
    )
    return Accepted(body=ordered, location=call.links.to(f"servers/{server.uuid}"))


def update(call: Call) -> Shown:
    """``PUT /servers/{id}``: name, description, host name, addresses for access, disk configuration, zone."""
    wanted = dict(call.body["server"])
    pin = partial(_pinned, call, wanted.pop(_PIN)) if _PIN in wanted else None
    changes = {UPDATED_FIELDS[key]: stripped(value) for key, value in wanted.items()}
    if changes.get("access_ip_v6"):
        changes["access_ip_v6"] = _compressed(changes["access_ip_v6"])
    server = call.plane.update_server(call.request, call.server, ServerUpdate(changes=changes, derived=pin))
    return Shown(record=server, view=view_of(call, [server]))


def _pinned(call: Call, zone: str | None, server: Instance) -> dict[str, str | None]:
    """The pin as it becomes: none, or the zone in which the server is. A server on its way is left as it is."""
    if zone == server.availability_zone:
        return {}
    if server.task_state is not None:
        raise Conflict(
            f"Cannot 'update pinned availability zone' instance {server.uuid} while it is in task_state "
            f"{server.task_state}"
        )
    if zone is not None and server.host is None:
        raise Conflict(f"Instance {server.uuid} is not ready")
    if zone is not None and zone != (own := zones_of(call, {server.host or ""}).of_host(server.host or "")):
        raise Invalid(f"A server can be pinned only to the availability zone in which it is: {own}.")
    return {"availability_zone": zone}


def delete(call: Call) -> None:
    """``DELETE /servers/{id}``."""
    call.plane.delete_server(call.request, call.server, may_override_lock=call.is_admin)


UPDATED_FIELDS: Final = {
    "name": "display_name",
    "description": "display_description",
    "hostname": "hostname",
    "accessIPv4": "access_ip_v4",
    "accessIPv6": "access_ip_v6",
    "OS-DCF:diskConfig": "disk_config",
}
"""The keys of a body that describe a server, and the fields of its record."""


def _uuid(server: Instance) -> str:
    return server.uuid


def told_password(call: Call, wanted: str | None) -> str | None:
    """The password that a reply tells, once: the wanted one or a new one; None where the settings forbid it."""
    return (wanted or _password()) if call.plane.settings.enable_instance_password else None


def _password() -> str:
    return "".join(secrets.choice(_PASSWORD_SYMBOLS) for _ in range(_PASSWORD_LENGTH))


def _compressed(address: str) -> str:
    """An IPv6 address in the one spelling that Nova shows, whichever it came in."""
    return str(IPv6Address(address)) if address else ""


def stripped(value: Any) -> Any:
    """A text without the blanks around it; all else as it is."""
    return value.strip() if isinstance(value, str) else value


def _order(call: Call, wanted: dict[str, Any]) -> ServerOrder:
    zone, host, node, is_forced = _where(call, wanted)
    least, most = _counts(wanted)
    if "hostname" in wanted and most > 1:
        raise Invalid("Cannot specify a hostname when creating more than one server.")
    return ServerOrder(
        name=wanted["name"].strip(),
        flavorid=flavor_id(wanted["flavorRef"]),
        project_id=call.caller.project_id or "",
        user_id=call.caller.user_id,
        image_id=wanted.get("imageRef") or None,
        metadata=wanted.get("metadata", {}),
        description=stripped(wanted.get("description")),
        hostname=wanted.get("hostname"),
        availability_zone=zone,
        host=host,
        node=node,
        is_forced=is_forced,
        key_name=wanted.get("key_name"),
        user_data=wanted.get("user_data"),
        config_drive=truth(wanted.get("config_drive", False)),
        tags=tuple(sorted(set(wanted.get("tags", ())))),
        networks=_networks(wanted, most=most),
        hints=hints_of(call.body.get("os:scheduler_hints") or call.body.get("OS-SCH-HNT:scheduler_hints") or {}),
        security_groups=_groups(call, wanted),
        disk_config=wanted.get("OS-DCF:diskConfig", "MANUAL"),
        access_ip_v4=wanted.get("accessIPv4", ""),
        access_ip_v6=_compressed(wanted.get("accessIPv6", "")),
        min_count=least,
        max_count=most,
        sees_private_flavors=call.is_admin,
        may_have_no_disk=call.may(_RULE + "create:zero_disk_flavor"),
        disks=local_disks(wanted),
        files=injected_files(call, wanted),
        trusted_certificates=tuple(trusted_certificates(call, wanted, "create")),
    )


def trusted_certificates(call: Call, wanted: Mapping[str, Any], action: str) -> Sequence[str]:
    """The ids of the certificates that the image is to be signed by.

    They are kept and shown, and the server's host refuses to boot what it cannot verify.
    """
    if "trusted_image_certificates" in wanted:
        call.check(f"{_RULE}{action}:trusted_certs")
    return wanted.get("trusted_image_certificates") or ()


def _where(call: Call, wanted: dict[str, Any]) -> tuple[str | None, str | None, str | None, bool]:
    """Zone, host and node: forced in the zone's text (then True), or asked for by name, each under its own policy."""
    parts = (wanted.get("availability_zone") or "").split(":")
    if len(parts) > 3:
        raise Invalid(f"Invalid availability zone: {wanted['availability_zone']}")
    zone, forced_host, forced_node = (part or None for part in [*parts, "", ""][:3])
    if forced_host or forced_node:
        call.check(_RULE + "create:forced_host")
    host, node = wanted.get("host"), wanted.get("hypervisor_hostname")
    if host or node:
        call.check("compute:servers:create:requested_destination")
        if forced_host or forced_node:
            raise Invalid("A host cannot be asked for and forced at the same time.")
    return zone, forced_host or host, forced_node or node, bool(forced_host or forced_node)


def _counts(wanted: dict[str, Any]) -> tuple[int, int]:
    least = integer("min_count", wanted.get("min_count", 1), least=1)
    most = integer("max_count", wanted.get("max_count", least), least=1)
    if least > most:
        raise Invalid("min_count must be <= max_count")
    return least, most


def check_metadata(call: Call, metadata: Mapping[str, str]) -> None:
    """QuotaExceeded where there are more items than the limit ``metadata_items`` allows."""
    most = limits_of(call)["metadata_items"]
    if most >= 0 and len(metadata) > most:
        raise QuotaExceeded(f"Maximum number of metadata items exceeds {most}")


def injected_files(call: Call, wanted: Mapping[str, Any]) -> tuple[Mapping[str, str], ...]:
    """The files that the server is to find in their places. QuotaExceeded, in Nova's words, for too much."""
    files: Sequence[Mapping[str, str]] = wanted.get("personality", ())
    if not files:
        return ()
    limits = limits_of(call)
    if _exceeds(len(files), limits["injected_files"]):
        raise QuotaExceeded("Personality file limit exceeded")
    for file in files:
        if _exceeds(len(file["path"].encode()), most := limits["injected_file_path_bytes"]):
            raise QuotaExceeded(f"Personality file path exceeds maximum {most}")
        if _exceeds(len(b64decode(file["contents"])), most := limits["injected_file_content_bytes"]):
            raise QuotaExceeded(f"Personality file content exceeds maximum {most}")
    return tuple({"path": file["path"], "contents": file["contents"]} for file in files)


def _exceeds(number: int, most: int) -> bool:
    return 0 <= most < number


def _networks(wanted: dict[str, Any], *, most: int) -> str | tuple[Mapping[str, Any], ...]:
    """What to plug in: nothing, the one network that there is, ports, or chosen addresses; ``most`` servers are asked.

    Which ports and addresses can be had is found out when they are taken.
    """
    networks = wanted.get("networks", "auto")
    if isinstance(networks, str):
        return networks
    ports = [network["port"] for network in networks if network.get("port") is not None]
    for network in networks:
        _check_network(network)
    for port in ports:
        if ports.count(port) > 1:
            raise Invalid(f"Port ID '{port}' was specified twice: you cannot attach a port multiple times.")
    if most > 1 and ports:
        raise Invalid(
            "Unable to launch multiple instances with a single configured port ID. "
            "Please launch your instance one by one with different ports."
        )
    if most > 1 and any(network.get("fixed_ip") for network in networks):
        raise Invalid("max_count cannot be greater than 1 if an fixed_ip is specified.")
    return tuple(networks) or "auto"


def _check_network(network: Mapping[str, Any]) -> None:
    port, address = network.get("port"), network.get("fixed_ip")
    if port is not None:
        if address is not None:
            raise Invalid(
                f"Specified Fixed IP '{address}' cannot be used with port '{port}': the two cannot be specified "
                "together."
            )
        return
    if "uuid" not in network:
        raise Invalid("Bad networks format: network uuid is not in proper format (None)")
    if not is_uuid(network["uuid"]):
        raise Invalid(f"Bad networks format: network uuid is not in proper format ({network['uuid']})")
    if network["uuid"] != FlatNetwork.id:
        raise Invalid(f"Network {network['uuid']} could not be found.")


def _groups(call: Call, wanted: dict[str, Any]) -> tuple[str, ...]:
    """The security groups; there is only the one that everybody has."""
    names = [group["name"] for group in wanted.get("security_groups", ()) if group.get("name")]
    for name in names:
        if name != _DEFAULT_GROUP:
            raise Invalid(f"Security group {name} not found for project {call.caller.project_id}.")
    return (_DEFAULT_GROUP,)


def hints_of(hints: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The scheduler hints; every value is a list, as the view shows them (contract §6.3)."""
    return {key: value if isinstance(value, list) else [value] for key, value in json.loads(json.dumps(hints)).items()}


ROUTES: Final = (
    route(
        "GET", "/servers", index, policy=_RULE + "index", query=schemas.LIST, returns=Many(shape=BRIEF, key="servers")
    ),
    route(
        "GET",
        "/servers/detail",
        detail,
        policy=_RULE + "detail",
        query=schemas.LIST,
        returns=Many(shape=DETAIL, key="servers"),
    ),
    route(
        "POST",
        "/servers",
        create,
        policy=_RULE + "create",
        status=202,
        body=schemas.CREATE,
        returns=One(shape=CREATED),
    ),
    route(
        "GET",
        "/servers/{server_id}",
        show,
        policy=_RULE + "show",
        query=NOTHING,
        returns=One(shape=FULL),
        is_quick=True,
    ),
    route(
        "PUT", "/servers/{server_id}", update, policy=_RULE + "update", body=schemas.UPDATE, returns=One(shape=UPDATED)
    ),
    route("DELETE", "/servers/{server_id}", delete, policy=_RULE + "delete", status=204),
)
