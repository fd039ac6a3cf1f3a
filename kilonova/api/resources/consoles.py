"""Remote consoles: no driver of ours offers one, and nobody ever got a token (contract §11.11, §6.6.2)."""

from functools import partial
from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.routes import route
from kilonova.api.schemas.types import body, query, the
from kilonova.api.schemas.validation import Schema
from kilonova.domain.errors import Conflict, Invalid, NotFound, NotSupported
from kilonova.wire.version import Versioned

_API: Final = "os_compute_api:"
_SERVER: Final = "/servers/{server_id}"
_MALFORMED: Final = "The server could not comply with the request since it is either malformed or otherwise incorrect."
_OF_ALL_KINDS: Final = Versioned(("2.1", False), ("2.31", True))
_TYPES: Final = {
    "vnc": ("novnc", "xvpvnc"),
    "spice": ("spice-html5",),
    "rdp": ("rdp-html5",),
    "serial": ("serial",),
    "mks": ("webmks",),
}


def show_token(call: Call) -> None:
    """Whom a token leads to: until 2.30 only those of RDP could be asked for, which Nova has no more."""
    if not _OF_ALL_KINDS.at(call.version):
        raise Invalid(_MALFORMED)
    raise NotFound("Token not found")


def create(call: Call) -> None:
    """``POST remote-consoles``."""
    _refuse(call.body["remote_console"]["protocol"], call)


def _refuse(protocol: str, call: Call) -> None:
    """In Nova's order: what it removed, a server that is nowhere, and a driver that has none."""
    if protocol == "rdp":
        raise Invalid(_MALFORMED)
    if call.server.host is None:
        raise Conflict(f"Instance {call.server.uuid} is not ready")
    raise NotSupported("The driver of the server's host offers no remote consoles.")


def _ordered(*protocols: str, more: tuple[str, ...] = ()) -> dict[str, Any]:
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
    ("2.6", Schema(_ordered(*_FIRST))),
    ("2.8", Schema(_ordered(*_FIRST, "mks"))),
    ("2.99", Schema(_ordered(*_FIRST, "mks", more=("spice-direct",)))),
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
            partial(_refuse, protocol),
            policy=_API + "os-remote-consoles",
            action=key,
            until="2.5",
            body=body(_named(key, protocol)),
        )
        for key, protocol in _OLD.items()
    ),
)
