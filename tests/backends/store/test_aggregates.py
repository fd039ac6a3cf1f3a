from concurrent.futures import ThreadPoolExecutor

import pytest

from kilonova.domain.errors import Conflict
from kilonova.domain.model import Request
from kilonova.store.aggregates import add_aggregate, add_aggregate_host, list_aggregates, zones_by_host
from kilonova.store.database import Database
from kilonova.store.fleet import change_service, ensure_service, find_service
from tests.backends.store.worlds import NOW

REQUEST = Request(request_id="req-1", user_id="u", project_id="p", received_at=NOW)


def aggregate(database: Database, name: str, zone: str | None = None) -> int:
    with database.transaction() as tx:
        return add_aggregate(tx, name, zone, request=REQUEST).id


def joined(database: Database, id: int, host: str = "h1") -> bool:
    try:
        with database.transaction() as tx:
            add_aggregate_host(tx, id, host, default_zone="nova", request=REQUEST)
    except Conflict:
        return False
    return True


@pytest.fixture(autouse=True)
def _a_host(database: Database) -> None:
    with database.transaction() as tx:
        ensure_service(tx, binary="nova-compute", host="h1", now=NOW)


def test_a_name_that_is_taken_leaves_nothing_behind(database: Database) -> None:
    aggregate(database, "a")
    with pytest.raises(Conflict, match="Aggregate a already exists"):
        aggregate(database, "a")
    with database.read() as connection:
        assert [each.name for each in list_aggregates(connection)] == ["a"]


def test_a_host_gets_one_zone_however_many_put_it_into_one_at_once(database: Database) -> None:
    ids = [aggregate(database, f"z{number}", f"z{number}") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda id: joined(database, id), ids)) == 1
    with database.read() as connection:
        assert list(zones_by_host(connection)) == ["h1"]
        assert zones_by_host(connection, ["h1"]) == zones_by_host(connection)
        assert zones_by_host(connection, []) == {}


def test_what_is_decided_of_a_service_is_kept(database: Database) -> None:
    with database.transaction() as tx:
        found = find_service(tx.connection, "nova-compute", "h1")
        assert found is not None
        changed = change_service(tx, found.uuid, request=REQUEST, disabled=True, disabled_reason="why")
    assert (changed.disabled, changed.disabled_reason, changed.updated_at) == (True, "why", NOW)
