"""Asking Kilonova what a real Nova was asked, and comparing the answers.

Ids of the recorded cloud stand for things of the estate: they are put in where they occur in a request, and in the
texts of errors, which must then be the same to the letter. Successes are compared by shape, headers by name and value.
"""

import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import httpx2

from kilonova.api.history import MAXIMUM
from tests.compat.golden.estate import Estate, NotBuilt
from tests.compat.golden.fitting import fitted
from tests.compat.golden.golden_data import Capture
from tests.compat.golden.outside import added_headers
from tests.compat.golden.shape import differences, free_differences, link

_Find = Callable[[Estate], str]

_SERVER: Final = "95dc0124-5678-4d80-b099-1d2fbae23b5a"
_STANDS_FOR: Final[Mapping[str, _Find]] = {
    _SERVER: Estate.server,
    "req-d39d58ce-959e-4d0e-bd6c-73792f3bad14": Estate.create_request,
    "da8c19cd-500a-4d5a-9bfd-7740cda74921": Estate.hypervisor,
    "218d2ed7c22841aca99c50084e3cd349": Estate.project,
    "e706af0d-550c-4b4c-8272-c88ce98c3da9": Estate.group,
}
# The parts of a path that are no UUIDs.
_PLACES: Final[Mapping[str, _Find]] = {
    r"(?<=/os-hypervisors/)1(?=/|$)": Estate.hypervisor_number,
    r"(?<=/os-hypervisors/)cmp(?=/)": Estate.hypervisor_name,
    r"(?<=_pattern=)cmp$": Estate.hypervisor_name,
    r"(?<=/os-hosts/)cmp-1$": Estate.host,
    r"(?<=/os-keypairs/)sample-key$": Estate.keypair,
}
# Which server, or which aggregate, a request is about when it changes it.
_IN_ITS_STEAD: Final[Mapping[str, Mapping[str, _Find]]] = {
    "server-action-os-start": {_SERVER: Estate.stopped_server},
    "server-action-os-stop": {_SERVER: Estate.other_server},
    "server-action-pause": {_SERVER: Estate.other_server},
    "server-action-reboot": {_SERVER: Estate.other_server},
    "server-action-unpause": {_SERVER: Estate.paused_server},
    "aggregate-add-host": {r"(?<=/os-aggregates/)2(?=/)": Estate.aggregate},
    "aggregate-set-metadata": {r"(?<=/os-aggregates/)2(?=/)": Estate.peopled_aggregate},
    "aggregate-show": {r"(?<=/os-aggregates/)2$": Estate.peopled_aggregate},
}
# What is to be there, although the request does not name it.
_PREPARED: Final[Mapping[str, _Find]] = {
    "aggregates": Estate.peopled_aggregate,
    "keypairs": Estate.keypair,
    "migrations": Estate.migrated_server,
    "server-groups": Estate.group,
    "servers-detail-limit": Estate.bare_server,
    "availability-zones-detail": Estate.server,
    "hosts": Estate.server,
}
_EXACT: Final = frozenset({"versions", "version-root"})
_FREE: Final = frozenset({"server-diagnostics@2.1"})  # the keys are the driver's own
_HEADERS: Final = frozenset(
    {
        "content-type",
        "location",
        "openstack-api-version",
        "retry-after",
        "vary",
        "www-authenticate",
        "x-compute-request-id",
        "x-openstack-nova-api-version",
        "x-openstack-request-id",
    }
)
_REQUEST_ID: Final = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def departures(capture: Capture, estate: Estate) -> list[str]:
    """Where our answer is not the real Nova's, one line each."""
    try:
        reply, stood_for = _replayed(capture, estate)
    except NotBuilt as problem:
        return [str(problem)]
    if reply.status_code != capture.status:
        return [f"status: expected {capture.status}, got {reply.status_code} {reply.text[:200]}"]
    return [*_headers(capture, reply), *_bodies(capture, reply, stood_for)]


def _replayed(capture: Capture, estate: Estate) -> tuple[httpx2.Response, dict[str, str]]:
    """What we answer, and what stood for which id."""
    estate.server()
    if capture.name in _PREPARED:
        _PREPARED[capture.name](estate)
    chosen = {**_STANDS_FOR, **_PLACES, **_IN_ITS_STEAD.get(capture.name, {})}
    asked = capture.path + json.dumps(capture.body) * (capture.status >= HTTPStatus.BAD_REQUEST)
    found = {pattern: find(estate) for pattern, find in chosen.items() if re.search(pattern, asked)}
    path = capture.path
    for pattern, value in found.items():
        path = re.sub(pattern, value, path)
    if capture.name == "error-unauthorized":
        return estate.house.raw(capture.method, f"/compute{path}"), found
    body = fitted(capture.request_body, estate)
    return estate.ask(capture.method, f"//compute{path}", body, version=capture.version), found


def _headers(capture: Capture, reply: httpx2.Response) -> list[str]:
    ours = {name.lower(): value for name, value in reply.headers.items()}
    lines = []
    for name in sorted(_HEADERS & (capture.headers.keys() | ours.keys())):
        expected, got = _expected_header(capture, name), ours.get(name)
        if expected is None and name in added_headers(capture):
            continue
        if expected is None or got is None or not _is_same(name, expected, got):
            lines.append(f"header {name}: expected {expected}, got {got}")
    if ours.get("x-compute-request-id") != ours.get("x-openstack-request-id"):
        lines.append("headers: the two request ids are not the same")
    return lines


def _expected_header(capture: Capture, name: str) -> str | None:
    """The recorded header; ``latest`` means what we advertise, which the version documents are judged by."""
    recorded = capture.headers.get(name)
    if recorded and capture.version == "latest" and name.endswith("api-version"):
        return re.sub(r"\d+\.\d+", str(MAXIMUM), recorded)
    return recorded


def _is_same(name: str, expected: str, got: str) -> bool:
    if name.endswith("request-id"):
        return bool(_REQUEST_ID.fullmatch(got))
    if name == "location":
        return link(expected) == link(got)
    if name == "www-authenticate":
        return re.sub(r"http[^\"]*", "", expected) == re.sub(r"http[^\"]*", "", got)
    return expected == got


def _bodies(capture: Capture, reply: httpx2.Response, stood_for: Mapping[str, str]) -> list[str]:
    if not isinstance(capture.body, dict):
        return [] if reply.text == (capture.body or "") else [f"body: expected {capture.body!r}, got {reply.text!r}"]
    got = reply.json()
    if capture.status >= HTTPStatus.BAD_REQUEST:
        expected = json.dumps(capture.body)
        for recorded, ours in stood_for.items():
            expected = expected.replace(recorded, ours)
        return [] if got == json.loads(expected) else [f"body: expected {expected}, got {json.dumps(got)}"]
    if capture.title in _FREE:
        return free_differences(capture.body, got)
    return differences(capture.body, got) or (_unequal_values(capture.body, got) if capture.name in _EXACT else [])


def _unequal_values(expected: Any, got: Any, place: str = "body") -> list[str]:
    """Which values differ; links and ids are not values."""
    if isinstance(expected, dict):
        keys = [key for key in expected if key not in {"links", "id"}]
        return [line for key in keys for line in _unequal_values(expected[key], got[key], f"{place}.{key}")]
    if isinstance(expected, list):
        pairs = zip(expected, got, strict=True)
        return [line for each, ours in pairs for line in _unequal_values(each, ours, f"{place}[]")]
    return [] if expected == got else [f"{place}: expected {expected!r}, got {got!r}"]
