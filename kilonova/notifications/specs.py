"""What the scheduler is asked for a server, and that the conductor gave up on it (contract §10.4.2, §10.6.2)."""

from typing import Any, Final

from kilonova.notifications.documents import parsed
from kilonova.notifications.instance_facts import Server
from kilonova.notifications.legacy import exception_text
from kilonova.notifications.message import Payload
from kilonova.notifications.versioned import exception_of, flavor_data, flavor_of, thing

_KNOWN_PREFIXES: Final = ("hw_", "img_", "os_")
_KNOWN_ELSE: Final = frozenset({"traits_required"})


def request_spec(server: Server) -> Payload:
    """The request as an object."""
    return thing(
        "RequestSpecPayload",
        {
            "instance_uuid": server["uuid"],
            "project_id": server["project_id"],
            "user_id": server["user_id"],
            "availability_zone": server["availability_zone"],
            "flavor": flavor_of(server),
            "force_hosts": None,
            "force_nodes": None,
            "ignore_hosts": None,
            "instance_group": None,
            "image": _image(server) if server.image else None,
            "numa_topology": None,
            "pci_requests": thing("InstancePCIRequestsPayload", {"instance_uuid": server["uuid"], "requests": []}),
            "num_instances": 1,
            "requested_destination": None,
            "retry": None,
            "scheduler_hints": _hints(server),
            "security_groups": [group["name"] for group in parsed(server["security_groups_json"])],
        },
    )


def legacy_request_spec(server: Server) -> Payload:
    """The request as the dictionary of old."""
    return {
        "num_instances": 1,
        "image": _legacy_image(server),
        "instance_properties": instance_properties(server),
        "instance_type": {
            "id": server["flavor_id"],
            **{name: value for name, value in flavor_data(server).items() if name != "projects"},
            **dict.fromkeys(("created_at", "updated_at", "deleted_at")),
            "deleted": False,
        },
    }


def instance_properties(server: Server) -> Payload:
    """What the dictionary says of the server."""
    taken = ("project_id", "user_id", "availability_zone", "uuid", "root_gb", "ephemeral_gb", "memory_mb", "vcpus")
    return {"numa_topology": None, "pci_requests": None, **{name: server[name] for name in taken}}


def compute_task(server: Server) -> Payload:
    """Why the conductor gave up, with what it was asked for."""
    return thing(
        "ComputeTaskPayload",
        {
            "instance_uuid": server["uuid"],
            "request_spec": request_spec(server),
            "state": server["vm_state"],
            "reason": exception_of(server),
        },
    )


def legacy_compute_task(server: Server, method: str) -> Payload:
    """The same in legacy words."""
    return {
        "request_spec": legacy_request_spec(server),
        "instance_properties": instance_properties(server),
        "instance_id": server["uuid"],
        "state": server["vm_state"],
        "method": method,
        "reason": exception_text(server),
    }


def _image(server: Server) -> Payload:
    unknown = ("visibility", "protected", "checksum", "owner", "virtual_size", "created_at", "updated_at", "tags")
    return thing(
        "ImageMetaPayload",
        {
            **dict.fromkeys((*unknown, "direct_url")),
            "id": server["image_ref"] or None,
            "name": server.image.get("name"),
            "status": "active",
            "size": server.image.get("size"),
            "container_format": server.image.get("container_format"),
            "disk_format": server.image.get("disk_format"),
            "min_ram": server.image.get("min_ram", 0),
            "min_disk": server.image.get("min_disk", 0),
            "properties": thing(
                "ImageMetaPropsPayload",
                {name: value for name, value in server.properties.items() if _is_known(name)},
            ),
        },
    )


def _legacy_image(server: Server) -> Payload:
    kept = ("id", "name", "size", "container_format", "disk_format", "min_ram", "min_disk")
    image = server.image
    return {
        **dict.fromkeys(("checksum", "owner", "created_at", "updated_at")),
        **{name: image.get(name) for name in kept},
        "status": "active",
        "properties": server.properties,
    }


def _is_known(name: str) -> bool:
    """Whether Nova has a field for the property."""
    return name.startswith(_KNOWN_PREFIXES) or name in _KNOWN_ELSE


def _hints(server: Server) -> dict[str, list[Any]]:
    """Each hint as a list of text."""
    hints = parsed(server.columns.get("hints_json") or "{}")
    return {name: value if isinstance(value, list) else [value] for name, value in hints.items()}
