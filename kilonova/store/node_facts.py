"""What is known of nodes besides what they have: how long they have been up, and where they are reached."""

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, select

from kilonova.store.schema import compute_nodes


def keep_uptimes(connection: Connection, uptimes: Mapping[tuple[str, str], str]) -> None:
    """Keep what nodes tell, by host and hypervisor's name; one that is not known is passed over. Not journalled."""
    if not uptimes:
        return
    rows = [{"its_host": host, "its_name": name, "uptime": text} for (host, name), text in sorted(uptimes.items())]
    mine = (compute_nodes.c.host == bindparam("its_host")) & (
        compute_nodes.c.hypervisor_hostname == bindparam("its_name")
    )
    connection.execute(compute_nodes.update().where(mine).values(uptime_text=bindparam("uptime")), rows)


def find_host_ip(connection: Connection, host: str) -> str | None:
    """The address by which a host's first node is reached; None for a host without nodes."""
    statement = (
        select(compute_nodes.c.host_ip).where(compute_nodes.c.host == host).order_by(compute_nodes.c.id).limit(1)
    )
    found: str | None = connection.execute(statement).scalar()
    return found
