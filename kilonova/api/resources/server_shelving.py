"""``shelve`` and ``unshelve``: what of the body, and of the caller, becomes part of what is asked (contract §6.6.2)."""

from typing import Any, Final
from uuid import uuid4

from kilonova.api.call import Call
from kilonova.domain.operations import get_operation
from kilonova.wire.version import Versioned

_TO_HOST: Final = "os_compute_api:os-shelve:unshelve_to_host"
_HAS_WISHES: Final = Versioned(("2.1", False), ("2.77", True))
"""Whether a zone, later also a host, can be asked for; what an earlier body says means nothing."""


def shelve(call: Call) -> None:
    """``shelve``: its image is the caller's, as that of ``createImage``."""
    asked = {
        "image_id": str(uuid4()),
        "project_id": call.caller.project_id,
        "user_id": call.caller.user_id,
    }
    _act(call, "shelve", asked)


def unshelve(call: Call) -> None:
    """``unshelve``, to a zone or a host where that is asked for."""
    wanted: dict[str, Any] = (call.body["unshelve"] or {}) if _HAS_WISHES.at(call.version) else {}
    if "host" in wanted:
        call.check(_TO_HOST, project_id=call.server.project_id)
    _act(call, "unshelve", wanted)


def _act(call: Call, name: str, asked: dict[str, Any]) -> None:
    call.plane.act(call.request, call.server, get_operation(name), asked, may_override_lock=call.is_admin)
