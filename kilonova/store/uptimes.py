"""How long hosts have been up, as they tell it: it differs at every heartbeat, and is no change of anything."""

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam

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
