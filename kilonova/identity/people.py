"""Keystone v3 over HTTP: domains, projects, users and groups."""

import json
from collections.abc import Callable
from typing import Final

from starlette.responses import JSONResponse, Response

from kilonova.domain.errors import NotFound
from kilonova.identity.call import Call, forbidden
from kilonova.identity.views import domain_view, group_view, project_view, tags_of, user_view


def _domains(call: Call) -> Response:
    call.admin("list_domains")
    return call.listed("domains", [domain_view(domain, call.here) for domain in call.room.records.list_domains()])


def _domain(call: Call) -> Response:
    domain_id = call.path("id")
    caller = call.caller()
    own = (caller.user_domain_id, caller.project_domain_id, caller.domain_id)
    if not caller.administers_identity and domain_id not in own:
        raise forbidden("get_domain")
    return JSONResponse({"domain": domain_view(call.room.accounts.get_domain(domain_id), call.here)})


def _create_domain(call: Call) -> Response:
    call.admin("create_domain")
    domain = call.room.accounts.create_domain(call.section("domain"))
    return JSONResponse({"domain": domain_view(domain, call.here)}, status_code=201)


def _update_domain(call: Call) -> Response:
    call.admin("update_domain")
    domain = call.room.accounts.update_domain(call.path("id"), call.section("domain"))
    return JSONResponse({"domain": domain_view(domain, call.here)})


def _delete_domain(call: Call) -> Response:
    call.admin("delete_domain")
    call.room.accounts.delete_domain(call.path("id"))
    return Response(status_code=204)


def _projects(call: Call) -> Response:
    call.admin("list_projects")
    return call.listed("projects", [project_view(project, call.here) for project in call.room.records.list_projects()])


def _project(call: Call) -> Response:
    project_id = call.path("id")
    caller = call.caller()
    if not caller.administers_identity and project_id != caller.project_id:
        raise forbidden("get_project")
    return JSONResponse({"project": project_view(call.room.accounts.get_project(project_id), call.here)})


def _create_project(call: Call) -> Response:
    call.admin("create_project")
    project = call.room.accounts.create_project(call.section("project"))
    return JSONResponse({"project": project_view(project, call.here)}, status_code=201)


def _update_project(call: Call) -> Response:
    call.admin("update_project")
    project = call.room.accounts.update_project(call.path("id"), call.section("project"))
    return JSONResponse({"project": project_view(project, call.here)})


def _delete_project(call: Call) -> Response:
    call.admin("delete_project")
    call.room.accounts.delete_project(call.path("id"))
    return Response(status_code=204)


def _tags(call: Call) -> Response:
    call.admin("list_project_tags")
    return _show_tags(call, tags_of(call.room.accounts.get_project(call.path("id"))))


def _set_tags(call: Call) -> Response:
    call.admin("update_project_tags")
    wanted = call.body.get("tags") if isinstance(call.body, dict) else None
    project = call.room.accounts.update_project(call.path("id"), {"tags": [] if wanted is None else wanted})
    return _show_tags(call, tags_of(project))


def _drop_tags(call: Call) -> Response:
    call.admin("delete_project_tags")
    call.room.accounts.update_project(call.path("id"), {"tags": []})
    return Response(status_code=204)


def _show_tags(call: Call, tags: list[str]) -> Response:
    return JSONResponse({"tags": tags, "links": {"self": f"{call.here}/v3/projects/{call.path('id')}/tags"}})


def _tag(call: Call) -> Response:
    call.admin("get_project_tag")
    _tags_with(call)
    return Response(status_code=204)


def _add_tag(call: Call) -> Response:
    call.admin("create_project_tag")
    project_id, tag = call.path("id"), call.path("tag")
    tags = tags_of(call.room.accounts.get_project(project_id))
    call.room.accounts.update_project(project_id, {"tags": [*tags, tag]})
    location = f"{call.here}/v3/projects/{project_id}/tags/{tag}"
    return Response(status_code=201, headers={"Location": location.encode("ascii", "ignore").decode()})


def _drop_tag(call: Call) -> Response:
    call.admin("delete_project_tag")
    tags = _tags_with(call)
    kept = [tag for tag in tags if tag != call.path("tag")]
    call.room.accounts.update_project(call.path("id"), {"tags": kept})
    return Response(status_code=204)


def _tags_with(call: Call) -> list[str]:
    tags = tags_of(call.room.accounts.get_project(call.path("id")))
    if call.path("tag") not in tags:
        raise NotFound(f"Could not find project tag: {json.dumps(call.path('tag'))}.")
    return tags


def _users(call: Call) -> Response:
    call.admin("list_users")
    return call.listed("users", [user_view(user, call.here) for user in call.room.records.list_users()])


def _user(call: Call) -> Response:
    call.allowed("get_user", user_id=call.path("id"))
    return JSONResponse({"user": user_view(call.room.accounts.get_user(call.path("id")), call.here)})


def _create_user(call: Call) -> Response:
    call.admin("create_user")
    user = call.room.accounts.create_user(call.section("user"))
    return JSONResponse({"user": user_view(user, call.here)}, status_code=201)


def _update_user(call: Call) -> Response:
    call.admin("update_user")
    user = call.room.accounts.update_user(call.path("id"), call.section("user"))
    return JSONResponse({"user": user_view(user, call.here)})


def _change_password(call: Call) -> Response:
    call.allowed("change_password", user_id=call.path("id"))
    call.room.accounts.change_password(call.path("id"), call.section("user"))
    return Response(status_code=204)


def _delete_user(call: Call) -> Response:
    call.admin("delete_user")
    call.room.accounts.delete_user(call.path("id"))
    return Response(status_code=204)


def _projects_of_user(call: Call) -> Response:
    user_id = call.path("id")
    call.allowed("list_user_projects", user_id=user_id)
    call.room.accounts.get_user(user_id)
    projects = call.room.accounts.list_projects_of(user_id)
    return call.listed("projects", [project_view(project, call.here) for project in projects])


def _groups_of_user(call: Call) -> Response:
    user_id = call.path("id")
    call.allowed("list_groups_for_user", user_id=user_id)
    call.room.accounts.get_user(user_id)
    groups = call.room.records.list_groups_of(user_id)
    return call.listed("groups", [group_view(group, call.here) for group in groups])


def _groups(call: Call) -> Response:
    call.admin("list_groups")
    return call.listed("groups", [group_view(group, call.here) for group in call.room.records.list_groups()])


def _group(call: Call) -> Response:
    call.admin("get_group")
    return JSONResponse({"group": group_view(call.room.accounts.get_group(call.path("id")), call.here)})


def _create_group(call: Call) -> Response:
    call.admin("create_group")
    group = call.room.accounts.create_group(call.section("group"))
    return JSONResponse({"group": group_view(group, call.here)}, status_code=201)


def _update_group(call: Call) -> Response:
    call.admin("update_group")
    group = call.room.accounts.update_group(call.path("id"), call.section("group"))
    return JSONResponse({"group": group_view(group, call.here)})


def _delete_group(call: Call) -> Response:
    call.admin("delete_group")
    call.room.accounts.delete_group(call.path("id"))
    return Response(status_code=204)


def _members(call: Call) -> Response:
    call.admin("list_users_in_group")
    group = call.room.accounts.get_group(call.path("id"))
    return call.listed("users", [user_view(user, call.here) for user in call.room.records.list_members(group.id)])


def _member(call: Call) -> Response:
    call.allowed("check_user_in_group", user_id=call.path("user_id"))
    call.room.accounts.check_member(call.path("user_id"), call.path("id"))
    return Response(status_code=204)


def _add_member(call: Call) -> Response:
    call.admin("add_user_to_group")
    call.room.accounts.add_member(call.path("user_id"), call.path("id"))
    return Response(status_code=204)


def _remove_member(call: Call) -> Response:
    call.admin("remove_user_from_group")
    call.room.accounts.remove_member(call.path("user_id"), call.path("id"))
    return Response(status_code=204)


ROUTES: Final[tuple[tuple[str, str, Callable[[Call], Response]], ...]] = (
    ("GET", "/v3/domains", _domains),
    ("POST", "/v3/domains", _create_domain),
    ("GET", "/v3/domains/{id}", _domain),
    ("PATCH", "/v3/domains/{id}", _update_domain),
    ("DELETE", "/v3/domains/{id}", _delete_domain),
    ("GET", "/v3/projects", _projects),
    ("POST", "/v3/projects", _create_project),
    ("GET", "/v3/projects/{id}", _project),
    ("PATCH", "/v3/projects/{id}", _update_project),
    ("DELETE", "/v3/projects/{id}", _delete_project),
    ("GET", "/v3/projects/{id}/tags", _tags),
    ("PUT", "/v3/projects/{id}/tags", _set_tags),
    ("DELETE", "/v3/projects/{id}/tags", _drop_tags),
    ("GET", "/v3/projects/{id}/tags/{tag}", _tag),
    ("PUT", "/v3/projects/{id}/tags/{tag}", _add_tag),
    ("DELETE", "/v3/projects/{id}/tags/{tag}", _drop_tag),
    ("GET", "/v3/users", _users),
    ("POST", "/v3/users", _create_user),
    ("GET", "/v3/users/{id}", _user),
    ("PATCH", "/v3/users/{id}", _update_user),
    ("DELETE", "/v3/users/{id}", _delete_user),
    ("GET", "/v3/users/{id}/projects", _projects_of_user),
    ("GET", "/v3/users/{id}/groups", _groups_of_user),
    ("POST", "/v3/users/{id}/password", _change_password),
    ("GET", "/v3/groups", _groups),
    ("POST", "/v3/groups", _create_group),
    ("GET", "/v3/groups/{id}", _group),
    ("PATCH", "/v3/groups/{id}", _update_group),
    ("DELETE", "/v3/groups/{id}", _delete_group),
    ("GET", "/v3/groups/{id}/users", _members),
    ("GET", "/v3/groups/{id}/users/{user_id}", _member),
    ("PUT", "/v3/groups/{id}/users/{user_id}", _add_member),
    ("DELETE", "/v3/groups/{id}/users/{user_id}", _remove_member),
)
