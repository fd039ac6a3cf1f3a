"""``POST /servers/{id}/action``: one route a key, most of them made from the table of operations (contract §6.6)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.resources.server_images import create_backup, create_image
from kilonova.api.resources.server_moves import evacuate, live_migrate, migrate, resize
from kilonova.api.resources.server_remaking import change_password, rebuild, rescue
from kilonova.api.resources.server_shelving import shelve, unshelve
from kilonova.api.resources.server_views import REBUILT
from kilonova.api.routes import One, Route, route
from kilonova.api.schemas import servers as schemas
from kilonova.api.schemas.validation import Schema
from kilonova.domain.operations import REQUESTED, Operation
from kilonova.wire.version import Versioned

_PATH: Final = "/servers/{server_id}/action"
_UNLOCK_OVERRIDE: Final = "os_compute_api:os-lock-server:unlock:unlock_override"


def _act(operations: tuple[Operation, ...]) -> Callable[[Call], None]:
    """What an action's key does; a key with several rows picks one by the ``type`` in its value."""
    by_variant = {operation.variant: operation for operation in operations}

    def act(call: Call) -> None:
        (value,) = call.body.values()
        parameters: dict[str, Any] = value if isinstance(value, dict) else {}
        variant = parameters["type"].upper() if None not in by_variant else None
        operation = by_variant[variant]
        if operation.name == "unlock":
            _check_unlock(call)
        call.plane.act(call.request, call.server, operation, parameters, may_override_lock=call.is_admin)

    return act


def _check_unlock(call: Call) -> None:
    """Forbidden for a lock of the other kind: the owner's for who is not, an administrator's for the owner (§6.6.2)."""
    kind = "owner" if call.server.project_id == call.caller.project_id else "admin"
    if call.server.locked_by not in (None, kind):
        call.check(_UNLOCK_OVERRIDE, project_id=call.server.project_id)


def console_output(call: Call) -> dict[str, str]:
    """``os-getConsoleOutput``: the whole log, or its last ``length`` lines (contract §6.6.2)."""
    (value,) = call.body.values()
    length = (value or {}).get("length")
    lines = None if length is None or int(length) == -1 else int(length)
    written = call.plane.console_output(call.server, lines=lines)
    if lines is None:
        return {"output": written}
    # As Nova counts: what follows the last line break is a line too, be it empty.
    return {"output": "\n".join(written.split("\n")[-lines:]) if lines else ""}


def _of_operation(key: str, operations: tuple[Operation, ...]) -> Route:
    first = operations[0]
    made = route(
        "POST",
        _PATH,
        _SPECIAL.get(key) or _act(operations),
        policy=first.policy,
        action=key,
        since=first.since,
        until=first.until,
        status=first.status,
        body=schemas.of_action(key),
    )
    return replace(made, returns=One(shape=REBUILT)) if key == "rebuild" else made


_SPECIAL: Final[dict[str, Callable[[Call], Any]]] = {
    "rebuild": rebuild,
    "rescue": rescue,
    "changePassword": change_password,
    "createImage": create_image,
    "shelve": shelve,
    "unshelve": unshelve,
    "createBackup": create_backup,
    "resize": resize,
    "migrate": migrate,
    "os-migrateLive": live_migrate,
    "evacuate": evacuate,
}
_KEYS: Final = dict.fromkeys(key for key, _ in REQUESTED)

ROUTES: Final = (
    *(_of_operation(key, tuple(row for (each, _), row in REQUESTED.items() if each == key)) for key in _KEYS),
    route(
        "POST",
        _PATH,
        console_output,
        policy="os_compute_api:os-console-output",
        action="os-getConsoleOutput",
        body=Versioned[Schema | None](("2.1", Schema(schemas.CONSOLE_OUTPUT))),
    ),
)
