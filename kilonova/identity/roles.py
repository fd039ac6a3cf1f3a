"""Keystone v3 over HTTP: roles, what they bring, who has which on what, and application credentials."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from kilonova.domain.accounts import Grant, Role, RoleInference, Target
from kilonova.domain.errors import NotFound, NotSupported
from kilonova.identity.call import Call
from kilonova.identity.granting import Assignment
from kilonova.identity.views import (
    credential_view,
    grant_path,
    grant_view,
    inference_path,
    inference_view,
    listing,
    named_role,
    role_view,
)


def _inferences(call: Call) -> Response:
    call.admin("list_role_inference_rules")
    roles = {role.id: role for role in call.room.records.list_roles()}
    views = [
        {"prior_role": named_role(prior, call.here), "implies": [named_role(one, call.here) for one in implied]}
        for prior in roles.values()
        if (implied := _brought(call, prior.id, roles))
    ]
    return JSONResponse({"role_inferences": views, "links": {"self": f"{call.here}/v3/role_inferences"}})


def _implied(call: Call) -> Response:
    call.admin("list_implied_roles")
    prior = call.room.accounts.get_role(call.path("id"))
    roles = {role.id: role for role in call.room.records.list_roles()}
    implied = [named_role(role, call.here) for role in _brought(call, prior.id, roles)]
    view = {"prior_role": named_role(prior, call.here), "implies": implied}
    return JSONResponse({"role_inference": view, "links": {"self": f"{call.here}/v3/roles/{prior.id}/implies"}})


def _brought(call: Call, prior_id: str, roles: dict[str, Role]) -> list[Role]:
    inferences = call.room.records.list_inferences()
    return [roles[one.implied_role_id] for one in inferences if one.prior_role_id == prior_id]


def _imply(call: Call) -> Response:
    call.admin("create_implied_role")
    inference = _named_inference(call)
    call.room.granting.imply(inference)
    return _one_inference(call, inference, status=201)


def _check_implied(call: Call) -> Response:
    call.admin("get_implied_role")
    inference = _named_inference(call)
    call.room.granting.check_implied(inference)
    if call.request.method == "HEAD":
        return Response(status_code=204)
    return _one_inference(call, inference, status=200)


def _stop_implying(call: Call) -> Response:
    call.admin("delete_implied_role")
    call.room.granting.stop_implying(_named_inference(call))
    return Response(status_code=204)


def _one_inference(call: Call, inference: RoleInference, *, status: int) -> Response:
    get_role = call.room.accounts.get_role
    view = inference_view(get_role(inference.prior_role_id), get_role(inference.implied_role_id), call.here)
    headers = {"Location": call.here + inference_path(inference)} if status == 201 else {}
    return JSONResponse(view, status_code=status, headers=headers)


def _named_inference(call: Call) -> RoleInference:
    return RoleInference(prior_role_id=call.path("id"), implied_role_id=call.path("implied_id"))


def _granted_roles(call: Call) -> Response:
    call.admin("list_grants")
    roles = call.room.granting.list_roles_of(_named_grant(call, role_id=""))
    return call.listed("roles", [role_view(role, call.here) for role in roles])


def _grant(call: Call) -> Response:
    call.admin("create_grant")
    call.room.granting.grant(_named_grant(call, role_id=call.path("role_id")))
    return Response(status_code=204)


def _check_grant(call: Call) -> Response:
    call.admin("check_grant")
    call.room.granting.check_granted(_named_grant(call, role_id=call.path("role_id")))
    return Response(status_code=204)


def _take_back(call: Call) -> Response:
    call.admin("revoke_grant")
    call.room.granting.take_back(_named_grant(call, role_id=call.path("role_id")))
    return Response(status_code=204)


def _named_grant(call: Call, *, role_id: str) -> Grant:
    """The grant that a path names by what is in it: a project, a domain or neither; a user or a group."""
    given = call.request.path_params
    ends = {key: call.path(key) for key in ("user_id", "group_id", "project_id", "domain_id") if key in given}
    return Grant(role_id=role_id, is_system="project_id" not in given and "domain_id" not in given, **ends)


def _inherited(call: Call) -> Response:
    call.admin("create_grant")
    raise NotSupported("Grants here are not inherited: projects lie flat in their domain; grant on each of them.")


def _assignments(call: Call) -> Response:
    """Who has which role where; ``effective`` adds the implied roles and groups' members, ``include_names`` names."""
    user_id = call.query("user.id")
    call.allowed("list_role_assignments", user_id=user_id)
    chosen = call.room.granting.assignments(effective=_is_on(call, "effective"))
    views = [_assignment_view(call, one) for one in chosen if _is_asked_for(call, one.grant)]
    if _is_on(call, "include_names"):
        _add_names(call, views)
    return JSONResponse(listing("role_assignments", views, f"{call.here}/v3/role_assignments"))


def _is_on(call: Call, name: str) -> bool:
    """Whether a parameter is there and does not say no."""
    return call.asks(name) and (call.query(name) or "").lower() not in ("0", "false")


def _is_asked_for(call: Call, grant: Grant) -> bool:
    wanted = {
        "user.id": grant.user_id,
        "group.id": grant.group_id,
        "role.id": grant.role_id,
        "scope.project.id": grant.project_id,
        "scope.domain.id": grant.domain_id,
    }
    fits = all(call.query(key) in (None, value) for key, value in wanted.items())
    return fits and (not call.asks("scope.system") or grant.is_system)


def _assignment_view(call: Call, one: Assignment) -> dict[str, Any]:
    view = grant_view(one.grant, call.here)
    if one.by_group_id is not None:
        granted = {"role_id": one.prior_role_id or one.grant.role_id, "group_id": one.by_group_id}
        target: Target = one.grant.target
        source = Grant(project_id=target.project_id, domain_id=target.domain_id, is_system=target.is_system, **granted)
        view["links"]["assignment"] = call.here + grant_path(source)
        view["links"]["membership"] = f"{call.here}/v3/groups/{one.by_group_id}/users/{one.grant.user_id}"
    if one.prior_role_id is not None:
        pair = RoleInference(prior_role_id=one.prior_role_id, implied_role_id=one.grant.role_id)
        view["links"]["prior_role"] = call.here + inference_path(pair)
    return view


def _add_names(call: Call, views: list[dict[str, Any]]) -> None:
    records = call.room.records
    domains = {domain.id: {"id": domain.id, "name": domain.name} for domain in records.list_domains()}
    named = {
        "user": {user.id: (user.name, user.domain_id) for user in records.list_users()},
        "group": {group.id: (group.name, group.domain_id) for group in records.list_groups()},
        "project": {project.id: (project.name, project.domain_id) for project in records.list_projects()},
    }
    roles = {role.id: role.name for role in records.list_roles()}
    for view in views:
        view["role"]["name"] = roles[view["role"]["id"]]
        if "domain" in view["scope"]:
            view["scope"]["domain"] = domains[view["scope"]["domain"]["id"]]
        for noun, parts in (("user", view), ("group", view), ("project", view["scope"])):
            if noun in parts:
                name, domain_id = named[noun][parts[noun]["id"]]
                parts[noun] |= {"name": name, "domain": domains[domain_id]}


def _credentials(call: Call) -> Response:
    user_id = call.path("user_id")
    call.allowed("list_application_credentials", user_id=user_id)
    credentials = call.room.credentials
    views = [credential_view(one, credentials.roles_of(one), call.here) for one in credentials.list_of(user_id)]
    return call.listed("application_credentials", views)


def _credential(call: Call) -> Response:
    user_id = call.path("user_id")
    call.allowed("get_application_credential", user_id=user_id)
    one = call.room.credentials.get(user_id, call.path("id"))
    return JSONResponse(
        {"application_credential": credential_view(one, call.room.credentials.roles_of(one), call.here)}
    )


def _create_credential(call: Call) -> Response:
    """Only ever for oneself: not even an administrator signs in as somebody else."""
    caller = call.caller()
    if caller.user_id != call.path("user_id"):
        raise NotFound(f"Could not find user: {call.path('user_id')}.")
    one, secret = call.room.credentials.create(call.section("application_credential"), caller)
    view = credential_view(one, call.room.credentials.roles_of(one), call.here)
    return JSONResponse({"application_credential": view | {"secret": secret}}, status_code=201)


def _delete_credential(call: Call) -> Response:
    user_id = call.path("user_id")
    caller = call.allowed("delete_application_credential", user_id=user_id)
    call.room.credentials.delete(user_id, call.path("id"), caller)
    return Response(status_code=204)


def _access_rules(call: Call) -> Response:
    call.allowed("list_access_rules", user_id=call.path("user_id"))
    return call.listed("access_rules", [])


Handler = Callable[[Call], Response]


def _grant_routes() -> Iterator[tuple[str, str, Handler]]:
    for place in ("projects/{project_id}", "domains/{domain_id}", "system"):
        for actor in ("users/{user_id}", "groups/{group_id}"):
            path = f"/v3/{place}/{actor}/roles"
            yield "GET", path, _granted_roles
            yield "GET", f"{path}/{{role_id}}", _check_grant
            yield "PUT", f"{path}/{{role_id}}", _grant
            yield "DELETE", f"{path}/{{role_id}}", _take_back


ROUTES: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("GET", "/v3/role_inferences", _inferences),
    ("GET", "/v3/roles/{id}/implies", _implied),
    ("GET", "/v3/roles/{id}/implies/{implied_id}", _check_implied),
    ("PUT", "/v3/roles/{id}/implies/{implied_id}", _imply),
    ("DELETE", "/v3/roles/{id}/implies/{implied_id}", _stop_implying),
    ("GET", "/v3/role_assignments", _assignments),
    *_grant_routes(),
    ("PUT", "/v3/OS-INHERIT/{rest:path}", _inherited),
    ("GET", "/v3/users/{user_id}/application_credentials", _credentials),
    ("POST", "/v3/users/{user_id}/application_credentials", _create_credential),
    ("GET", "/v3/users/{user_id}/application_credentials/{id}", _credential),
    ("DELETE", "/v3/users/{user_id}/application_credentials/{id}", _delete_credential),
    ("GET", "/v3/users/{user_id}/access_rules", _access_rules),
)
