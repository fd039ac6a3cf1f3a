"""Remote consoles: addresses that open a server's screen or serial port for a while (contract §11.11, §6.6.2)."""

from functools import partial
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from kilonova.api.call import Call
from kilonova.api.routes import route
from kilonova.api.schemas.types import body, query, the
from kilonova.api.schemas.validation import Schema
from kilonova.domain.errors import Conflict, Invalid, NotSupported
from kilonova.domain.remote_consoles import ConsoleKind
from kilonova.services.console_settings import NOVNC_PAGE
from kilonova.wire.version import Versioned

_API: Final = "os_compute_api:"
_SERVER: Final = "/servers/{server_id}"
_MALFORMED: Final = "The server could not comply with the request since it is either malformed or otherwise incorrect."
_OF_ALL_KINDS: Final = Versioned(("2.1", False), ("2.31", True))
_TELLS_TLS_PORT: Final = Versioned(("2.1", False), ("2.99", True))
_TYPES: Final = {
    "vnc": ("novnc", "xvpvnc"),
    "spice": ("spice-html5",),
    "rdp": ("rdp-html5",),
    "serial": ("serial",),
    "mks": ("webmks",),
}
_SPICE_DIRECT: Final = "spice-direct"
_OFFERED: Final = {("vnc", "novnc"): ConsoleKind.VNC, ("serial", "serial"): ConsoleKind.SERIAL}
_NO_PORT: Final = 0
"""Guests listen on sockets of their host, which no other machine can reach."""


def show_token(call: Call) -> dict[str, Any]:
    """Where a token leads: until 2.30 only those of RDP could be asked for, which Nova has no more."""
    if not _OF_ALL_KINDS.at(call.version):
        raise Invalid(_MALFORMED)
    token = call.plane.consoles.get(call.params["token"])
    tls = {"tls_port": None} if _TELLS_TLS_PORT.at(call.version) else {}
    place = {"host": token.host, "port": _NO_PORT, "internal_access_path": None}
    return {"console": {"instance_uuid": token.instance_uuid, **place, **tls}}


def create(call: Call) -> dict[str, Any]:
    """``POST remote-consoles``."""
    wanted = call.body["remote_console"]
    protocol, kind = wanted["protocol"], wanted["type"]
    return {"remote_console": {"protocol": protocol, "type": kind, "url": _ordered(protocol, kind, call)}}


def _create_the_old_way(protocol: str, key: str, call: Call) -> dict[str, Any]:
    kind = call.body[key]["type"]
    return {"console": {"type": kind, "url": _ordered(protocol, kind, call)}}


def _ordered(protocol: str, kind: str, call: Call) -> str:
    """The address. Refused in Nova's order: what it removed, a server that is nowhere, and what nobody offers."""
    if protocol == "rdp":
        raise Invalid(_MALFORMED)
    if call.server.host is None:
        raise Conflict(f"Instance {call.server.uuid} is not ready")
    offered = _OFFERED.get((protocol, kind))
    if offered is None and (protocol in _OFFERED_PROTOCOLS or kind not in (*_TYPES[protocol], _SPICE_DIRECT)):
        raise Invalid(f"Invalid console type {kind}")
    if offered is None:
        raise NotSupported("The driver of the server's host offers no remote console of this kind.")
    return _address(call, offered, call.plane.consoles.order(call.server, offered))


_OFFERED_PROTOCOLS: Final = frozenset(protocol for protocol, _ in _OFFERED)


def _address(call: Call, kind: ConsoleKind, token: str) -> str:
    """Where the console is opened: as the settings say, else at the host under which the API was asked."""
    consoles = call.plane.consoles
    place = f"{call.links.host}:{consoles.port}"
    if kind is ConsoleKind.SERIAL:
        base, query = consoles.settings.serial_console.base_url or f"ws://{place}/", {"token": token}
    else:
        base, query = (
            consoles.settings.vnc.novncproxy_base_url or f"http://{place}/{NOVNC_PAGE}",
            {"path": f"?token={token}"},
        )
    parts = urlsplit(base)
    return parts._replace(query="&".join(filter(None, (parts.query, urlencode(query))))).geturl()


def _asked_for(*protocols: str, more: tuple[str, ...] = ()) -> dict[str, Any]:
    types = [kind for protocol in protocols for kind in _TYPES[protocol]] + list(more)
    one = the(
        {"protocol": {"type": "string", "enum": list(protocols)}, "type": {"type": "string", "enum": types}},
        required=("protocol", "type"),
    )
    return the({"remote_console": one}, required=("remote_console",))


def _named(key: str, protocol: str) -> dict[str, Any]:
    one = the({"type": {"type": "string", "enum": list(_TYPES[protocol])}}, required=("type",))
    return the({key: one}, required=(key,))


_OLD: Final = {
    "os-getVNCConsole": "vnc",
    "os-getSPICEConsole": "spice",
    "os-getRDPConsole": "rdp",
    "os-getSerialConsole": "serial",
}
_FIRST: Final = ("vnc", "spice", "rdp", "serial")
_WANTED: Final = Versioned[Schema | None](
    ("2.6", Schema(_asked_for(*_FIRST))),
    ("2.8", Schema(_asked_for(*_FIRST, "mks"))),
    ("2.99", Schema(_asked_for(*_FIRST, "mks", more=(_SPICE_DIRECT,)))),
)

ROUTES: Final = (
    route(
        "GET",
        "/os-console-auth-tokens/{token}",
        show_token,
        policy=_API + "os-console-auth-tokens",
        query=query(strict="2.99"),
    ),
    route(
        "POST",
        _SERVER + "/remote-consoles",
        create,
        policy=_API + "os-remote-consoles",
        since="2.6",
        body=_WANTED,
    ),
    *(
        route(
            "POST",
            _SERVER + "/action",
            partial(_create_the_old_way, protocol, key),
            policy=_API + "os-remote-consoles",
            action=key,
            until="2.5",
            body=body(_named(key, protocol)),
        )
        for key, protocol in _OLD.items()
    ),
)
