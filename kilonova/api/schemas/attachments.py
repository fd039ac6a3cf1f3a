"""The schemas of what is attached to servers: volumes, shares, interfaces, addresses, groups (contract §11.10)."""

from collections.abc import Callable
from typing import Any, Final

from kilonova.api.schemas.types import BOOLEAN, NAME, TAG, Json, Param, body, param, the
from kilonova.api.schemas.validation import Schema
from kilonova.wire.version import Microversion, Span, Versioned

_ID: Final[Json] = {"type": "string", "format": "uuid"}
_IP: Final[Json] = {"type": "string", "oneOf": [{"format": "ipv4"}, {"format": "ipv6"}]}
_DEVICE: Final[Json] = {"type": ["string", "null"], "pattern": "(^/dev/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*$"}

_VOLUME: Final[tuple[Param, ...]] = (
    param("volumeId", _ID),
    param("device", _DEVICE),
    param("tag", TAG, since="2.49"),
    param("delete_on_termination", BOOLEAN, since="2.79"),
)
_SWAPPED: Final[tuple[Param, ...]] = (
    param("volumeId", _ID),
    param("device", _DEVICE, since="2.85"),
    param("tag", TAG, since="2.85"),
    param("delete_on_termination", BOOLEAN, since="2.85"),
    param("serverId", _ID, since="2.85"),
    param("id", _ID, since="2.85"),
)
_INTERFACE: Final[tuple[Param, ...]] = (
    param("net_id", _ID),
    param("port_id", _ID),
    param("fixed_ips", {"type": "array", "minItems": 1, "maxItems": 1, "items": the({"ip_address": _IP})}),
    param("tag", TAG, since="2.49"),
)


def _growing(fields: tuple[Param, ...], whole: Callable[[dict[str, Any]], Json]) -> Versioned[Schema | None]:
    """The schema at each version at which a field came."""
    edges = sorted({Microversion.parse(since) for _, _, since, _ in fields})
    at = {
        edge: {name: value for name, value, since, until in fields if Span.of(since, until).has(edge)} for edge in edges
    }
    return Versioned(*((str(edge), Schema(whole(parts))) for edge, parts in at.items()))


def _volume(parts: dict[str, Any]) -> Json:
    return the({"volumeAttachment": the(parts, required=("volumeId",))}, required=("volumeAttachment",))


ATTACH_VOLUME: Final = _growing(_VOLUME, _volume)
SWAP_VOLUME: Final = _growing(_SWAPPED, _volume)
ATTACH_INTERFACE: Final = _growing(_INTERFACE, lambda parts: the({"interfaceAttachment": the(parts)}))
ATTACH_SHARE: Final = body(
    the({"share": the({"share_id": _ID, "tag": TAG}, required=("share_id",))}, required=("share",))
)

ASSISTED_SNAPSHOT: Final = body(
    the(
        {
            "snapshot": the(
                {
                    "volume_id": {"type": "string", "minLength": 1},
                    "create_info": the(
                        {
                            "snapshot_id": {"type": "string", "minLength": 1},
                            "type": {"type": "string", "enum": ["qcow2"]},
                            "new_file": {"type": "string", "minLength": 1},
                            "id": {"type": "string", "minLength": 1},
                        },
                        required=("snapshot_id", "type", "new_file"),
                    ),
                },
                required=("volume_id", "create_info"),
            )
        },
        required=("snapshot",),
    )
)


def by_address(action: str) -> Versioned[Schema | None]:
    """The action of an address: ``{"address": …}``, and with ``addFloatingIp`` the fixed one that it leads to."""
    parts = {"address": {"type": "string", "minLength": 1}, "fixed_address": _IP}
    return body(the({action: the(parts, required=("address",), extra=True)}, required=(action,)))


def by_group(action: str) -> Versioned[Schema | None]:
    """The action of a security group: ``{"name": …}``."""
    return body(the({action: the({"name": NAME}, required=("name",), extra=True)}, required=(action,)))


def by_network(action: str) -> Versioned[Schema | None]:
    """The action of another address in a network: ``{"networkId": …}``."""
    network = {"type": ["string", "integer"], "minLength": 1}
    return body(the({action: the({"networkId": network}, required=("networkId",))}, required=(action,)))
