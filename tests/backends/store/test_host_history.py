"""What servers had of a host over time, added up by every database alike."""

from kilonova.domain.exact_usage import Promised
from kilonova.domain.model import SECOND, Instant
from kilonova.store.database import Database
from kilonova.store.exact_usage import list_promised
from kilonova.store.schema import usage_segments
from tests.backends.store.worlds import kept

_HOUR = 3600 * SECOND


def test_what_servers_had_of_a_host_is_known_at_every_instant(database: Database) -> None:
    server = kept(database).uuid
    rows = [("a", 0, 2), ("a", 3, None), ("b", 2, 3), (None, 1, 2)]
    with database.transaction() as tx:
        tx.connection.execute(usage_segments.delete())
        for host, start, end in rows:
            tx.connection.execute(
                usage_segments.insert().values(
                    instance_uuid=server,
                    project_id="p",
                    flavor_name="f",
                    vcpus=2,
                    memory_mb=64,
                    disk_gb=1,
                    vm_state="active",
                    host=host,
                    started_at=start * _HOUR,
                    ended_at=None if end is None else end * _HOUR,
                )
            )
    with database.read() as connection:
        found = list_promised(connection, "a", [Instant(hour * _HOUR) for hour in range(5)])
        (other,) = list_promised(connection, "b", [Instant(_HOUR * 5 // 2)])
    assert [each.servers for each in found] == [1, 1, 0, 1, 1]
    assert other == Promised(servers=1, vcpus=2, memory_mb=64, disk_gb=1)
    assert found[2] == Promised(servers=0, vcpus=0, memory_mb=0, disk_gb=0)
