"""Legacy payloads of servers (contract §10.4.1)."""

from functools import lru_cache
from typing import Any

from kilonova.domain.audit import Period
from kilonova.domain.model import SECOND
from kilonova.notifications.documents import parsed
from kilonova.notifications.instance_facts import Server
from kilonova.notifications.message import Payload
from kilonova.notifications.options import NotificationOptions
from kilonova.wire.times import naive, spaced


def instance_payload(server: Server, options: NotificationOptions) -> Payload:
    """What every legacy notification of a server has."""
    columns, image_ref = server.columns, server["image_ref"]
    return {
        "tenant_id": columns["project_id"],
        "user_id": columns["user_id"],
        "instance_id": columns["uuid"],
        "display_name": columns["display_name"],
        "reservation_id": columns["reservation_id"],
        "hostname": columns["hostname"],
        **_sizes(server),
        "host": columns["host"],
        "node": columns["node"],
        "availability_zone": columns["availability_zone"],
        "cell_name": "",
        "created_at": spaced(columns["created_at"] // SECOND * SECOND) + "+00:00",
        **{name: _moment(server[name]) for name in ("terminated_at", "deleted_at", "launched_at")},
        "image_ref_url": f"{options.image_url}/images/{image_ref}" if options.image_url else image_ref,
        "os_type": server.properties.get("os_type"),
        "kernel_id": columns["kernel_id"],
        "ramdisk_id": columns["ramdisk_id"],
        "state": columns["vm_state"],
        "state_description": columns["task_state"] or "",
        "progress": columns["progress"] or "",
        "access_ip_v4": columns["access_ip_v4"] or None,
        "access_ip_v6": columns["access_ip_v6"] or None,
        "image_meta": image_meta(columns["image_json"], image_ref, columns["root_gb"]),
        "metadata": server.metadata,
    }


def _sizes(server: Server) -> Payload:
    columns = server.columns
    return {
        "instance_type": columns["flavor_name"],
        "instance_type_id": columns["flavor_id"],
        "instance_flavor_id": columns["flavorid"],
        "architecture": server.properties.get("hw_architecture"),
        "memory_mb": columns["memory_mb"],
        "disk_gb": columns["root_gb"] + columns["ephemeral_gb"],
        "vcpus": columns["vcpus"],
        "root_gb": columns["root_gb"],
        "ephemeral_gb": columns["ephemeral_gb"],
    }


@lru_cache(maxsize=512)
def image_meta(image_json: str | None, image_ref: str, root_gb: int) -> dict[str, str]:
    """The image's properties and needs, all as text; its least disk is the flavor's. Shared, as what it is made of."""
    image = parsed(image_json or "{}") or {}
    if not image:
        return {}
    told = {
        **(image.get("properties") or {}),
        "min_ram": image.get("min_ram") or 0,
        "min_disk": root_gb,
        "disk_format": image.get("disk_format"),
        "container_format": image.get("container_format"),
        "base_image_ref": image_ref,
    }
    return {name: str(value) for name, value in told.items() if value is not None}


def fixed_ips(server: Server) -> list[dict[str, Any]]:
    """The addresses, as payloads have them that tell addresses."""
    return [
        {
            "address": nic["address"],
            "type": "fixed",
            "version": 6 if ":" in nic["address"] else 4,
            "meta": {},
            "floating_ips": [],
            "label": nic["label"],
            "vif_mac": nic["mac"],
        }
        for nic in server.nics
    ]


def audited(period: Period) -> Payload:
    """The period of an update."""
    return {"audit_period_beginning": naive(period.begin), "audit_period_ending": naive(period.end)}


def audited_existence(period: Period) -> Payload:
    """The period of ``exists``, which is spelled otherwise."""
    return {"audit_period_beginning": spaced(period.begin), "audit_period_ending": spaced(period.end)}


def fault_payload(server: Server) -> Payload:
    """What ``*.error`` has besides (contract §10.4.2)."""
    fault, raised = server.facts.get("fault") or {}, server.facts.get("raised") or {}
    message = raised.get("message") or fault.get("message") or server.facts.get("details") or ""
    return {"exception": exception_text(server), "message": message[:255], "code": fault.get("code", 500)}


def exception_text(server: Server) -> str:
    """The exception as Nova's own become text: the repr of a dictionary."""
    fault = server.facts.get("fault") or {}
    raised = server.facts.get("raised") or {}
    message = raised.get("message") or fault.get("message") or server.facts.get("details") or ""
    kwargs = {"code": fault.get("code", 500)}
    return str({"kwargs": kwargs, "message": message, "class": raised.get("exception", "KilonovaError")})


def _moment(instant: int | None) -> str:
    return "" if instant is None else naive(instant)
