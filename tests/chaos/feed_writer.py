"""A process that changes servers until the journal has so many rows of them; killed at any moment, it goes on.

python -m tests.chaos.feed_writer DATABASE_URL ROWS SEED
"""

import random
import sys
import time

from sqlalchemy import func, select

from kilonova.domain.model import Instant
from kilonova.domain.states import VmState
from kilonova.store import instances, journal
from kilonova.store.database import Database
from kilonova.store.instances import InstanceQuery
from kilonova.store.schema import journal as rows
from tests.backends.store.worlds import Story, kept, running

SERVERS = 8


def main(url: str, wanted: int, seed: int) -> None:
    """Stop and start servers, in whole operations unless it is killed in the middle of one."""
    chance = random.Random(seed)  # noqa: S311  a test's own dice
    database = Database(url)
    database.open()
    with database.read() as connection:
        servers = instances.list_instances(connection, InstanceQuery())
    servers = servers or [kept(database, running(flavor_json=FLAVOR, display_name=f"web{n}")) for n in range(SERVERS)]
    while True:
        which = chance.randrange(len(servers))
        operation = "stop" if servers[which].vm_state is VmState.ACTIVE else "start"
        story = Story(database, servers[which], operation).accept(_now()).start(_now()).end(_now())
        servers[which] = story.instance
        journal.sequence(database)
        with database.read() as connection:
            if (connection.scalar(select(func.count()).select_from(rows)) or 0) >= wanted:
                return


def _now() -> Instant:
    return Instant(time.time_ns() // 1000)


FLAVOR = '{"vcpus":1,"ram":512,"disk":1,"ephemeral":0,"swap":0,"original_name":"m1.tiny","extra_specs":{}}'

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
