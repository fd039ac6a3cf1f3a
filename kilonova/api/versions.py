"""The version documents (contract §0.1), and the headers that tell the version of a reply (§0.3)."""

from typing import Any, Final

import msgspec

from kilonova.api.http import Incoming, Reply
from kilonova.domain.errors import NotFound
from kilonova.wire.version import MIN, Microversion

VARY: Final = "OpenStack-API-Version, X-OpenStack-Nova-API-Version"

_MOUNTS: Final = {"v2.0": "v2", "v2.1": "v2.1"}
_UPDATED: Final = {"v2.0": "2025-07-04T12:00:00Z", "v2.1": "2013-07-23T11:33:21Z"}
_MEDIA: Final = {"v2.0": "2", "v2.1": "2.1"}


def version_headers(version: Microversion) -> dict[str, str]:
    """What every reply of a microversioned path says of its version."""
    return {
        "OpenStack-API-Version": f"compute {version}",
        "X-OpenStack-Nova-API-Version": str(version),
        "Vary": VARY,
    }


def every_version(incoming: Incoming, maximum: Microversion) -> Reply:
    """``GET /``: both versions."""
    found = [{**_facts(id, maximum), "links": [_itself(incoming, _MOUNTS[id])]} for id in _MOUNTS]
    return Reply(status=200, body=msgspec.json.encode({"versions": found}))


def choices(incoming: Incoming) -> Reply:
    """What a path below no mount leads to: 300, and both versions with this path behind them."""
    found = [
        {
            "id": id,
            "status": _facts(id, MIN)["status"],
            "links": [{"rel": "self", "href": f"{incoming.base}/{mount}{incoming.path}"}],
            "media-types": _media_types(id),
        }
        for id, mount in _MOUNTS.items()
    ]
    return Reply(status=300, body=msgspec.json.encode({"choices": found}))


def one_version(incoming: Incoming, id: str, maximum: Microversion, *, mount: str | None = None) -> Reply:
    """The document of one version. NotFound for an id that is none; ``mount`` is where its link points."""
    if id not in _MOUNTS:
        raise NotFound("The resource could not be found.")
    links = [
        _itself(incoming, mount or _MOUNTS[id]),
        {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"},
    ]
    document = {**_facts(id, maximum), "links": links, "media-types": _media_types(id)}
    return Reply(status=200, body=msgspec.json.encode({"version": document}))


def _facts(id: str, maximum: Microversion) -> dict[str, Any]:
    is_old = id == "v2.0"
    return {
        "id": id,
        "status": "DEPRECATED" if is_old else "CURRENT",
        "version": "" if is_old else str(maximum),
        "min_version": "" if is_old else str(MIN),
        "updated": _UPDATED[id],
    }


def _itself(incoming: Incoming, mount: str) -> dict[str, str]:
    return {"rel": "self", "href": f"{incoming.base}/{mount}/"}


def _media_types(id: str) -> list[dict[str, str]]:
    return [{"base": "application/json", "type": f"application/vnd.openstack.compute+json;version={_MEDIA[id]}"}]
