"""What the store costs beside the bare driver: ``python -m bench.store_micro URL...``, each an empty database.

Times are the least of several runs, as other work on the machine only ever adds.
"""

import sqlite3
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from kilonova.domain.model import Instance, Instant
from kilonova.store import journal
from kilonova.store.database import Database
from kilonova.store.fleet import ensure_service, record_beats
from kilonova.store.instances import InstanceQuery, get_instance, list_instances
from tests.backends.store.worlds import NOW, Story, changed, draft, kept, running

_ROWS = 1000
_DOCUMENT = '{"private":[{"version":4,"addr":"10.0.0.7","OS-EXT-IPS:type":"fixed"}]}' * 3


def best(work: Callable[[], Any], *, runs: int = 7) -> float:
    """Seconds of the quickest run."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def bare(database: Database, sql: str, values: tuple[Any, ...]) -> Callable[[], Any]:
    """The same statement on the driver's own connection."""
    if database.is_embedded:
        own = sqlite3.connect(str(database.url.database))
        return lambda: own.execute(sql, values).fetchall()
    engine = sa.create_engine(database.url, isolation_level="AUTOCOMMIT")
    cursor = engine.raw_connection().cursor()

    def work() -> Any:
        cursor.execute(sql.replace("?", "%s"), values)
        return cursor.fetchall()

    return work


def fill(database: Database) -> list[Instance]:
    rich = running(addresses_json=_DOCUMENT, metadata_json=_DOCUMENT, flavor_json=_DOCUMENT)
    return [
        kept(database, rich._replace(uuid=draft().uuid, created_at=Instant(NOW + number))) for number in range(_ROWS)
    ]


def tell(name: str, value: float, unit: str) -> None:
    print(f"  {name:<44}{value:>10.1f} {unit}")


def measure(url: str) -> None:
    print(url.rsplit("@", maxsplit=1)[-1])
    database = Database(url)
    began = time.perf_counter()
    database.open()
    tell("make the schema", (time.perf_counter() - began) * 1000, "ms")
    tell("open again", best(database.open, runs=3) * 1000, "ms")
    fleet = fill(database)
    reads(database, fleet)
    writes(database, fleet)
    database.close()


def reads(database: Database, fleet: list[Instance]) -> None:
    uuid, columns = fleet[500].uuid, ", ".join(Instance._fields)
    one = f"SELECT {columns} FROM instances WHERE uuid = ?"  # noqa: S608  all constants
    page = (
        f"SELECT {columns} FROM instances WHERE project_id = ? AND deleted_at IS NULL"  # noqa: S608  the same
        " ORDER BY created_at DESC, id DESC LIMIT 1000"
    )

    def get() -> None:
        with database.read() as connection:
            get_instance(connection, uuid)

    def get_many() -> None:
        for _ in range(200):
            get()

    bare_one = bare(database, one, (uuid,))
    tell("get_instance, with read()", best(get_many) / 200 * 1e6, "us")
    tell("  the bare statement", best(lambda: [bare_one() for _ in range(200)]) / 200 * 1e6, "us")
    query = InstanceQuery(project_id="p1", limit=_ROWS)

    def listing() -> None:
        with database.read() as connection:
            list_instances(connection, query)

    tell("list_instances, 1000 rows", best(listing) * 1000, "ms")
    tell("  the bare statement", best(bare(database, page, ("p1",))) * 1000, "ms")


def writes(database: Database, fleet: list[Instance]) -> None:
    turn = [fleet[0]]

    def save() -> None:
        for _ in range(100):
            turn[0] = changed(database, turn[0], progress=(turn[0].progress + 1) % 100)

    tell("save, one writer", 100 / best(save, runs=3), "/s")

    def story(instance: Instance) -> None:
        Story(database, instance, "stop").accept().start().end()

    began = time.perf_counter()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(story, fleet[100:200]))
    tell("save with ledger and usage, 4 writers", 300 / (time.perf_counter() - began), "/s")
    began = time.perf_counter()
    numbered = sum(iter(lambda: journal.sequence(database), 0))
    tell("sequence", numbered / (time.perf_counter() - began), "rows/s")
    with database.transaction() as tx:
        ids = [ensure_service(tx, binary="nova-compute", host=f"h{number}", now=NOW).id for number in range(1000)]

    def beat() -> None:
        with database.transaction() as tx:
            record_beats(tx.connection, dict.fromkeys(ids, (1, NOW)))

    tell("record_beats, fleet of 1000", best(beat, runs=5) * 1000, "ms")


def main() -> None:
    with TemporaryDirectory() as directory:
        for url in sys.argv[1:] or [f"sqlite:///{Path(directory) / 'state.db'}"]:
            measure(url)


if __name__ == "__main__":
    main()
