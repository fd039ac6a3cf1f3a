"""Versioned payloads: Nova's objects, serialised (contract §10.6)."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

from kilonova.domain.audit import Period
from kilonova.domain.states import PowerState
from kilonova.notifications.documents import parsed
from kilonova.notifications.instance_facts import Server
from kilonova.notifications.message import Payload
from kilonova.notifications.options import NotificationOptions
from kilonova.wire.times import zulu

VERSIONS: Final[Mapping[str, str]] = {
    "AggregateCachePayload": "1.0",
    "AggregatePayload": "1.1",
    "AuditPeriodPayload": "1.0",
    "ComputeTaskPayload": "1.0",
    "ExceptionPayload": "1.1",
    "FlavorPayload": "1.4",
    "ImageMetaPayload": "1.0",
    "ImageMetaPropsPayload": "1.19",
    "InstanceActionPayload": "1.9",
    "InstanceActionRebuildPayload": "1.10",
    "InstanceActionRescuePayload": "1.4",
    "InstanceActionResizePrepPayload": "1.4",
    "InstanceActionSnapshotPayload": "1.10",
    "InstanceCreatePayload": "1.13",
    "InstanceExistsPayload": "2.1",
    "InstancePCIRequestsPayload": "1.0",
    "InstanceStateUpdatePayload": "1.0",
    "InstanceUpdatePayload": "2.1",
    "IpPayload": "1.0",
    "KeypairPayload": "1.0",
    "LibvirtErrorPayload": "1.0",
    "RequestSpecPayload": "1.1",
    "ServerGroupPayload": "1.1",
    "ServiceStatusPayload": "1.1",
}
"""The version of every object that Kilonova tells."""

POWER_WORDS: Final[Mapping[int, str]] = {
    PowerState.NOSTATE: "pending",
    PowerState.RUNNING: "running",
    PowerState.PAUSED: "paused",
    PowerState.SHUTDOWN: "shutdown",
    PowerState.CRASHED: "crashed",
    PowerState.SUSPENDED: "suspended",
}


def thing(name: str, data: Mapping[str, Any]) -> Payload:
    """An object in Nova's four keys; the data are taken as they are."""
    return {
        "nova_object.name": name,
        "nova_object.namespace": "nova",
        "nova_object.version": VERSIONS[name],
        "nova_object.data": data,
    }


def instance_data(server: Server, options: NotificationOptions) -> Payload:
    """The fields of InstancePayload 1.9, which all payloads of servers have."""
    row, columns = server.row, server.columns
    return {
        **dict(zip(_AS_THEY_ARE, _as_they_are(columns), strict=True)),
        **{name: _moment(columns[name]) for name in _MOMENTS},
        "os_type": server.properties.get("os_type"),
        "architecture": server.properties.get("hw_architecture"),
        "flavor": flavor_of(server),
        "power_state": POWER_WORDS[server["power_state"]],
        "ip_addresses": [_ip(nic) for nic in server.nics],
        "block_devices": [] if options.bdms_in_notifications else None,
        "metadata": server.metadata,
        "locked": bool(server["locked_by"]),
        "request_id": row.request_id if row.user_id else None,
        "action_initiator_user": row.user_id,
        "action_initiator_project": row.caller_project_id,
        "shares": [] if options.include_share_mapping else None,
    }


_AS_THEY_ARE: Final = {
    "uuid": "uuid",
    "user_id": "user_id",
    "tenant_id": "project_id",
    "reservation_id": "reservation_id",
    "display_name": "display_name",
    "display_description": "display_description",
    "host_name": "hostname",
    "host": "host",
    "node": "node",
    "availability_zone": "availability_zone",
    "image_uuid": "image_ref",
    "key_name": "key_name",
    "kernel_id": "kernel_id",
    "ramdisk_id": "ramdisk_id",
    "state": "vm_state",
    "task_state": "task_state",
    "progress": "progress",
    "auto_disk_config": "disk_config",
    "locked_reason": "locked_reason",
}
"""Fields that are a column of the record, and which."""
_as_they_are: Final = itemgetter(*_AS_THEY_ARE.values())
_MOMENTS: Final = ("created_at", "launched_at", "terminated_at", "deleted_at", "updated_at")


def flavor_of(server: Server) -> Payload:
    """The flavor of a server, as it was at boot; it tells no projects."""
    return _flavor_thing(*_of_flavor(server.columns))


def flavor_data(server: Server) -> Payload:
    """The fields of a server's flavor."""
    return _flavor_data(*_of_flavor(server.columns))


_of_flavor: Final = itemgetter(
    "flavorid", "memory_mb", "vcpus", "root_gb", "ephemeral_gb", "flavor_name", "swap_mb", "flavor_json"
)
_FLAVOR_FIELDS: Final = ("flavorid", "memory_mb", "vcpus", "root_gb", "ephemeral_gb", "name", "swap")


@lru_cache(maxsize=512)
def _flavor_thing(*columns: Any) -> Payload:
    """Shared by all servers of a flavor."""
    return thing("FlavorPayload", _flavor_data(*columns))


def _flavor_data(*columns: Any) -> Payload:
    return {
        **dict(zip(_FLAVOR_FIELDS, columns, strict=False)),
        "rxtx_factor": 1.0,
        "vcpu_weight": 0,
        "disabled": False,
        "is_public": True,
        "extra_specs": parsed(columns[-1]).get("extra_specs", {}),
        "projects": None,
        "description": None,
    }


def state_update(old: Mapping[str, Any], new: Mapping[str, Any]) -> Payload:
    """From one pair of states to another; both have ``vm_state`` and ``task_state``."""
    return thing(
        "InstanceStateUpdatePayload",
        {
            "old_state": old["vm_state"],
            "state": new["vm_state"],
            "old_task_state": old["task_state"],
            "new_task_state": new["task_state"],
        },
    )


def audit_period(period: Period) -> Payload:
    """The period that an update or ``exists`` counts for."""
    return thing(
        "AuditPeriodPayload",
        {"audit_period_beginning": zulu(period.begin), "audit_period_ending": zulu(period.end)},
    )


def exception_of(server: Server) -> Payload:
    """Why it failed; names of modules and functions are Kilonova's own."""
    fault, raised = server.facts.get("fault") or {}, server.facts.get("raised") or {}
    return thing(
        "ExceptionPayload",
        {
            "module_name": raised.get("module", "kilonova"),
            "function_name": raised.get("function", server.row.operation or ""),
            "exception": raised.get("exception", "KilonovaError"),
            "exception_message": raised.get("message") or fault.get("message") or server.facts.get("details") or "",
            "traceback": server.facts.get("traceback") or fault.get("details") or "",
        },
    )


def _ip(nic: Mapping[str, Any]) -> Payload:
    return thing(
        "IpPayload",
        {
            "label": nic["label"],
            "mac": nic["mac"],
            "meta": {},
            "port_uuid": nic.get("port_id"),
            "version": 6 if ":" in nic["address"] else 4,
            "address": nic["address"],
            "device_name": None,
        },
    )


def _moment(instant: int | None) -> str | None:
    return None if instant is None else zulu(instant)


def _create_extras(server: Server) -> Payload:
    return {
        "keypairs": [_keypair(server)] if server["key_name"] and server.get("key_data") else [],
        "tags": server.tags,
        **_certificates(server),
        "instance_name": f"instance-{server['id']:08x}",
    }


def _certificates(server: Server) -> Payload:
    return {"trusted_image_certificates": parsed(server.get("trusted_certs_json") or "null")}


def _keypair(server: Server) -> Payload:
    """The key as it was at boot."""
    data = str(server["key_data"])
    is_certificate = data.lstrip().startswith("-----BEGIN CERTIFICATE")
    return thing(
        "KeypairPayload",
        {
            "user_id": server["user_id"],
            "name": server["key_name"],
            "fingerprint": None if is_certificate else _ssh_fingerprint(data),
            "public_key": data,
            "type": "x509" if is_certificate else "ssh",
        },
    )


def _ssh_fingerprint(public_key: str) -> str | None:
    """MD5 of the key's bytes, as hex with colons; None where the text is no key."""
    parts = public_key.split()
    try:
        data = base64.b64decode(parts[1] if len(parts) > 1 else "", validate=True)
    except binascii.Error:
        return None
    digits = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return ":".join(digits[start : start + 2] for start in range(0, len(digits), 2))


def _rescue_extras(server: Server) -> Payload:
    return {"rescue_image_ref": (server.parameters.get("image") or {}).get("id")}


def _resize_prep_extras(server: Server) -> Payload:
    new = server.new_flavor
    if new is None:
        return {"new_flavor": flavor_of(server)}
    names = ("flavorid", "memory_mb", "vcpus", "root_gb", "ephemeral_gb", "name", "rxtx_factor", "disabled")
    data = {
        **{name: new[name] for name in (*names, "is_public", "description")},
        "swap": new["swap_mb"],
        "vcpu_weight": 0,
        "extra_specs": json.loads(new["extra_specs_json"]),
        "projects": None,
    }
    return {"new_flavor": thing("FlavorPayload", data)}


def _snapshot_extras(server: Server) -> Payload:
    return {"snapshot_image_id": (server.parameters.get("new_image") or {}).get("image_id")}


EXTRAS: Final[Mapping[str, Callable[[Server], Payload]]] = {
    "CreatePayload": _create_extras,
    "ActionRebuildPayload": _certificates,
    "ActionRescuePayload": _rescue_extras,
    "ActionResizePrepPayload": _resize_prep_extras,
    "ActionSnapshotPayload": _snapshot_extras,
}
"""What payloads of servers have besides the common fields, by their name after ``Instance``."""
