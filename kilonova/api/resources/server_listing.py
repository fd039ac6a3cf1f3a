"""Which servers a list holds and in which order: the filters of ``GET /servers`` (contract §6.5)."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.paging import page_limit
from kilonova.api.resources.zones import zones_of
from kilonova.api.schemas.servers import SORT_KEYS_IGNORED
from kilonova.api.schemas.types import MOST
from kilonova.domain.errors import Forbidden, Invalid
from kilonova.domain.model import Instance, Instant
from kilonova.domain.states import TaskState, VmState, states_for
from kilonova.store import instances
from kilonova.store.instances import InstanceQuery, InZone
from kilonova.wire.times import parse_iso
from kilonova.wire.version import Versioned

_TRUE: Final = frozenset({"1", "t", "true", "on", "y", "yes"})
_FALSE: Final = frozenset({"0", "f", "false", "off", "n", "no"})
_INVALID_FIELDS: Final = frozenset(
    {"block_device_mapping", "services", "metadata", "system_metadata", "info_cache", "security_groups", "pci_devices"}
)
_BATCH: Final = 500

_FOR_ALL: Final = frozenset(
    {
        *("reservation_id", "name", "status", "image", "flavor", "ip", "changes-since", "all_tenants"),
        *("limit", "marker", "sort_key", "sort_dir"),
    }
)
_SINCE_2_26: Final = _FOR_ALL | {"ip6", "tags", "tags-any", "not-tags", "not-tags-any"}
_SINCE_2_73: Final = _SINCE_2_26 | {"changes-before", "locked"}
_SINCE_2_83: Final = _SINCE_2_73 | {
    *("availability_zone", "config_drive", "key_name", "created_at", "launched_at", "terminated_at"),
    *("power_state", "task_state", "vm_state", "progress", "user_id"),
}
_ALLOWED: Final = Versioned[frozenset[str]](
    ("2.1", _FOR_ALL),
    ("2.5", _FOR_ALL | {"ip6"}),
    ("2.26", _SINCE_2_26),
    ("2.66", _SINCE_2_26 | {"changes-before"}),
    ("2.73", _SINCE_2_73),
    ("2.83", _SINCE_2_83),
    ("2.90", _SINCE_2_83 | {"hostname"}),
)
"""What who is no administrator may filter by; all else is dropped without a word (contract §6.5.2)."""

_REFUSES_STATUS: Final = Versioned(("2.1", False), ("2.38", True))


def _integer(text: str) -> int:
    if not -MOST <= (found := int(text[:20])) <= MOST:
        raise ValueError(text)
    return found


def _drive(text: str) -> str:
    return "True" if text.lower() in _TRUE else ""


_EXACT: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    **{
        name: (name, str)
        for name in (
            *("access_ip_v4", "access_ip_v6", "display_description", "host", "hostname"),
            *("image_ref", "kernel_id", "key_name", "locked_by", "node", "ramdisk_id", "reservation_id"),
            *("root_device_name", "task_state", "user_id", "uuid", "vm_state"),
        )
    },
    **{name: (name, _integer) for name in ("launch_index", "power_state", "progress")},
    **{name: (name, parse_iso) for name in ("created_at", "launched_at", "terminated_at")},
    "auto_disk_config": ("disk_config", lambda text: "AUTO" if text.lower() in _TRUE else "MANUAL"),
    "config_drive": ("config_drive", _drive),
    "description": ("display_description", str),
    "flavor": ("flavorid", str),
    "image": ("image_ref", str),
    "instance_type_id": ("flavor_id", _integer),
}
"""The filters that compare for equality: the column, and what a text means there."""

_SORT_COLUMNS: Final = {"instance_type_id": "flavor_id", "auto_disk_config": "disk_config", "locked": "locked_by"}


def listed(call: Call, *, all_tenants_rule: str) -> list[Instance]:
    """One page of the servers that the call asks for, within what its caller may see and filter by."""
    asked = _Filters(call)
    query = asked.query(all_tenants_rule)
    if query is None:
        return []
    tests = asked.tests()
    with call.plane.database.read() as connection:
        pages = partial(instances.list_instances, connection)
        return _tested(pages, query, tests) if tests else pages(query)


def _tested(
    pages: Callable[[InstanceQuery], list[Instance]], query: InstanceQuery, tests: list[Callable[[Instance], bool]]
) -> list[Instance]:
    """The servers that pass tests which no database is asked for, page after page until there are enough."""
    found: list[Instance] = []
    limit = query.limit or 0
    batch_query = replace(query, limit=_BATCH)
    while len(found) < limit:
        batch = pages(batch_query)
        found += [each for each in batch if all(test(each) for test in tests)]
        if len(batch) < _BATCH:
            break
        batch_query = replace(batch_query, marker=batch[-1].uuid)
    return found[:limit]


class _Filters:
    """The parameters of one list, those that the caller may not use left out."""

    def __init__(self, call: Call) -> None:
        self._call = call
        for name in call.query:
            if name.startswith("_") or name in _INVALID_FIELDS:
                raise Invalid(f"Invalid filter field: {name}.")
        is_free = call.may("os_compute_api:servers:allow_all_filters")
        allowed = _ALLOWED.at(call.version)
        self._values = {name: values for name, values in call.query.items() if is_free or name in allowed}

    def query(self, all_tenants_rule: str) -> InstanceQuery | None:
        """What the store is asked, None where nothing can match."""
        states = self._states()
        if states is None:
            return None
        since, before = self._moment("changes-since"), self._moment("changes-before")
        if since is not None and before is not None and since > before:
            raise Invalid("The value of changes-since must be less than or equal to changes-before.")
        deleted, soft_deleted = self._life(has_times=since is not None or before is not None)
        return InstanceQuery(
            project_id=self._project(all_tenants_rule),
            deleted=deleted,
            soft_deleted=soft_deleted,
            vm_states=states[0],
            task_states=states[1],
            locked=self._locked(),
            equals=self._equals(),
            zone=self._zone(),
            name=self._last("name") or self._last("display_name"),
            changes_since=since,
            changes_before=before,
            sort=self._sort(),
            marker=self._last("marker"),
            limit=page_limit(self._call),
        )

    def tests(self) -> list[Callable[[Instance], bool]]:
        """What no database is asked for: tags and addresses."""
        found: list[Callable[[Instance], bool]] = []
        for name, holds in _TAG_TESTS.items():
            if (text := self._last(name)) is not None:
                found.append(partial(_is_tagged, holds, set(text.split(","))))
        for name, family in (("ip", 4), ("ip6", 6)):
            if (part := self._last(name)) is not None:
                found.append(partial(_has_address, part, family))
        return found

    def _last(self, name: str) -> str | None:
        values = self._values.get(name)
        return values[-1] if values else None

    def _moment(self, name: str) -> Instant | None:
        text = self._last(name)
        return None if text is None else Instant(parse_iso(text))

    def _states(self) -> tuple[frozenset[VmState] | None, frozenset[TaskState] | None] | None:
        """The states of all statuses together; None where no status is known (contract §6.5.3)."""
        statuses = self._values.get("status")
        if not statuses:
            return None, None
        found = [states for status in statuses if (states := states_for(status)) is not None]
        if not found:
            if _REFUSES_STATUS.at(self._call.version):
                raise Invalid("Invalid status value")
            return None
        vm_states = frozenset(state for states, _ in found for state in states)
        if any(tasks is None for _, tasks in found):
            return vm_states, None
        return vm_states, frozenset(task for _, tasks in found for task in tasks or ())

    def _life(self, *, has_times: bool) -> tuple[bool | None, bool | None]:
        """Whether deleted and soft-deleted ones are listed (contract §6.5.1, §6.5.3)."""
        soft = self._last("soft_deleted")
        soft_deleted = None if soft is None else soft.lower() in _TRUE
        if any(status.upper() == "DELETED" for status in self._values.get("status", ())):
            if not self._call.sees_all:
                raise Forbidden("Only administrators may list deleted instances")
            return True, soft_deleted
        deleted = self._last("deleted")
        if deleted is not None:
            return deleted.lower() in _TRUE, soft_deleted
        return (None if has_times else False), soft_deleted

    def _project(self, all_tenants_rule: str) -> str | None:
        if not _truth(self._last("all_tenants"), if_missing=False, if_empty=True):
            return self._call.caller.project_id or ""
        self._call.check(all_tenants_rule)
        return self._last("tenant_id") or self._last("project_id")

    def _locked(self) -> bool | None:
        text = self._last("locked")
        return None if text is None else _truth(text, if_missing=False, if_empty=False)

    def _zone(self) -> InZone | None:
        """The zone that servers show, which is their host's and may not be the one that they were asked for."""
        name = self._last("availability_zone")
        if name is None:
            return None
        zones = zones_of(self._call)
        is_default = name == zones.default
        hosts = {host for host, zone in zones.by_host.items() if (zone == name) is not is_default}
        return InZone(name=name, hosts=frozenset(hosts), is_default=is_default)

    def _equals(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, (column, parse) in _EXACT.items():
            text = self._last(name)
            if text is None:
                continue
            try:
                found[column] = parse(text)
            except (ValueError, OverflowError) as error:
                raise Invalid(f"Invalid input for query parameters {name}. Value: {text}.") from error
        return found

    def _sort(self) -> tuple[tuple[str, bool], ...]:
        directions = self._values.get("sort_dir", ())
        if any(each not in ("asc", "desc") for each in directions):
            raise Invalid("Invalid input received: Unknown sort direction, must be 'desc' or 'asc'")
        keys = self._values.get("sort_key", ())
        ordered = list(directions)[: len(keys)]
        ordered += [directions[-1] if directions else "desc"] * (len(keys) - len(ordered))
        found: list[tuple[str, bool]] = []
        for key, direction in zip(keys, ordered, strict=True):
            if key in ("host", "node") and not self._call.sees_all:
                raise Forbidden(f"Only administrators can sort servers by {key}")
            if key == "locked" or key not in SORT_KEYS_IGNORED:
                found.append((_SORT_COLUMNS.get(key, key), direction == "desc"))
        newest_first = bool(keys) or not directions or directions[0] == "desc"
        return tuple(found) or (("created_at", newest_first),)


def _truth(text: str | None, *, if_missing: bool, if_empty: bool) -> bool:
    """The strict parser of ``all_tenants`` and ``locked`` (contract §0.7)."""
    if text is None:
        return if_missing
    word = text.strip().lower()
    if word in _TRUE or (not word and if_empty):
        return True
    if word in _FALSE:
        return False
    acceptable = ", ".join(f"'{each}'" for each in sorted(_TRUE | _FALSE))
    raise Invalid(f"Unrecognized value '{text}', acceptable values are: {acceptable}")


def _has_all(wanted: set[str], tags: Iterable[str]) -> bool:
    return wanted <= set(tags)


def _has_any(wanted: set[str], tags: Iterable[str]) -> bool:
    return not wanted.isdisjoint(tags)


_TAG_TESTS: Final[dict[str, Callable[[set[str], list[str]], bool]]] = {
    "tags": _has_all,
    "tags-any": _has_any,
    "not-tags": lambda wanted, tags: not _has_all(wanted, tags),
    "not-tags-any": lambda wanted, tags: not _has_any(wanted, tags),
}


def _is_tagged(holds: Callable[[set[str], list[str]], bool], wanted: set[str], server: Instance) -> bool:
    return holds(wanted, json.loads(server.tags_json))


def _has_address(part: str, family: int, server: Instance) -> bool:
    """Whether one of the addresses has this text in it; servers that are being built have none yet."""
    if server.vm_state == VmState.BUILDING:
        return False
    addresses = [each for listed in json.loads(server.addresses_json).values() for each in listed]
    return any(each["version"] == family and part in each["addr"] for each in addresses)
