"""How one body differs in shape from another: keys, types, emptiness and the spelling of texts, never the values."""

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

# Objects whose keys are the user's or the driver's: what counts is what their values look like.
FREE: Final = frozenset(
    {"metadata", "meta", "properties", "extra_specs", "scheduler_hints", "addresses", "hosts", "log", "rules", "meters"}
)
# What Nova leaves null as long as there is nothing to say, whatever the sample happens to show.
NULLABLE: Final = frozenset(
    {
        "OS-EXT-SRV-ATTR:user_data",
        "OS-EXT-STS:task_state",
        "availability_zone",
        "description",
        "dest_compute",
        "dest_host",
        "dest_node",
        "disabled_reason",
        "disk_available_least",
        "disk_processed_bytes",
        "disk_remaining_bytes",
        "disk_total_bytes",
        "ended_at",
        "host_ip",
        "hosts",
        "key_name",
        "locked_reason",
        "memory_processed_bytes",
        "memory_remaining_bytes",
        "memory_total_bytes",
        "message",
        "new_instance_type_id",
        "old_instance_type_id",
        "pinned_availability_zone",
        "policy",
        "tag",
        "tls_port",
        "traceback",
        "trusted_image_certificates",
        "updated_at",
        "uptime",
        "user_data",
    }
)
# What may be empty or blank although the sample has something there: accidents of the situation, not of the shape.
MAY_BE_EMPTY: Final = frozenset(
    {
        "OS-EXT-SRV-ATTR:kernel_id",
        "OS-EXT-SRV-ATTR:ramdisk_id",
        "accessIPv4",
        "accessIPv6",
        "addresses",
        "config_drive",
        "os-extended-volumes:volumes_attached",
        "extra_specs",
        "features",
        "hosts_not_run",
        "members",
        "metadata",
        "password",
        "properties",
        "rate",
        "rules",
        "security_groups",
        "tags",
        "values",
    }
)

_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# Hosts: the samples made their names up, some of them as UUIDs.
_NAMED_LIKE_IDS: Final = frozenset({"OS-EXT-SRV-ATTR:host", "host", "hosts", "hosts_not_run"})
# Owners: some samples spell their ids with hyphens, which Keystone never does.
_OWNERS: Final = frozenset({"user_id", "project_id"})
# The first that matches the sample's text is what ours must match too.
_SPELLINGS: Final = {
    "a request id": re.compile(f"req-{_UUID}"),
    "a UUID": re.compile(_UUID),
    "a time such as 2012-12-02T02:11:55Z": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "a time such as 2012-12-02T02:11:55.000000": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}"),
    "a time such as 2012-12-02 02:11:55": re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?"),
    "an address of IPv4": re.compile(r"\d{1,3}(\.\d{1,3}){3}"),
    "a MAC address": re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}"),
    "a fingerprint": re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){15}"),
    "the id of a host, a hash": re.compile(r"[0-9a-f]{56}"),
    "the id of a project or user": re.compile(r"[0-9a-f]{32}"),
    "a reservation": re.compile(r"r-[0-9a-z]{8}"),
    "the name of a domain at the hypervisor": re.compile(r"instance-[0-9a-f]{8}"),
}
_EMPTY: Final[tuple[Any, ...]] = ("", [], {})
_NOUN: Final = re.compile(r"[a-z][a-zA-Z_-]*")
_VERSIONS: Final = {"v2", "v2.1"}
_MOUNTS: Final = {"compute", "identity", "image"}  # where one address has all services


def differences(expected: Any, got: Any, place: str = "") -> list[str]:
    """What is not as expected, one line each: where, what stands there in the sample, and what in ours."""
    return list(_compare(expected, got, place))


def free_differences(expected: dict[str, Any], got: dict[str, Any]) -> list[str]:
    """The differences where the keys are the driver's own, and only what their values look like counts."""
    return list(_compare_free(expected, got, "body"))


def _compare(expected: Any, got: Any, place: str) -> Iterator[str]:
    key = _key(place)
    if expected is None:
        return  # nothing is known but that it may be null
    if got is None:
        if key not in NULLABLE:
            yield f"{place or 'body'}: expected {_told(expected)}, got null"
    elif type(expected) is not type(got):
        yield f"{place or 'body'}: expected {_told(expected)}, got {_told(got)}"
    elif expected in _EMPTY:
        return  # nothing is known of what would stand there
    elif got in _EMPTY:
        if key not in MAY_BE_EMPTY:
            yield f"{place or 'body'}: expected {_told(expected)}, got {_told(got)}"
    else:
        yield from _compare_filled(expected, got, place, is_free=key in FREE)


def _compare_filled(expected: Any, got: Any, place: str, *, is_free: bool) -> Iterator[str]:
    if isinstance(expected, dict):
        yield from (_compare_free if is_free else _compare_keys)(expected, got, place)
    elif isinstance(expected, list):
        yield from _compare_items(expected, got, place)
    elif isinstance(expected, str):
        yield from _compare_texts(expected, got, place)


def _key(place: str) -> str:
    return place.rsplit(".", 1)[-1].partition("[")[0]


def _compare_keys(expected: dict[str, Any], got: dict[str, Any], place: str) -> Iterator[str]:
    prefix = f"{place}." if place else ""
    for key in expected.keys() - got.keys():
        yield f"{prefix}{key}: missing, expected {_told(expected[key])}"
    for key in got.keys() - expected.keys():
        yield f"{prefix}{key}: not in the sample, got {_told(got[key])}"
    for key in [key for key in expected if key in got]:
        yield from _compare(expected[key], got[key], f"{prefix}{key}")


def _compare_free(expected: dict[str, Any], got: dict[str, Any], place: str) -> Iterator[str]:
    for key, value in got.items():
        yield from _nearest(list(expected.values()), value, f"{place}[{key}]")


def _compare_items(expected: list[Any], got: list[Any], place: str) -> Iterator[str]:
    for number, value in enumerate(got):
        yield from _nearest(expected, value, f"{place}[{number}]")


def _nearest(expected: list[Any], got: Any, place: str) -> list[str]:
    """The differences from the item that is most like it; none where nothing is expected in particular."""
    alike = [each for each in expected if _relation(each) == _relation(got)] or expected
    return min((differences(each, got, place) for each in alike), key=len, default=[])


def _relation(item: Any) -> Any:
    return item.get("rel") if isinstance(item, dict) else None


def _compare_texts(expected: str, got: str, place: str) -> Iterator[str]:
    if expected.startswith("http"):
        if link(expected) != link(got):
            yield f"{place}: expected a link like {expected}, got {got}"
        return
    if _key(place) in _NAMED_LIKE_IDS:
        return
    if _key(place) in _OWNERS:
        expected = expected.replace("-", "")
    for name, spelling in _SPELLINGS.items():
        if spelling.fullmatch(expected):
            if not spelling.fullmatch(got):
                yield f"{place}: expected {name}, got {got!r}"
            return


def link(url: str) -> tuple[str, tuple[str, ...], frozenset[str]]:
    """What counts of a link: its version, the nouns of its path, and which parameters it has.

    Whether the project stands in it depends on how the request was made, which alias of the version on the sample.
    """
    split = urlsplit(url)
    parts = [part for part in split.path.split("/") if part]
    version = next((part for part in parts if part in _VERSIONS), "")
    after = parts[parts.index(version) + 1 :] if version else parts
    nouns = tuple(part for part in after if _NOUN.fullmatch(part) and part not in _MOUNTS)
    return "v2.1" if version else "", nouns, frozenset(key for key, _ in parse_qsl(split.query))


def _told(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
