"""``/state/v1/decisions``: why a server went where it went, or nowhere."""

import json
from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.own.parts import server_asked
from kilonova.api.resources.servers import hints_of
from kilonova.api.routes import route
from kilonova.api.schemas.servers import HINTS
from kilonova.api.schemas.types import FLAVOR_REF, IMAGE_REF, NAME, body, param, query, the
from kilonova.api.shape import raw
from kilonova.domain.candidates import Ask
from kilonova.domain.errors import Invalid, NotFound
from kilonova.domain.model import Flavor
from kilonova.services.choosing import hosts_of
from kilonova.services.hints import check_hints
from kilonova.services.rehearsal import rehearse
from kilonova.store import decisions
from kilonova.store.database import Connection
from kilonova.store.decisions import KeptDecision
from kilonova.store.flavors import get_flavor
from kilonova.store.server_groups import get_company
from kilonova.wire.times import zulu_micros


def list_decisions(call: Call) -> dict[str, Any]:
    """``GET /state/v1/decisions?server=``: every scheduling attempt of a server with its reasons, oldest first."""
    with call.plane.database.read() as connection:
        found = decisions.list_decisions(connection, server_asked(call))
    return {"decisions": [_decision(each) for each in found]}


def _decision(kept: KeptDecision) -> dict[str, Any]:
    return {
        "id": kept.id,
        "server": kept.instance_uuid,
        "request_id": kept.request_id,
        "decided_at": zulu_micros(kept.decided_at),
        "candidates": kept.candidates,
        "chosen_host": kept.chosen_host,
        "chosen_node": kept.chosen_node,
        "summary": kept.summary,
        "document": raw(kept.document_json),
    }


def rehearse_placing(call: Call) -> dict[str, Any]:
    """``POST /state/v1/decisions:dry-run``: how many such servers would find a host now, and why not more.

    Nothing is promised, and quotas are not asked. Hosts are named to administrators only.
    """
    wanted = call.body
    names_hosts = call.may("kilonova:decisions:list")
    with call.plane.database.read() as connection:
        ask = _ask(call, connection, names_hosts=names_hosts)
        count = wanted.get("count", 1)
        found = rehearse(call.plane.chooser, connection, ask, count=count)
    decision = found.decision
    shown: dict[str, Any] = {
        "fits": found.count == count,
        "count": count,
        "would_place": found.count,
        "candidates": decision.candidates,
        "summary": decision.summary(),
        "counts": [{"filter": name, "reason": reason, "count": many} for name, reason, many in decision.counts()],
    }
    if names_hosts:
        text = json.dumps(decisions.document_of(decision), default=sorted)
        shown |= {"hosts": dict(found.placed), "document": raw(text)}
    return shown


def _ask(call: Call, connection: Connection, *, names_hosts: bool) -> Ask:
    wanted, project_id = call.body, call.caller.project_id or ""
    hints = hints_of(wanted.get("hints", {}))
    check_hints(hints)
    if wanted.get("host") and not names_hosts:
        call.check("kilonova:decisions:list")
    flavor = _flavor(call, connection, str(wanted["flavor"]))
    image_id = wanted.get("image")
    image = call.plane.find_image(image_id, call.caller) if image_id else None
    if image_id and image is None:
        raise Invalid(f"Image {image_id} could not be found.")
    group = next(iter(hints.get("group", ())), None)
    return Ask(
        vcpus=flavor.vcpus,
        memory_mb=flavor.memory_mb,
        disk_gb=flavor.disk_gb,
        availability_zone=wanted.get("availability_zone"),
        host=wanted.get("host"),
        company=get_company(connection, group, project_id) if group else None,
        project_id=project_id,
        extra_specs=json.loads(flavor.extra_specs_json),
        image_id=image_id,
        image=image.properties if image else {},
        hints=hints,
        same_hosts=hosts_of(connection, hints.get("same_host")),
        different_hosts=hosts_of(connection, hints.get("different_host")),
    )


def _flavor(call: Call, connection: Connection, flavorid: str) -> Flavor:
    try:
        return get_flavor(connection, flavorid, include_private=call.is_admin, project_id=call.caller.project_id)
    except NotFound as error:
        raise Invalid(error.message) from error


_DRY_RUN: Final = body(
    the(
        {
            "flavor": FLAVOR_REF,
            "image": IMAGE_REF,
            "availability_zone": NAME,
            "host": NAME,
            "hints": HINTS,
            "count": {"type": "integer", "minimum": 1, "maximum": 1000},
        },
        required=("flavor",),
    )
)

ROUTES: Final = (
    route(
        "GET",
        "/decisions",
        list_decisions,
        policy="kilonova:decisions:list",
        query=query(param("server"), strict="2.1"),
    ),
    route(
        "POST",
        "/decisions:dry-run",
        rehearse_placing,
        policy="kilonova:decisions:dry_run",
        body=_DRY_RUN,
        query=query(strict="2.1"),
    ),
)
