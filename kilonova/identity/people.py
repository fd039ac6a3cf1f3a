"""Keystone v3 over HTTP: what there is to domains, projects, users and groups beyond the five requests of each."""

import json
from collections.abc import Callable
from typing import Final

from starlette.responses import JSONResponse, Response

from kilonova.domain.errors import NotFound
from kilonova.identity.call import Call
from kilonova.identity.views import group_view, project_view, tags_of, user_view


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


def _change_password(call: Call) -> Response:
    call.allowed("change_password", user_id=call.path("id"))
    call.room.accounts.change_password(call.path("id"), call.section("user"))
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
    ("GET", "/v3/projects/{id}/tags", _tags),
    ("PUT", "/v3/projects/{id}/tags", _set_tags),
    ("DELETE", "/v3/projects/{id}/tags", _drop_tags),
    ("GET", "/v3/projects/{id}/tags/{tag}", _tag),
    ("PUT", "/v3/projects/{id}/tags/{tag}", _add_tag),
    ("DELETE", "/v3/projects/{id}/tags/{tag}", _drop_tag),
    ("GET", "/v3/users/{id}/projects", _projects_of_user),
    ("GET", "/v3/users/{id}/groups", _groups_of_user),
    ("POST", "/v3/users/{id}/password", _change_password),
    ("GET", "/v3/groups/{id}/users", _members),
    ("GET", "/v3/groups/{id}/users/{user_id}", _member),
    ("PUT", "/v3/groups/{id}/users/{user_id}", _add_member),
    ("DELETE", "/v3/groups/{id}/users/{user_id}", _remove_member),
)
