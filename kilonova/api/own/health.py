"""``/healthz`` and ``/readyz``: whether the process lives, and whether the plane can do its work.

Neither needs a token, and neither names anybody: a check has a status, a reason from a short list, and an age.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from kilonova.api.http import Reply
from kilonova.api.plane import Plane
from kilonova.services.monitor import Check

_HEALTH_TYPE: Final = "application/health+json"
_NO_STORE: Final = {"Cache-Control": "no-store"}
_ORDER: Final = ("pass", "warn", "fail")


def health(plane: Plane) -> Reply:
    """``GET /healthz``: whether this process lives and reaches its database; 200, or 503 where it does not."""
    return _reply(plane.monitor.alive())


def readiness(plane: Plane) -> Reply:
    """``GET /readyz``: whether the plane can do its work: 200 ``pass`` or ``warn``, 503 ``fail``."""
    return _reply(plane.monitor.ready())


def _reply(checks: Sequence[Check]) -> Reply:
    """As in the draft of a format for health checks: the worst of all is the whole's."""
    status = max((check.status for check in checks), key=_ORDER.index)
    body = {"status": status, "serviceId": "kilonova", "checks": {check.name: [_shown(check)] for check in checks}}
    return Reply(
        status=503 if status == "fail" else 200,
        body=msgspec.json.encode(body),
        content_type=_HEALTH_TYPE,
        headers=dict(_NO_STORE),
    )


def _shown(check: Check) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "status": check.status,
        "reason": check.reason,
        "age_seconds": round(check.age_seconds, 3),
    }
    if check.value is not None:
        shown |= {"observedValue": check.value, "observedUnit": check.unit}
    return shown
