"""The limits that hold for a caller, for whoever has to keep to them (contract §4.2)."""

from collections.abc import Mapping

from kilonova.api.call import Call
from kilonova.domain.errors import Invalid
from kilonova.store.quotas import get_limits


def limits_of(call: Call, user_id: str | None = None) -> Mapping[str, int]:
    """What a user, the caller unless another is named, may have in the caller's project, by resource."""
    project_id = call.caller.project_id or ""
    defaults = call.plane.settings.limits
    with call.plane.database.read() as connection:
        return get_limits(connection, defaults, project_id, user_id or call.caller.user_id).effective


def project_of(call: Call) -> str:
    """The project of the path. Invalid, in Nova's words, where there is none such (contract §4.3)."""
    project_id = call.params["project_id"]
    if not call.plane.is_project(project_id):
        raise Invalid(f"Project ID {project_id} is not a valid project.")
    return project_id
