"""What hangs below a server and is data only: metadata, tags, addresses (contract §11.9)."""

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from kilonova.api.call import Accepted, Call
from kilonova.api.resources.server_views import plain_addresses
from kilonova.api.resources.servers import check_metadata
from kilonova.api.routes import Route, route
from kilonova.api.schemas.types import METADATA, NOTHING, TAG, body, the
from kilonova.api.shape import raw
from kilonova.domain.errors import Conflict, Invalid, NotFound
from kilonova.domain.model import Instance
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
    return {"meta": {key: _item(call.server, key)}}


def metadata_merge(call: Call) -> dict[str, Any]:
    """``POST /servers/{id}/metadata``: these items are added, or take the place of those with the same key."""
    return {"metadata": _keep_metadata(call, lambda server: {**server.metadata, **call.body["metadata"]})}


def metadata_replace(call: Call) -> dict[str, Any]:
    """``PUT /servers/{id}/metadata``: these items and no others."""
    return {"metadata": _keep_metadata(call, lambda _: call.body["metadata"])}


def metadata_put(call: Call) -> dict[str, Any]:
    """``PUT /servers/{id}/metadata/{key}``."""
    wanted = call.body["meta"]
    if set(wanted) != {call.params["key"]}:
        raise Invalid("Request body and URI mismatch")
    _keep_metadata(call, lambda server: {**server.metadata, **wanted})
    return {"meta": wanted}


def metadata_delete(call: Call) -> None:
    """``DELETE /servers/{id}/metadata/{key}``."""
    key = call.params["key"]

    def less(server: Instance) -> dict[str, str]:
        _item(server, key)
        return {name: value for name, value in server.metadata.items() if name != key}

    _keep_metadata(call, less, "delete metadata")


def tags(call: Call) -> dict[str, Any]:
    """``GET /servers/{id}/tags``, in alphabetical order."""
    return {"tags": raw(call.server.tags_json)}


def tags_replace(call: Call) -> dict[str, Any]:
    """``PUT /servers/{id}/tags``: these tags and no others."""
    kept = sorted(set(call.body["tags"]))
    _keep_tags(call, lambda _: kept)
    return {"tags": kept}


def tags_delete(call: Call) -> None:
    """``DELETE /servers/{id}/tags``."""
    _keep_tags(call, lambda _: [], "delete tags")


def tag(call: Call) -> None:
    """``GET /servers/{id}/tags/{tag}``: whether it is there."""
    if call.params["tag"] not in _tags(call.server):
        raise NotFound(f"Server {call.server.uuid} has no tag '{call.params['tag']}'")


def tag_put(call: Call) -> Accepted:
    """``PUT /servers/{id}/tags/{tag}``: 201 where it is new, 204 where it was there (contract §11.9)."""
    wanted = call.params["tag"]

    def more(server: Instance) -> list[str]:
        found = _tags(server)
        if len(found) >= _MOST_TAGS:
            raise Invalid(f"The number of tags exceeded the per-server limit {_MOST_TAGS}")
        _check_tag(wanted)
        return sorted({*found, wanted})

    _check_state(call.server, "update tags")
    if more(call.server) == _tags(call.server):
        return Accepted(status=204)
    _keep_tags(call, more)
    return Accepted(status=201, location=call.links.to(f"servers/{call.server.uuid}/tags/{quote(wanted)}"))


def tag_delete(call: Call) -> None:
    """``DELETE /servers/{id}/tags/{tag}``."""
    wanted = call.params["tag"]

    def less(server: Instance) -> list[str]:
        found = _tags(server)
        if wanted not in found:
            raise NotFound(f"Instance {server.uuid} has no tag '{wanted}'")
        return [each for each in found if each != wanted]

    _keep_tags(call, less, "delete tags")


def addresses(call: Call) -> dict[str, Any]:
    """``GET /servers/{id}/ips``."""
    return {"addresses": plain_addresses(call.server)}


def addresses_of_network(call: Call) -> dict[str, Any]:
    """``GET /servers/{id}/ips/{label}``."""
    label, found = call.params["label"], plain_addresses(call.server)
    if label not in found:
        raise NotFound("Instance is not a member of specified network")
    return {label: found[label]}


def _item(server: Instance, key: str) -> str:
    found = server.metadata
    if key not in found:
        raise NotFound("Metadata item was not found")
    return found[key]


def _tags(server: Instance) -> list[str]:
    found: list[str] = json.loads(server.tags_json)
    return found


def _check_tag(wanted: str) -> None:
    if len(wanted) > TAG["maxLength"]:
        raise Invalid(f"Tag '{wanted}' is too long. Maximum length of tag is {TAG['maxLength']}")
    if not wanted or "," in wanted:
        raise Invalid(f"Tag '{wanted}' is invalid. It must be a non empty string without characters '/' and ','")


def _keep_metadata(
    call: Call, wanted: Callable[[Instance], dict[str, str]], what: str = "update metadata"
) -> dict[str, str]:
    """Keep what the metadata becomes; a lock forbids it to all but administrators (contract §11.9)."""

    def kept(server: Instance) -> dict[str, str]:
        if server.locked_by and not call.is_admin:
            raise Conflict(f"Instance {server.uuid} is locked")
        _check_state(server, what)
        found = wanted(server)
        check_metadata(call, found)
        return found

    return dict(_keep(call, "metadata_json", kept).metadata)


def _keep_tags(call: Call, wanted: Callable[[Instance], list[str]], what: str = "update tags") -> None:
    """Keep what the tags become; a lock does not matter to them."""

    def kept(server: Instance) -> list[str]:
        _check_state(server, what)
        return wanted(server)

    _keep(call, "tags_json", kept)


def _check_state(server: Instance, what: str) -> None:
    if server.vm_state not in _WRITABLE:
        raise Conflict(f"Cannot '{what}' instance {server.uuid} while it is in vm_state {server.vm_state}")


def _keep(call: Call, field: str, wanted: Callable[[Instance], object]) -> Instance:
    """Work out a document from the server as it is when it is written, so that no other request's part is lost."""

    def derived(server: Instance) -> dict[str, str]:
        return {field: json.dumps(wanted(server), separators=(",", ":"))}

    return call.plane.update_server(call.request, call.server, ServerUpdate(derived=derived))


_ITEM: Final = {"type": "object", "patternProperties": METADATA["patternProperties"], "minProperties": 1}
_META_ITEM: Final = {**_ITEM, "maxProperties": 1, "additionalProperties": False}
_TAG_LIST: Final = {"type": "array", "items": TAG, "maxItems": _MOST_TAGS}

_ALL_META: Final = body(the({"metadata": METADATA}, required=("metadata",)))
_ONE_META: Final = body(the({"meta": _META_ITEM}, required=("meta",)))
_ALL_TAGS: Final = body(the({"tags": _TAG_LIST}, required=("tags",)))
_SERVER: Final = "/servers/{server_id}"

ROUTES: Final[tuple[Route, ...]] = (
    route("GET", _SERVER + "/metadata", metadata, policy=_META + "index", query=NOTHING, is_quick=True),
    route("POST", _SERVER + "/metadata", metadata_merge, policy=_META + "create", body=_ALL_META),
    route("PUT", _SERVER + "/metadata", metadata_replace, policy=_META + "update_all", body=_ALL_META),
    route("GET", _SERVER + "/metadata/{key}", metadata_item, policy=_META + "show", query=NOTHING, is_quick=True),
    route("PUT", _SERVER + "/metadata/{key}", metadata_put, policy=_META + "update", body=_ONE_META),
    route("DELETE", _SERVER + "/metadata/{key}", metadata_delete, policy=_META + "delete", status=204),
    route("GET", _SERVER + "/tags", tags, policy=_TAGS + "index", since="2.26", is_quick=True),
    route("PUT", _SERVER + "/tags", tags_replace, policy=_TAGS + "update_all", since="2.26", body=_ALL_TAGS),
    route("DELETE", _SERVER + "/tags", tags_delete, policy=_TAGS + "delete_all", since="2.26", status=204),
    route("GET", _SERVER + "/tags/{tag}", tag, policy=_TAGS + "show", since="2.26", status=204, is_quick=True),
    route("PUT", _SERVER + "/tags/{tag}", tag_put, policy=_TAGS + "update", since="2.26", status=201),
    route("DELETE", _SERVER + "/tags/{tag}", tag_delete, policy=_TAGS + "delete", since="2.26", status=204),
    route("GET", _SERVER + "/ips", addresses, policy=_IPS + "index", query=NOTHING, is_quick=True),
    route("GET", _SERVER + "/ips/{label}", addresses_of_network, policy=_IPS + "show", query=NOTHING, is_quick=True),
)
