"""The actions that answer with more than a code: rebuild, rescue, change of password (contract §6.6.2)."""

import json
from dataclasses import fields
from typing import Any

from kilonova.api.call import Accepted, Call, Plain, Shown
from kilonova.api.resources.server_views import RebuiltView, view_of
from kilonova.api.resources.servers import (
    UPDATED_FIELDS,
    check_metadata,
    injected_files,
    stripped,
    told_password,
    trusted_certificates,
)
from kilonova.domain.model import Instance
from kilonova.domain.operations import get_operation


def rebuild(call: Call) -> Accepted:
    """``rebuild``: the server as it will be, and where it is. The password is told once and kept nowhere."""
    wanted: dict[str, Any] = call.body["rebuild"]
    changes = {UPDATED_FIELDS[key]: stripped(value) for key, value in wanted.items() if key in UPDATED_FIELDS}
    if "metadata" in wanted:
        check_metadata(call, wanted["metadata"])
        changes["metadata_json"] = json.dumps(wanted["metadata"], separators=(",", ":"))
    if "user_data" in wanted:
        changes["user_data"] = wanted["user_data"]
    if "trusted_image_certificates" in wanted:
        trusted = trusted_certificates(call, wanted, "rebuild")
        changes["trusted_certs_json"] = json.dumps(trusted, separators=(",", ":")) if trusted else None
    asked = {"image_id": wanted["imageRef"], "project_id": call.caller.project_id, "changes": changes}
    if files := injected_files(call, wanted):
        asked["files"] = files
    if "key_name" in wanted:
        asked["key_name"] = wanted["key_name"]
    server = _act(call, "rebuild", asked)
    plain = view_of(call, [server])
    view = RebuiltView(
        **{each.name: getattr(plain, each.name) for each in fields(plain)},
        admin_pass=told_password(call, wanted.get("adminPass")),
    )
    return Accepted(body=Shown(record=server, view=view), location=call.links.to(f"servers/{server.uuid}"))


def rescue(call: Call) -> Plain:
    """``rescue``: the password that the rescue system is to have, where passwords are told."""
    wanted: dict[str, Any] = call.body["rescue"] or {}
    _act(call, "rescue", {"image_id": wanted.get("rescue_image_ref"), "project_id": call.caller.project_id})
    password = told_password(call, wanted.get("adminPass"))
    return Plain({} if password is None else {"adminPass": password})


def change_password(call: Call) -> None:
    """``changePassword``."""
    _act(call, "change_password", {"password": call.body["changePassword"]["adminPass"]})


def _act(call: Call, name: str, asked: dict[str, Any]) -> Instance:
    return call.plane.act(call.request, call.server, get_operation(name), asked, may_override_lock=call.is_admin)
