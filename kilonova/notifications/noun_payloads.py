"""Payloads of aggregates, key pairs, flavors, server groups, services and their hypervisors, in both formats."""

import json
from collections.abc import Mapping
from typing import Any, Final

from kilonova.domain.journal import JournalRow
from kilonova.notifications.message import Payload
from kilonova.notifications.versioned import thing
from kilonova.wire.times import zulu

_ZONE: Final = "availability_zone"


def before(row: JournalRow) -> dict[str, Any]:
    """The object as it stood before; as it is where nothing is known of that."""
    return {**row.snapshot, **(row.previous or {})}


def aggregate(snapshot: Mapping[str, Any], *, is_unborn: bool = False) -> Payload:
    """An aggregate; one that is not there yet has neither number nor hosts."""
    return thing(
        "AggregatePayload",
        {
            "id": None if is_unborn else snapshot["id"],
            "uuid": snapshot["uuid"],
            "name": snapshot["name"],
            "hosts": None if is_unborn else snapshot["hosts"],
            "metadata": snapshot["metadata"],
        },
    )


def aggregate_cache(snapshot: Mapping[str, Any], facts: Mapping[str, Any]) -> Payload:
    """What became of the images on one of an aggregate's hosts, the ``index``-th of ``total``."""
    told = ("host", "images_cached", "images_failed", "index", "total")
    identity = {name: snapshot[name] for name in ("id", "uuid", "name")}
    return thing("AggregateCachePayload", {**identity, **{name: facts[name] for name in told}})


def legacy_aggregate(operation: str, phase: str, row: JournalRow, facts: Mapping[str, Any]) -> Payload:
    """What is told of an aggregate differs with what is done to it (contract §2.3)."""
    snapshot = row.snapshot
    number, name = snapshot["id"], snapshot["name"]
    match operation:
        case "create":
            zone = snapshot["metadata"].get(_ZONE)
            made = {"name": name, **({"meta_data": {_ZONE: zone}} if zone else {})}
            return made if phase == "start" else {**made, "aggregate_id": number}
        case "update_metadata":
            return {"aggregate_id": number, "meta_data": facts.get("asked", {})}
        case "add_host" | "remove_host":
            moved = {"aggregate_id": str(number), "host_name": _moved(row)}
            return {**moved, "name": name} if (operation, phase) == ("add_host", "end") else moved
        case "delete":
            return {"aggregate_id": str(number)}
    return {"aggregate_id": number}


def _moved(row: JournalRow) -> str | None:
    """The host that came or went."""
    now, then = set(row.snapshot["hosts"]), set((row.previous or {}).get("hosts", ()))
    return next(iter(now ^ then), None)


def keypair(snapshot: Mapping[str, Any]) -> Payload:
    """A key pair; the private half is nowhere."""
    return thing(
        "KeypairPayload",
        {name: snapshot[name] for name in ("user_id", "name", "fingerprint", "public_key", "type")},
    )


def flavor(snapshot: Mapping[str, Any], operation: str) -> Payload:
    """A flavor; one that is made or removed tells no extra specs unless it has some."""
    specs = json.loads(snapshot["extra_specs_json"]) or (None if operation != "update" else {})
    return thing(
        "FlavorPayload",
        {
            "flavorid": snapshot["flavorid"],
            "memory_mb": snapshot["memory_mb"],
            "vcpus": snapshot["vcpus"],
            "root_gb": snapshot["root_gb"],
            "ephemeral_gb": snapshot["ephemeral_gb"],
            "name": snapshot["name"],
            "swap": snapshot["swap_mb"],
            "rxtx_factor": snapshot["rxtx_factor"],
            "vcpu_weight": 0,
            "disabled": bool(snapshot["disabled"]),
            "is_public": bool(snapshot["is_public"]),
            "extra_specs": specs,
            "projects": None if operation == "delete" else snapshot.get("projects", []),
            "description": snapshot["description"],
        },
    )


def server_group(snapshot: Mapping[str, Any]) -> Payload:
    """A server group with its living members."""
    return thing(
        "ServerGroupPayload",
        {
            "uuid": snapshot["uuid"],
            "name": snapshot["name"],
            "user_id": snapshot["user_id"],
            "project_id": snapshot["project_id"],
            "policies": [snapshot["policy"]],
            "members": snapshot["members"],
            "hosts": None,
            "policy": snapshot["policy"],
            "rules": _rules(snapshot),
        },
    )


def legacy_server_group(operation: str, snapshot: Mapping[str, Any], facts: Mapping[str, Any]) -> Payload:
    """What a group was made with, who joined it, or no more than its id."""
    this = {"server_group_id": snapshot["uuid"]}
    match operation:
        case "create":
            made = {name: snapshot[name] for name in ("user_id", "project_id", "policy", "name")}
            return {"_rules": _rules(snapshot), **made, **this}
        case "add_member":
            return {"instance_uuids": facts.get("joined", []), **this}
    return this


def _rules(snapshot: Mapping[str, Any]) -> dict[str, str]:
    most = snapshot["max_server_per_host"]
    return {} if most is None else {"max_server_per_host": str(most)}


def service(snapshot: Mapping[str, Any]) -> Payload:
    """A service, without its zone, as in Nova."""
    seen = snapshot["last_seen_at"]
    return thing(
        "ServiceStatusPayload",
        {
            "host": snapshot["host"],
            "binary": snapshot["binary"],
            "topic": str(snapshot["binary"]).removeprefix("nova-"),
            "report_count": snapshot["report_count"],
            "disabled": bool(snapshot["disabled"]),
            "disabled_reason": snapshot["disabled_reason"],
            "availability_zone": None,
            "last_seen_up": None if seen is None else zulu(seen),
            "forced_down": bool(snapshot["forced_down"]),
            "version": snapshot["version"],
            "uuid": snapshot["uuid"],
        },
    )


def libvirt_error(snapshot: Mapping[str, Any], facts: Mapping[str, Any]) -> Payload:
    """Why a host's libvirt does not answer. Agents tell that in a sentence, without the lines of code behind it."""
    reason = {
        "module_name": "kilonova.drivers.libvirt",
        "function_name": "probe",
        "exception": "HypervisorUnavailable",
        "exception_message": snapshot["message"],
        "traceback": "",
    }
    # A host whose libvirt never answered has no address yet, which in Nova cannot be null.
    ip = facts["host_ip"] or "0.0.0.0"  # noqa: S104 - nothing is bound to it
    return thing("LibvirtErrorPayload", {"ip": ip, "reason": thing("ExceptionPayload", reason)})
