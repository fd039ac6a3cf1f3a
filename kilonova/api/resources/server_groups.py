"""``/os-server-groups``: servers that belong together, or apart (contract §11.5)."""

from typing import Any, Final
from uuid import uuid4

from kilonova.api.call import Call, Page
from kilonova.api.paging import page_limit
from kilonova.api.quotas import limits_of
from kilonova.api.routes import Many, One, Target, route
from kilonova.api.schemas import server_groups as schemas
from kilonova.api.schemas.types import NOTHING, integer
from kilonova.api.shape import Shape, field
from kilonova.domain.errors import Invalid
from kilonova.domain.groups import GroupPolicy, ServerGroup
from kilonova.store import server_groups

_RULE: Final = "os_compute_api:os-server-groups:"


def _rules(group: ServerGroup) -> dict[str, int]:
    most = group.max_server_per_host
    return {} if most is None else {"max_server_per_host": most}


GROUP: Final = Shape(
    "server_group",
    field("id", "uuid"),
    field("name", "name"),
    field("policies", lambda group: [group.policy], until="2.63"),
    field("metadata", lambda _: {}, until="2.63"),
    field("policy", "policy", since="2.64"),
    field("rules", _rules, since="2.64"),
    field("members", "members"),
    field("project_id", "project_id", since="2.13"),
    field("user_id", "user_id", since="2.13"),
)


def index(call: Call) -> Page:
    """``GET /os-server-groups``; ``all_projects`` says nothing to who is no administrator."""
    is_for_all = call.sees_all and "all_projects" in call.query
    if is_for_all:
        call.check(_RULE + "index:all_projects")
    with call.plane.database.read() as connection:
        found = server_groups.list_server_groups(connection, None if is_for_all else call.caller.project_id or "")
    start = integer("offset", call.first("offset") or 0)
    return Page(records=found[start : start + page_limit(call)])


def show(call: Call) -> ServerGroup:
    """``GET /os-server-groups/{id}``."""
    return _group(call, "show")


def create(call: Call) -> ServerGroup:
    """``POST /os-server-groups``."""
    wanted: dict[str, Any] = call.body["server_group"]
    policy = GroupPolicy(wanted["policy"] if "policy" in wanted else wanted["policies"][0])
    rules = wanted.get("rules") or {}
    if rules and policy is not GroupPolicy.ANTI_AFFINITY:
        raise Invalid("Only anti-affinity policy supports rules.")
    most = rules.get("max_server_per_host")
    group = ServerGroup(
        id=0,
        uuid=str(uuid4()),
        name=wanted["name"],
        project_id=call.caller.project_id or "",
        user_id=call.caller.user_id,
        policy=policy,
        max_server_per_host=None if most is None else integer("max_server_per_host", most, least=1),
        created_at=call.plane.now(),
    )
    limit = limits_of(call)["server_groups"]
    with call.plane.database.transaction() as tx:
        return server_groups.add_server_group(tx, group, limit=limit, request=call.request)


def delete(call: Call) -> None:
    """``DELETE /os-server-groups/{id}``; its servers stay where they are."""
    group = _group(call, "delete")
    with call.plane.database.transaction() as tx:
        server_groups.remove_server_group(tx, group.uuid, request=call.request)


def _group(call: Call, rule: str) -> ServerGroup:
    """The group of the path; another project's is there, and forbidden."""
    with call.plane.database.read() as connection:
        group = server_groups.get_server_group(connection, call.params["id"])
    call.check(_RULE + rule, project_id=group.project_id)
    return group


ROUTES: Final = (
    route(
        "GET",
        "/os-server-groups",
        index,
        policy=_RULE + "index",
        query=schemas.LIST,
        returns=Many(shape=GROUP, key="server_groups"),
    ),
    route(
        "GET",
        "/os-server-groups/{id}",
        show,
        policy=_RULE + "show",
        target=Target.HANDLER,
        query=NOTHING,
        returns=One(shape=GROUP),
    ),
    route(
        "POST",
        "/os-server-groups",
        create,
        policy=_RULE + "create",
        body=schemas.CREATE,
        returns=One(shape=GROUP),
    ),
    route("DELETE", "/os-server-groups/{id}", delete, policy=_RULE + "delete", target=Target.HANDLER, status=204),
)
