"""What is attached to servers in other clouds: volumes, shares, floating addresses, groups (contract §11.10).

There are no volumes, shares or floating addresses, so whichever is named is not found; and one security group a
project, which every server has. What the request and the server's state say against it is said first, as in Nova.
"""

from collections.abc import Callable
from json import JSONDecodeError, loads
from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.routes import Route, route
from kilonova.api.schemas import attachments as schemas
from kilonova.api.schemas.types import NON_NEGATIVE, PAGING, param, query
from kilonova.api.schemas.validation import Schema
from kilonova.domain.errors import Invalid, NotFound, NotSupported
from kilonova.domain.operations import get_operation
from kilonova.domain.transitions import refusal
from kilonova.network.views import group_id
from kilonova.wire.version import Versioned

_API: Final = "os_compute_api:"
_SERVER: Final = "/servers/{server_id}"
_VOLUMES: Final = _API + "os-volumes-attachments:"
_SHARES: Final = _API + "os-server-shares:"
_ADDRESSES_UNTIL: Final = "2.43"
_DEFAULT: Final = "default"


def attach_volume(call: Call) -> None:
    """``POST /servers/{id}/os-volume_attachments``."""
    _check_state(call, "attach_volume")
    raise _no_volume(call.body["volumeAttachment"]["volumeId"])


def swap_volume(call: Call) -> None:
    """``PUT /servers/{id}/os-volume_attachments/{volume_id}``."""
    _check_state(call, "swap_volume")
    raise _no_volume(call.params["volume_id"])


def detach_volume(call: Call) -> None:
    """``DELETE /servers/{id}/os-volume_attachments/{volume_id}``."""
    _check_state(call, "detach_volume")
    raise _no_volume(call.params["volume_id"])


def show_volume(call: Call) -> None:
    """``GET /servers/{id}/os-volume_attachments/{volume_id}``."""
    raise NotFound(f"Instance {call.server.uuid} is not attached to volume {call.params['volume_id']}")


def attach_share(call: Call) -> None:
    """``POST /servers/{id}/shares``."""
    _check_state(call, "attach_share")
    raise _no_share(call.body["share"]["share_id"])


def detach_share(call: Call) -> None:
    """``DELETE /servers/{id}/shares/{share_id}``."""
    _check_state(call, "detach_share")
    raise _no_share(call.params["share_id"])


def show_share(call: Call) -> None:
    """``GET /servers/{id}/shares/{share_id}``."""
    raise _no_share(call.params["share_id"])


def change_address(call: Call) -> None:
    """``addFloatingIp``, ``removeFloatingIp``: there is none."""
    del call
    raise NotFound("floating IP not found")


def add_fixed_address(call: Call) -> None:
    """``addFixedIp``: another address for the server's first interface in the network."""
    network = str(call.body["addFixedIp"]["networkId"])
    call.plane.addresses.add(call.request, call.server, network, may_override_lock=call.is_admin)


def remove_fixed_address(call: Call) -> None:
    """``removeFixedIp``: the interface stays, also without any address."""
    address = call.body["removeFixedIp"]["address"]
    call.plane.addresses.remove(call.request, call.server, address, may_override_lock=call.is_admin)


def add_group(call: Call) -> None:
    """``addSecurityGroup``: every server has its project's already."""
    _own_group(call, "addSecurityGroup")


def remove_group(call: Call) -> None:
    """``removeSecurityGroup``."""
    _own_group(call, "removeSecurityGroup")
    raise NotSupported("Kilonova has one security group a project, and every server is in it.")


def create_assisted_snapshot(call: Call) -> None:
    """``POST /os-assisted-volume-snapshots``."""
    raise _not_attached(call.body["snapshot"]["volume_id"])


def delete_assisted_snapshot(call: Call) -> None:
    """``DELETE /os-assisted-volume-snapshots/{id}``; what is to be deleted is told in the query, as JSON."""
    try:
        told = loads(call.first("delete_info") or "")
        raise _not_attached(told["volume_id"])
    except (JSONDecodeError, RecursionError, KeyError, TypeError) as error:
        raise Invalid("delete_info must be specified") from error


def _check_state(call: Call, operation: str) -> None:
    refused = refusal(get_operation(operation), call.server, may_override_lock=call.is_admin)
    if refused:
        raise refused


def _own_group(call: Call, action: str) -> None:
    project, name = call.server.project_id, call.body[action]["name"]
    if name not in (_DEFAULT, group_id(project)):
        raise NotFound(f"Security group {name} not found for project {project}.")


def _no_volume(volume: str) -> NotFound:
    return NotFound(f"Volume {volume} could not be found.")


def _no_share(share: str) -> NotFound:
    return NotFound(f"Share {share} could not be found.")


def _not_attached(volume: Any) -> NotFound:
    return NotFound(f"No volume Block Device Mapping with id {volume}.")


def _actions() -> tuple[Route, ...]:
    rows: tuple[tuple[str, Callable[[Call], None], str, str | None, Versioned[Schema | None]], ...] = (
        ("addFixedIp", add_fixed_address, "os-multinic:add", _ADDRESSES_UNTIL, schemas.by_network("addFixedIp")),
        (
            "removeFixedIp",
            remove_fixed_address,
            "os-multinic:remove",
            _ADDRESSES_UNTIL,
            schemas.by_address("removeFixedIp"),
        ),
        *(
            (f"{verb}FloatingIp", change_address, f"os-floating-ips:{verb}", _ADDRESSES_UNTIL, schema)
            for verb, schema in (
                ("add", schemas.by_address("addFloatingIp")),
                ("remove", schemas.by_address("removeFloatingIp")),
            )
        ),
        ("addSecurityGroup", add_group, "os-security-groups:add", None, schemas.by_group("addSecurityGroup")),
        (
            "removeSecurityGroup",
            remove_group,
            "os-security-groups:remove",
            None,
            schemas.by_group("removeSecurityGroup"),
        ),
    )
    return tuple(
        route(
            "POST",
            _SERVER + "/action",
            handle,
            policy=_API + rule,
            action=key,
            until=until,
            status=202,
            body=schema,
        )
        for key, handle, rule, until, schema in rows
    )


_ATTACHED: Final = _SERVER + "/os-volume_attachments"
_SHARED: Final = _SERVER + "/shares"
_SNAPSHOTS: Final = "/os-assisted-volume-snapshots"

ROUTES: Final[tuple[Route, ...]] = (
    route(
        "GET",
        _ATTACHED,
        lambda _: {"volumeAttachments": []},
        policy=_VOLUMES + "index",
        query=query(*PAGING, param("offset", NON_NEGATIVE), strict="2.75"),
    ),
    route("POST", _ATTACHED, attach_volume, policy=_VOLUMES + "create", body=schemas.ATTACH_VOLUME),
    route("GET", _ATTACHED + "/{volume_id}", show_volume, policy=_VOLUMES + "show"),
    route("PUT", _ATTACHED + "/{volume_id}", swap_volume, policy=_VOLUMES + "update", body=schemas.SWAP_VOLUME),
    route("DELETE", _ATTACHED + "/{volume_id}", detach_volume, policy=_VOLUMES + "delete"),
    route(
        "GET",
        _SHARED,
        lambda _: {"shares": []},
        policy=_SHARES + "index",
        since="2.97",
        query=query(strict="2.97"),
    ),
    route("POST", _SHARED, attach_share, policy=_SHARES + "create", since="2.97", body=schemas.ATTACH_SHARE),
    route(
        "GET",
        _SHARED + "/{share_id}",
        show_share,
        policy=_SHARES + "show",
        since="2.97",
        query=query(strict="2.97"),
    ),
    route("DELETE", _SHARED + "/{share_id}", detach_share, policy=_SHARES + "delete", since="2.97"),
    route(
        "POST",
        _SNAPSHOTS,
        create_assisted_snapshot,
        policy=_API + "os-assisted-volume-snapshots:create",
        body=schemas.ASSISTED_SNAPSHOT,
    ),
    route(
        "DELETE",
        _SNAPSHOTS + "/{id}",
        delete_assisted_snapshot,
        policy=_API + "os-assisted-volume-snapshots:delete",
        query=query(param("delete_info", {"type": "string", "maxLength": 4096}), strict="2.75"),
    ),
    *_actions(),
)
