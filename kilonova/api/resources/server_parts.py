"""What hangs below a server and is data only: metadata, tags, addresses (contract §11.9)."""

import json
from typing import Any, Final
from urllib.parse import quote

from kilonova.api.call import Accepted, Call
from kilonova.api.resources.server_views import plain_addresses
from kilonova.api.resources.servers import check_metadata
from kilonova.api.routes import Route, route
from kilonova.api.schemas.types import METADATA, NOTHING, TAG, body, the
from kilonova.api.shape import raw
from kilonova.domain.errors import Conflict, Invalid, NotFound
from kilonova.domain.states import VmState
from kilonova.services.servers import ServerUpdate

_META: Final = "os_compute_api:server-metadata:"
_TAGS: Final = "os_compute_api:os-server-tags:"
_IPS: Final = "os_compute_api:ips:"
_MOST_TAGS: Final = 50
_WRITABLE: Final = frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.SUSPENDED, VmState.STOPPED})


def metadata(call: Call) -> dict[str, Any]:
    """``GET /servers/{id}/metadata``."""
    return {"metadata": raw(call.server.metadata_json)}


def metadata_item(call: Call) -> dict[str, Any]:
    """``GET /servers/{id}/metadata/{key}``."""
    key = call.params["key"]
    return {"meta": {key: _item(call, key)}}


def metadata_merge(call: Call) -> dict[str, Any]:
    """``POST /servers/{id}/metadata``: these items are added, or take the place of those with the same key."""
    return {"metadata": _keep_metadata(call, {**call.server.metadata, **call.body["metadata"]})}


def metadata_replace(call: Call) -> dict[str, Any]:
    """``PUT /servers/{id}/metadata``: these items and no others."""
    return {"metadata": _keep_metadata(call, call.body["metadata"])}


def metadata_put(call: Call) -> dict[str, Any]:
    """``PUT /servers/{id}/metadata/{key}``."""
    wanted = call.body["meta"]
    if set(wanted) != {call.params["key"]}:
        raise Invalid("Request body and URI mismatch")
    _keep_metadata(call, {**call.server.metadata, **wanted})
    return {"meta": wanted}


def metadata_delete(call: Call) -> None:
    """``DELETE /servers/{id}/metadata/{key}``."""
    key = call.params["key"]
    _item(call, key)
    _keep_metadata(call, {name: value for name, value in call.server.metadata.items() if name != key})


def tags(call: Call) -> dict[str, Any]:
    """``GET /servers/{id}/tags``, in alphabetical order."""
    return {"tags": raw(call.server.tags_json)}


def tags_replace(call: Call) -> dict[str, Any]:
    """``PUT /servers/{id}/tags``: these tags and no others."""
    kept = sorted(set(call.body["tags"]))
    _keep_tags(call, kept)
    return {"tags": kept}


def tags_delete(call: Call) -> None:
    """``DELETE /servers/{id}/tags``."""
    _keep_tags(call, [])


def tag(call: Call) -> None:
    """``GET /servers/{id}/tags/{tag}``: whether it is there."""
    if call.params["tag"] not in _tags(call):
        raise NotFound(f"Server {call.server.uuid} has no tag '{call.params['tag']}'")


def tag_put(call: Call) -> Accepted:
    """``PUT /servers/{id}/tags/{tag}``: 201 where it is new, 204 where it was there (contract §11.9)."""
    wanted, found = call.params["tag"], _tags(call)
    if len(found) >= _MOST_TAGS:
        raise Invalid(f"The number of tags exceeded the per-server limit {_MOST_TAGS}")
    _check_tag(wanted)
    if wanted in found:
        return Accepted(status=204)
    _keep_tags(call, sorted([*found, wanted]))
    return Accepted(status=201, location=call.links.to(f"servers/{call.server.uuid}/tags/{quote(wanted)}"))


def tag_delete(call: Call) -> None:
    """``DELETE /servers/{id}/tags/{tag}``."""
    wanted, found = call.params["tag"], _tags(call)
    if wanted not in found:
        raise NotFound(f"Instance {call.server.uuid} has no tag '{wanted}'")
    _keep_tags(call, [each for each in found if each != wanted])


def addresses(call: Call) -> dict[str, Any]:
    """``GET /servers/{id}/ips``."""
    return {"addresses": plain_addresses(call.server)}


def addresses_of_network(call: Call) -> dict[str, Any]:
    """``GET /servers/{id}/ips/{label}``."""
    label, found = call.params["label"], plain_addresses(call.server)
    if label not in found:
        raise NotFound("Instance is not a member of specified network")
    return {label: found[label]}


def _item(call: Call, key: str) -> str:
    found = call.server.metadata
    if key not in found:
        raise NotFound("Metadata item was not found")
    return found[key]


def _tags(call: Call) -> list[str]:
    found: list[str] = json.loads(call.server.tags_json)
    return found


def _check_tag(wanted: str) -> None:
    if len(wanted) > TAG["maxLength"]:
        raise Invalid(f"Tag '{wanted}' is too long. Maximum length of tag is {TAG['maxLength']}")
    if not wanted or "," in wanted:
        raise Invalid(f"Tag '{wanted}' is invalid. It must be a non empty string without characters '/' and ','")


def _keep_metadata(call: Call, kept: dict[str, str]) -> dict[str, str]:
    check_metadata(call, kept)
    _keep(call, "update metadata", metadata_json=kept)
    return kept


def _keep_tags(call: Call, kept: list[str]) -> None:
    _keep(call, "update tags", tags_json=kept)


def _keep(call: Call, what: str, **documents: object) -> None:
    if call.server.vm_state not in _WRITABLE:
        raise Conflict(f"Cannot '{what}' instance {call.server.uuid} while it is in vm_state {call.server.vm_state}")
    changes = {name: json.dumps(value, separators=(",", ":")) for name, value in documents.items()}
    call.plane.update_server(call.request, call.server, ServerUpdate(changes=changes))


_ITEM: Final = {"type": "object", "patternProperties": METADATA["patternProperties"], "minProperties": 1}
_META_ITEM: Final = {**_ITEM, "maxProperties": 1, "additionalProperties": False}
_TAG_LIST: Final = {"type": "array", "items": TAG, "maxItems": _MOST_TAGS}

_ALL_META: Final = body(the({"metadata": METADATA}, required=("metadata",)))
_ONE_META: Final = body(the({"meta": _META_ITEM}, required=("meta",)))
_ALL_TAGS: Final = body(the({"tags": _TAG_LIST}, required=("tags",)))
_SERVER: Final = "/servers/{server_id}"

ROUTES: Final[tuple[Route, ...]] = (
    route("GET", _SERVER + "/metadata", metadata, policy=_META + "index", query=NOTHING),
    route("POST", _SERVER + "/metadata", metadata_merge, policy=_META + "create", body=_ALL_META),
    route("PUT", _SERVER + "/metadata", metadata_replace, policy=_META + "update_all", body=_ALL_META),
    route("GET", _SERVER + "/metadata/{key}", metadata_item, policy=_META + "show", query=NOTHING),
    route("PUT", _SERVER + "/metadata/{key}", metadata_put, policy=_META + "update", body=_ONE_META),
    route("DELETE", _SERVER + "/metadata/{key}", metadata_delete, policy=_META + "delete", status=204),
    route("GET", _SERVER + "/tags", tags, policy=_TAGS + "index", since="2.26"),
    route("PUT", _SERVER + "/tags", tags_replace, policy=_TAGS + "update_all", since="2.26", body=_ALL_TAGS),
    route("DELETE", _SERVER + "/tags", tags_delete, policy=_TAGS + "delete_all", since="2.26", status=204),
    route("GET", _SERVER + "/tags/{tag}", tag, policy=_TAGS + "show", since="2.26", status=204),
    route("PUT", _SERVER + "/tags/{tag}", tag_put, policy=_TAGS + "update", since="2.26", status=201),
    route("DELETE", _SERVER + "/tags/{tag}", tag_delete, policy=_TAGS + "delete", since="2.26", status=204),
    route("GET", _SERVER + "/ips", addresses, policy=_IPS + "index", query=NOTHING),
    route("GET", _SERVER + "/ips/{label}", addresses_of_network, policy=_IPS + "show", query=NOTHING),
)
