"""The schemas of ``/servers``: create, update, list and the actions (contract §6.1, §6.5, §6.6.2)."""

from typing import Any, Final

from kilonova.api.schemas.devices import LEGACY_DEVICES, devices
from kilonova.api.schemas.types import (
    BOOLEAN,
    DATE_TIME,
    DESCRIPTION,
    DISK_CONFIG,
    FLAVOR_REF,
    FQDN,
    HOSTNAME,
    IMAGE_REF,
    METADATA,
    NAME,
    NON_NEGATIVE,
    PAGING,
    POSITIVE,
    STRING,
    TAG,
    Json,
    Param,
    param,
    query,
    the,
)
from kilonova.api.schemas.validation import Schema
from kilonova.wire.version import Microversion, Span, Versioned

_ADDRESS: Final = {"type": "string", "format": "ipv4"}
_ADDRESS_6: Final = {"type": "string", "format": "ipv6"}
_ID: Final = {"type": "string", "format": "uuid"}
_FIXED_IP: Final = {"type": "string", "oneOf": [{"format": "ipv4"}, {"format": "ipv6"}]}
_USER_DATA: Final = {"type": "string", "format": "base64", "maxLength": 65535}
_CERTIFICATES: Final = {
    "type": ["array", "null"],
    "minItems": 1,
    "maxItems": 50,
    "uniqueItems": True,
    "items": {"type": "string", "minLength": 1},
}
_FILES: Final = {
    "type": "array",
    "items": the(
        {"path": {"type": "string"}, "contents": {"type": "string", "format": "base64"}}, required=("path", "contents")
    ),
}
_GROUPS: Final = {"type": "array", "items": the({"name": NAME})}


def _networks(*, tagged: bool, worded: bool) -> Json:
    network = _ID if worded else {"type": "string"}
    parts = {"fixed_ip": _FIXED_IP, "port": {"oneOf": [_ID, {"type": "null"}]}, "uuid": network}
    if tagged:
        parts["tag"] = TAG
    listed: dict[str, Any] = {"type": "array", "items": the(parts)}
    return {"oneOf": [listed, {"type": "string", "enum": ["none", "auto"]}]} if worded else listed


_CREATE: Final[tuple[Param, ...]] = (
    param("name", NAME),
    param("imageRef", {"oneOf": [IMAGE_REF, {"type": "string", "maxLength": 0}]}),
    param("flavorRef", FLAVOR_REF),
    param("adminPass", {"type": "string"}),
    param("metadata", METADATA),
    param("networks", _networks(tagged=False, worded=False), until="2.31"),
    param("networks", _networks(tagged=True, worded=False), since="2.32", until="2.36"),
    param("networks", _networks(tagged=False, worded=True), since="2.37", until="2.41"),
    param("networks", _networks(tagged=True, worded=True), since="2.42"),
    param("OS-DCF:diskConfig", DISK_CONFIG),
    param("accessIPv4", _ADDRESS),
    param("accessIPv6", _ADDRESS_6),
    param("personality", _FILES, until="2.56"),
    param("availability_zone", NAME),
    param("block_device_mapping", LEGACY_DEVICES),
    param("block_device_mapping_v2", devices(tagged=False, typed=False), until="2.31"),
    param("block_device_mapping_v2", devices(tagged=True, typed=False), since="2.32", until="2.32"),
    param("block_device_mapping_v2", devices(tagged=False, typed=False), since="2.33", until="2.41"),
    param("block_device_mapping_v2", devices(tagged=True, typed=False), since="2.42", until="2.66"),
    param("block_device_mapping_v2", devices(tagged=True, typed=True), since="2.67"),
    param("config_drive", BOOLEAN),
    param("key_name", NAME),
    param("min_count", POSITIVE),
    param("max_count", POSITIVE),
    param("return_reservation_id", BOOLEAN),
    param("security_groups", _GROUPS),
    param("user_data", _USER_DATA),
    param("description", DESCRIPTION, since="2.19"),
    param("tags", {"type": "array", "items": TAG, "maxItems": 50}, since="2.52"),
    param("trusted_image_certificates", _CERTIFICATES, since="2.63"),
    param("host", FQDN, since="2.74"),
    param("hypervisor_hostname", FQDN, since="2.74"),
    param("hostname", HOSTNAME, since="2.90", until="2.93"),
    param("hostname", FQDN, since="2.94"),
)
HINTS: Final = {
    "type": "object",
    "properties": {
        "group": _ID,
        "different_host": {"oneOf": [_ID, {"type": "array", "items": _ID}]},
        "same_host": {"oneOf": [_ID, {"type": "array", "items": _ID}]},
        "query": {"type": ["string", "object"]},
        "target_cell": NAME,
        "different_cell": {"oneOf": [NAME, {"type": "array", "items": NAME}]},
        "build_near_host_ip": _ADDRESS,
        "cidr": {"type": "string", "pattern": "^/[0-9a-f.:]+$"},
    },
    "additionalProperties": True,
}
"""What a caller may wish of the scheduler; whatever nobody knows is let be."""
_NETWORKS_REQUIRED_SINCE: Final = Microversion(2, 37)


def _at(fields: tuple[Param, ...], version: Microversion) -> dict[str, Json]:
    return {name: value for name, value, since, until in fields if Span.of(since, until).has(version)}


def _edges(fields: tuple[Param, ...]) -> list[Microversion]:
    spans = [Span.of(since, until) for _, _, since, until in fields]
    return sorted({span.since for span in spans} | {end for span in spans if (end := span.after)})


def _create_at(version: Microversion) -> Schema:
    required = ("name", "flavorRef") + (("networks",) if version >= _NETWORKS_REQUIRED_SINCE else ())
    server = the(_at(_CREATE, version), required=required)
    hints = {"os:scheduler_hints": HINTS, "OS-SCH-HNT:scheduler_hints": HINTS}
    return Schema(the({"server": server, **hints}, required=("server",)))


CREATE: Final[Versioned[Schema | None]] = Versioned(
    *((str(version), _create_at(version)) for version in _edges(_CREATE))
)

_UPDATE: Final[tuple[Param, ...]] = (
    param("name", NAME),
    param("OS-DCF:diskConfig", DISK_CONFIG),
    param("accessIPv4", _ADDRESS),
    param("accessIPv6", _ADDRESS_6),
    param("description", DESCRIPTION, since="2.19"),
    param("hostname", HOSTNAME, since="2.90", until="2.93"),
    param("hostname", FQDN, since="2.94"),
    param("pinned_availability_zone", {**NAME, "type": ["string", "null"]}, since="2.104"),
)

UPDATE: Final[Versioned[Schema | None]] = Versioned(
    *(
        (str(version), Schema(the({"server": the(_at(_UPDATE, version))}, required=("server",))))
        for version in _edges(_UPDATE)
    )
)

_COLUMNS: Final = (
    *("access_ip_v4", "access_ip_v6", "auto_disk_config", "availability_zone", "config_drive", "created_at"),
    *("deleted", "description", "display_description", "display_name", "flavor", "host", "hostname", "image"),
    *("image_ref", "instance_type_id", "ip", "ip6", "kernel_id", "key_name", "launch_index", "launched_at"),
    *("locked_by", "name", "node", "power_state", "progress", "project_id", "ramdisk_id", "reservation_id"),
    *("root_device_name", "soft_deleted", "status", "task_state", "tenant_id", "terminated_at", "user_id", "uuid"),
    *("vm_state", "all_tenants"),
    # Known only to be refused by name (contract §6.5.3).
    *("block_device_mapping", "services", "metadata", "system_metadata", "info_cache", "security_groups"),
    "pci_devices",
)
SORT_KEYS: Final = (
    *("access_ip_v4", "access_ip_v6", "auto_disk_config", "availability_zone", "config_drive", "created_at"),
    *("display_description", "display_name", "host", "hostname", "image_ref", "instance_type_id", "kernel_id"),
    *("key_name", "launch_index", "launched_at", "locked_by", "node", "power_state", "progress", "project_id"),
    *("ramdisk_id", "root_device_name", "task_state", "terminated_at", "updated_at", "user_id", "uuid", "vm_state"),
)
SORT_KEYS_IGNORED: Final = (
    *("architecture", "cell_name", "cleaned", "default_ephemeral_device", "default_swap_device", "deleted"),
    *("deleted_at", "disable_terminate", "ephemeral_gb", "ephemeral_key_uuid", "id", "key_data", "launched_on"),
    *("locked", "memory_mb", "os_type", "reservation_id", "root_gb", "shutdown_terminate", "user_data", "vcpus"),
    "vm_mode",
)
"""Keys that are taken and mean nothing, until 2.74 (contract §6.5.4)."""


def _one_of(*words: str) -> Json:
    return {"type": "string", "enum": list(words)}


LIST: Final = query(
    *PAGING,
    *(param(name) for name in _COLUMNS),
    param("changes-since", DATE_TIME),
    param("changes-before", DATE_TIME, since="2.66"),
    *(param(name, since="2.26") for name in ("tags", "tags-any", "not-tags", "not-tags-any")),
    param("locked", since="2.73"),
    param("sort_dir"),
    param("sort_key", _one_of(*SORT_KEYS, *SORT_KEYS_IGNORED), until="2.72"),
    param("sort_key", _one_of(*SORT_KEYS, *SORT_KEYS_IGNORED), since="2.73", until="2.74"),
    param("sort_key", _one_of(*SORT_KEYS, "locked"), since="2.75"),
    strict="2.75",
    pattern="^_",
)

_NULL: Final = {"type": "null"}


def action(key: str, value: Json) -> Json:
    """The body of an action: one key."""
    return the({key: value}, required=(key,))


REBOOT: Final = action(
    "reboot",
    the({"type": {"type": "string", "enum": ["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]}}, required=("type",)),
)
RESET_STATE: Final = action(
    "os-resetState", the({"state": {"type": "string", "enum": ["active", "error"]}}, required=("state",))
)
CHANGE_PASSWORD: Final = action("changePassword", the({"adminPass": {"type": "string"}}, required=("adminPass",)))
RESCUE: Final = action(
    "rescue", {**the({"adminPass": {"type": "string"}, "rescue_image_ref": IMAGE_REF}), "type": ["object", "null"]}
)
_REBUILD: Final[tuple[Param, ...]] = (
    param("name", NAME),
    param("imageRef", IMAGE_REF),
    param("adminPass", {"type": "string"}),
    param("metadata", METADATA),
    param("preserve_ephemeral", BOOLEAN),
    param("OS-DCF:diskConfig", DISK_CONFIG),
    param("accessIPv4", _ADDRESS),
    param("accessIPv6", _ADDRESS_6),
    param("personality", _FILES, until="2.56"),
    param("description", DESCRIPTION, since="2.19"),
    param("key_name", {**NAME, "type": ["string", "null"]}, since="2.54"),
    param("user_data", {**_USER_DATA, "type": ["string", "null"]}, since="2.57"),
    param("trusted_image_certificates", _CERTIFICATES, since="2.63"),
    param("hostname", HOSTNAME, since="2.90", until="2.93"),
    param("hostname", FQDN, since="2.94"),
)
REBUILD: Final[Versioned[Schema | None]] = Versioned(
    *(
        (str(version), Schema(action("rebuild", the(_at(_REBUILD, version), required=("imageRef",)))))
        for version in _edges(_REBUILD)
    )
)
CONSOLE_OUTPUT: Final = action(
    "os-getConsoleOutput",
    the({"length": {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]{1,9}$", "minimum": -1}}),
)
CREATE_IMAGE: Final = action("createImage", the({"name": NAME, "metadata": METADATA}, required=("name",)))
CREATE_BACKUP: Final = action(
    "createBackup",
    the(
        {"name": NAME, "backup_type": {"type": "string"}, "rotation": NON_NEGATIVE, "metadata": METADATA},
        required=("name", "backup_type", "rotation"),
    ),
)
NULL_ACTIONS: Final = frozenset({"trigger_crash_dump"})
"""Actions whose value must be null. Others are documented so, but Nova takes anything, and clients send ``{}``."""


RESIZE: Final = action(
    "resize", the({"flavorRef": FLAVOR_REF, "OS-DCF:diskConfig": DISK_CONFIG}, required=("flavorRef",))
)
_TO_HOST: Final = the({"host": NAME}, required=("host",))
MIGRATE: Final[Versioned[Schema | None]] = Versioned(
    ("2.1", Schema(action("migrate", {}))),
    ("2.56", Schema(action("migrate", {"oneOf": [_NULL, _TO_HOST]}))),
)


_FIXED: Final[dict[str, Json]] = {
    "reboot": REBOOT,
    "os-resetState": RESET_STATE,
    "changePassword": CHANGE_PASSWORD,
    "rescue": RESCUE,
    "createImage": CREATE_IMAGE,
    "createBackup": CREATE_BACKUP,
    "resize": RESIZE,
}
_HOST_OR_NONE: Final[Json] = {**NAME, "type": ["string", "null"]}
_FORCE: Final = {"force": BOOLEAN}


def _live(block: Json, required: tuple[str, ...], more: Json) -> Schema:
    wanted = the({"block_migration": block, "host": _HOST_OR_NONE, **more}, required=(*required, "host"))
    return Schema(action("os-migrateLive", wanted))


_BLOCK_AUTO: Final[Json] = {"oneOf": [BOOLEAN, {"type": "string", "enum": ["auto"]}]}
_OVER: Final = {"disk_over_commit": BOOLEAN}
LIVE_MIGRATE: Final[Versioned[Schema | None]] = Versioned(
    ("2.1", _live(BOOLEAN, ("block_migration", "disk_over_commit"), _OVER)),
    ("2.25", _live(_BLOCK_AUTO, ("block_migration",), {})),
    ("2.30", _live(_BLOCK_AUTO, ("block_migration",), _FORCE)),
    ("2.68", _live(_BLOCK_AUTO, ("block_migration",), {})),
)
_PASSWORD: Final = {"adminPass": {"type": "string"}}
_EVACUATED: Final = {"host": NAME, **_PASSWORD}
EVACUATE: Final[Versioned[Schema | None]] = Versioned(
    (
        "2.1",
        Schema(action("evacuate", the({**_EVACUATED, "onSharedStorage": BOOLEAN}, required=("onSharedStorage",)))),
    ),
    ("2.14", Schema(action("evacuate", the(_EVACUATED)))),
    ("2.29", Schema(action("evacuate", the({**_EVACUATED, **_FORCE})))),
    ("2.68", Schema(action("evacuate", the(_EVACUATED)))),
)

_ZONE: Final = {"availability_zone": NAME}
_ZONE_OR_NONE: Final = {"availability_zone": {**NAME, "type": ["string", "null"]}}
UNSHELVE: Final[Versioned[Schema | None]] = Versioned(
    ("2.1", Schema(action("unshelve", {}))),
    ("2.77", Schema(action("unshelve", {"oneOf": [_NULL, the(_ZONE, required=("availability_zone",))]}))),
    ("2.91", Schema(action("unshelve", {"oneOf": [_NULL, the({**_ZONE_OR_NONE, "host": FQDN})]}))),
)

_VERSIONED: Final[dict[str, Versioned[Schema | None]]] = {
    "rebuild": REBUILD,
    "migrate": MIGRATE,
    "os-migrateLive": LIVE_MIGRATE,
    "evacuate": EVACUATE,
    "unshelve": UNSHELVE,
}


def of_action(key: str) -> Versioned[Schema | None]:
    """The schema of an action by its key."""
    if key in _VERSIONED:
        return _VERSIONED[key]
    if key in _FIXED:
        return Versioned(("2.1", Schema(_FIXED[key])))
    if key in NULL_ACTIONS:
        return Versioned(("2.1", Schema(action(key, _NULL))))
    if key == "lock":
        reason = the({"locked_reason": {"type": "string", "minLength": 1, "maxLength": 255}})
        return Versioned(
            ("2.1", Schema(action(key, {}))),
            ("2.73", Schema(action(key, {"oneOf": [_NULL, reason]}))),
        )
    return Versioned(("2.1", Schema(action(key, {}))))


INSTANCE_ACTIONS: Final = query(
    param("limit", NON_NEGATIVE, since="2.58"),
    param("marker", STRING, since="2.58"),
    param("changes-since", DATE_TIME, since="2.58"),
    param("changes-before", DATE_TIME, since="2.66"),
    strict="2.58",
)
