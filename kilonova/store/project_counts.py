"""What a project has of everything that is counted against a limit (contract §4.2)."""

from sqlalchemy import Connection

from kilonova.store import instances, server_groups


def count_used(connection: Connection, project_id: str, user_id: str | None = None) -> dict[str, int]:
    """What a project uses of each resource that is counted; of one user's only the servers are."""
    used = instances.project_usage(connection, project_id, user_id)
    groups = server_groups.count_server_groups(connection, project_id)
    return {"instances": used.instances, "cores": used.cores, "ram": used.ram, "server_groups": groups}
