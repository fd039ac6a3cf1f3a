"""How much larger servers are going to be: the resizes that are under way."""

import json

from sqlalchemy import Connection, select

from kilonova.domain.quota import Usage
from kilonova.store.schema import instance_actions, instances


def growths_under_way(connection: Connection, project_id: str) -> dict[str, Usage]:
    """What each server of a project that is being resized will have more than now, by its uuid; less is negative.

    One that has its new flavor already grows no more.
    """
    actions, servers = instance_actions.c, instances.c
    statement = (
        select(servers.uuid, servers.vcpus, servers.memory_mb, actions.parameters_json)
        .select_from(instance_actions.join(instances, servers.uuid == actions.instance_uuid))
        .where(servers.project_id == project_id, actions.operation == "resize", actions.finished_at.is_(None))
    )
    return {
        uuid: _growth(json.loads(parameters)["flavor"], vcpus, memory_mb)
        for uuid, vcpus, memory_mb, parameters in connection.execute(statement)
    }


def _growth(flavor: dict[str, int], vcpus: int, memory_mb: int) -> Usage:
    return Usage(cores=flavor["vcpus"] - vcpus, ram=flavor["memory_mb"] - memory_mb)
