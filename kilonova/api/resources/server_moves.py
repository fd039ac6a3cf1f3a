"""The actions that move a server to another host or flavor (contract §6.6.2)."""

from typing import Any, Final

from kilonova.api.call import Call, Plain
from kilonova.api.resources.servers import told_password
from kilonova.api.schemas.types import flavor_id, truth
from kilonova.domain.operations import get_operation
from kilonova.wire.version import Versioned

_MAY_NAME_HOST: Final = "os_compute_api:os-migrate-server:migrate:host"

_MAY_NAME_LIVE_HOST: Final = "os_compute_api:os-migrate-server:migrate_live:host"
_NAMES_HOST: Final = Versioned(("2.1", False), ("2.56", True))
_FORCES_LIVE: Final = Versioned(("2.1", True), ("2.30", False))
_FORCES_EVACUATION: Final = Versioned(("2.1", True), ("2.29", False))
_LOOKS_FIRST: Final = Versioned(("2.1", True), ("2.34", False))
_STOPS: Final = Versioned(("2.1", False), ("2.95", True))
_TELLS_PASSWORD: Final = Versioned(("2.1", True), ("2.14", False))


def resize(call: Call) -> None:
    """``resize``: another flavor, and maybe another host."""
    wanted: dict[str, Any] = call.body["resize"]
    _act(
        call,
        "resize",
        {
            "flavorid": flavor_id(wanted["flavorRef"]),
            "disk_config": wanted.get("OS-DCF:diskConfig"),
            "project_id": call.server.project_id,
            "sees_private_flavors": call.is_admin,
        },
    )


def migrate(call: Call) -> None:
    """``migrate``: another host, which an administrator may name from 2.56 on."""
    value = call.body["migrate"]
    host = value.get("host") if isinstance(value, dict) and _NAMES_HOST.at(call.version) else None
    if host is not None:
        call.check(_MAY_NAME_HOST, project_id=call.server.project_id)
    _act(call, "migrate", {"host": host})


def live_migrate(call: Call) -> None:
    """``os-migrateLive``: another host while it runs, which an administrator may name."""
    wanted: dict[str, Any] = call.body["os-migrateLive"]
    host = wanted.get("host")
    if host is not None:
        call.check(_MAY_NAME_LIVE_HOST, project_id=call.server.project_id)
    is_forced = wanted.get("force", _FORCES_LIVE.at(call.version))
    asked = {"host": host, "is_forced": truth(is_forced), "looks_first": _LOOKS_FIRST.at(call.version)}
    _act(call, "live_migrate", asked)


def evacuate(call: Call) -> Plain:
    """``evacuate``: another host for the server of one that is down, made anew there from its image."""
    wanted: dict[str, Any] = call.body["evacuate"]
    is_forced = truth(wanted.get("force", _FORCES_EVACUATION.at(call.version)))
    asked = {"host": wanted.get("host"), "is_forced": is_forced, "stops": _STOPS.at(call.version)}
    _act(call, "evacuate", asked)
    password = told_password(call, wanted.get("adminPass")) if _TELLS_PASSWORD.at(call.version) else None
    return Plain(None if password is None else {"adminPass": password})


def _act(call: Call, name: str, asked: dict[str, Any]) -> None:
    call.plane.act(call.request, call.server, get_operation(name), asked, may_override_lock=call.is_admin)
