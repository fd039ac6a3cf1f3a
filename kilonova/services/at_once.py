"""Operations that need no host and end within their request: lock, unlock, reset state and the like (contract §6.6.2).

Each is a function from the instance and what was asked to the instance as it then is, or None where nothing is to be
done and nothing to be recorded.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from kilonova.domain.model import Instance, Instant, Request
from kilonova.domain.states import VmState

Apply = Callable[[Instance, Request, Mapping[str, Any], Instant], Instance | None]


def lock(instance: Instance, request: Request, asked: Mapping[str, Any], now: Instant) -> Instance | None:
    """Lock it for its owner, or for the administrator who is not; None where the owner's project did already."""
    is_owner = request.project_id == instance.project_id
    if instance.locked_by and is_owner:
        return None
    return instance._replace(
        locked_by="owner" if is_owner else "admin", locked_reason=asked.get("locked_reason"), updated_at=now
    )


def unlock(instance: Instance, _request: Request, _asked: Mapping[str, Any], now: Instant) -> Instance:
    """Unlock it; one that is not locked is recorded all the same."""
    return instance._replace(locked_by=None, locked_reason=None, updated_at=now)


def reset_state(instance: Instance, _request: Request, asked: Mapping[str, Any], now: Instant) -> Instance:
    """Declare it active or in error, whatever it is; no fault is made, and an old one may show."""
    return instance._replace(vm_state=VmState(asked["state"]), task_state=None, updated_at=now)


def inject_network_info(_instance: Instance, _request: Request, _asked: Mapping[str, Any], _now: Instant) -> None:
    """Nothing is to be done: a guest asks the network for its address whenever it comes up."""


AT_ONCE: Final[Mapping[str, Apply]] = {
    "lock": lock,
    "unlock": unlock,
    "reset_state": reset_state,
    "inject_network_info": inject_network_info,
}
"""By the operation's name."""
