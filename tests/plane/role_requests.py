"""A request for every route that gets past its schema, so that only the policy decides."""

from collections.abc import Mapping
from typing import Any, Final

from kilonova.api.history import MAXIMUM
from kilonova.api.routes import Route
from tests.plane.house import House

FLAVOR: Final = "42"
_KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEeo1ykm/Ykn1fJpBSXx8cbC2c9BZ8WcnNZ6XJyLg3h4 someone"
_METADATA: Final = {"metadata": {"key": "value"}}
_NETWORK: Final = {"networkId": "3f6a2fca-7ad1-4f1a-8b6a-000000000001"}

ACTIONS: Final[Mapping[str, Any]] = {
    "reboot": {"type": "SOFT"},
    "rescue": {"adminPass": "secret"},
    "changePassword": {"adminPass": "secret"},
    "rebuild": {"imageRef": "00000000-0000-4000-8000-000000000001"},
    "createImage": {"name": "image"},
    "createBackup": {"name": "backup", "backup_type": "daily", "rotation": 0},
    "resize": {"flavorRef": "1"},
    "os-migrateLive": {"host": None, "block_migration": "auto"},
    "evacuate": {},
    "os-resetState": {"state": "active"},
    "os-getConsoleOutput": {},
    "os-getVNCConsole": {"type": "novnc"},
    "os-getSPICEConsole": {"type": "spice-html5"},
    "os-getSerialConsole": {"type": "serial"},
    "os-getRDPConsole": {"type": "rdp-html5"},
    "addFixedIp": _NETWORK,
    "removeFixedIp": {"address": "10.0.0.1"},
    "addFloatingIp": {"address": "10.0.0.1"},
    "removeFloatingIp": {"address": "10.0.0.1"},
    "addSecurityGroup": {"name": "default"},
    "removeSecurityGroup": {"name": "default"},
    "addTenantAccess": {"tenant": "00000000000000000000000000000001"},
    "removeTenantAccess": {"tenant": "00000000000000000000000000000001"},
    "add_host": {"host": "nobodys-host"},
    "remove_host": {"host": "nobodys-host"},
    "set_metadata": {"metadata": {"key": "value"}},
}

BODIES: Final[Mapping[str, Any]] = {
    "POST /state/v1/decisions:dry-run": {"flavor": "42"},
    "POST /state/v1/sinks": {"sink": {"name": "x", "kind": "file"}},
    "POST /state/v1/sinks/{name}/action": {"pause": None},
    "POST /servers": {"server": {"name": "x", "flavorRef": FLAVOR, "imageRef": "", "networks": "none"}},
    "PUT /servers/{server_id}": {"server": {"name": "web1"}},
    "POST /servers/{server_id}/metadata": _METADATA,
    "PUT /servers/{server_id}/metadata": _METADATA,
    "PUT /servers/{server_id}/metadata/{key}": {"meta": {"key": "value"}},
    "PUT /servers/{server_id}/tags": {"tags": ["tag"]},
    "POST /servers/{server_id}/remote-consoles": {"remote_console": {"protocol": "vnc", "type": "novnc"}},
    "POST /servers/{server_id}/os-interface": {"interfaceAttachment": {}},
    "POST /servers/{server_id}/os-volume_attachments": {
        "volumeAttachment": {"volumeId": "00000000-0000-4000-8000-000000000001"}
    },
    "PUT /servers/{server_id}/os-volume_attachments/{volume_id}": {
        "volumeAttachment": {"volumeId": "00000000-0000-4000-8000-000000000001"}
    },
    "POST /os-snapshots": {"snapshot": {"volume_id": "00000000-0000-4000-8000-000000000001"}},
    "POST /servers/{server_id}/shares": {"share": {"share_id": "00000000-0000-4000-8000-000000000001"}},
    "POST /flavors": {"flavor": {"name": "role-matrix", "ram": 1, "vcpus": 1, "disk": 1}},
    "PUT /flavors/{flavor_id}": {"flavor": {"description": "x"}},
    "POST /flavors/{flavor_id}/os-extra_specs": {"extra_specs": {"key": "value"}},
    "PUT /flavors/{flavor_id}/os-extra_specs/{key}": {"key": "value"},
    "POST /os-keypairs": {"keypair": {"name": "key", "public_key": _KEY}},
    "POST /os-server-groups": {"server_group": {"name": "group", "policy": "affinity"}},
    "PUT /os-quota-sets/{project_id}": {"quota_set": {"force": True}},
    "PUT /os-quota-class-sets/{name}": {"quota_class_set": {}},
    "PUT /os-services/{id}": {"status": "enabled"},
    "POST /os-aggregates": {"aggregate": {"name": "aggregate"}},
    "PUT /os-aggregates/{id}": {"aggregate": {"name": "aggregate"}},
    "PUT /os-hosts/{host}": {"status": "enable"},
    "POST /os-aggregates/{id}/images": {"cache": [{"id": "00000000-0000-4000-8000-000000000001"}]},
    "POST /images/{image_id}/metadata": _METADATA,
    "PUT /images/{image_id}/metadata": _METADATA,
    "PUT /images/{image_id}/metadata/{key}": {"meta": {"key": "value"}},
    "POST /os-server-external-events": {
        "events": [{"name": "network-changed", "server_uuid": "00000000-0000-4000-8000-000000000001"}]
    },
    "POST /os-assisted-volume-snapshots": {
        "snapshot": {
            "volume_id": "00000000-0000-4000-8000-000000000001",
            "create_info": {"snapshot_id": "1", "type": "qcow2", "new_file": "f"},
        }
    },
}
_OLD_BODIES: Final[Mapping[str, Any]] = {"PUT /os-services/{id}": {"host": "nobodys-host", "binary": "nova-compute"}}
_PATHS_OF_OLD: Final[Mapping[str, str]] = {"PUT /os-services/{id}": "enable", "DELETE /os-services/{id}": "4711"}
_SPARED: Final = ("DELETE /images/{image_id}", "DELETE /flavors/{flavor_id}")


def version_of(row: Route) -> str:
    """The last version at which the row answers."""
    return str(row.span.until or MAXIMUM)


def body_of(row: Route, request: str) -> Any:
    """A body that the row's schema takes at that version."""
    if row.action:
        return {row.action: ACTIONS.get(row.action)}
    if row.span.until and request in _OLD_BODIES:
        return _OLD_BODIES[request]
    return BODIES.get(request, {} if row.method in ("POST", "PUT") and not row.body.at(row.span.since) else None)


def path_of(prefix: str, row: Route, request: str, things: Mapping[str, str]) -> str:
    """The row's path with things in place of its parameters: those that are there, and what is nowhere."""
    nowhere = _PATHS_OF_OLD.get(request, "nothing") if row.span.until else "nothing"
    noun = row.path.split("/")[1]
    known = {} if request in _SPARED else things
    parts = (
        known.get(f"{noun}:{part[1:-1]}", known.get(part[1:-1], nowhere)) if part.startswith("{") else part
        for part in row.path.split("/")
    )
    schema = row.query.at(row.span.since)
    takes_server = schema is not None and "server" in schema.document["properties"]
    query = f"?server={things['server_id']}" if takes_server else ""
    if request == "GET /os-migrations":
        query = f"?project_id={things['project_id']}"  # all projects' are for administrators
    return ("/" if prefix else "") + prefix + "/".join(parts) + query


def things_of(house: House, server_id: str, group_id: str, project_id: str) -> dict[str, str]:
    """What stands in paths, by the names of their parameters; where one name means several things, by noun and name."""
    return {
        "server_id": server_id,
        "project_id": project_id,
        "flavor_id": FLAVOR,
        "image_id": house.image_id(),
        "os-server-groups:id": group_id,
        "os-keypairs:name": "key",
        "os-quota-class-sets:name": "default",
    }
