"""Requests that come at once: the real use cases against every database."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import uuid4

import pytest
import sqlalchemy as sa

from kilonova.bus.memory import MemoryBus
from kilonova.domain.errors import Conflict, QuotaExceeded, Unavailable
from kilonova.domain.images import Image, ImageStatus
from kilonova.domain.operations import get_operation
from kilonova.domain.snapshots import ImageOrder
from kilonova.domain.states import PowerState, VmState
from kilonova.network.embedded import FlatNetwork
from kilonova.services.ports import Ports
from kilonova.services.preparing import Preparation
from kilonova.services.safe import Safe
from kilonova.services.servers import ServerOrder, Servers, ServerUpdate
from kilonova.services.settings import QuotaSettings, ServiceSettings
from kilonova.store.database import Database, Transaction
from kilonova.store.failures import Contention
from kilonova.store.flavors import seed_flavors
from kilonova.store.instances import get_instance, project_usage
from kilonova.store.ledger import list_actions
from kilonova.store.quotas import lock_project
from kilonova.store.schema import instance_actions, instances, project_locks
from tests.backends.store.worlds import NOW, Story, asked, at, changed, kept, running


class OneImage:
    """An image service that has whatever is asked for."""

    def find_image(self, image_id: str, *, project_id: str | None) -> Image | None:
        return Image(
            id=image_id,
            name="tiny",
            status=ImageStatus.ACTIVE,
            visibility="public",
            owner=None,
            disk_format="raw",
            container_format="bare",
            created_at=NOW,
            updated_at=NOW,
            size=512,
        )

    def check_order(self, order: ImageOrder) -> None:
        """Nobody orders any here."""

    def queue_image(self, order: ImageOrder) -> Image:
        raise NotImplementedError

    def discard(self, image_id: str, *, unfinished_only: bool) -> None:
        raise NotImplementedError


@pytest.fixture
def servers(database: Database) -> Servers:
    with database.transaction() as tx:
        seed_flavors(tx, NOW)
    quota = QuotaSettings(instances=10)
    preparation = Preparation(database, OneImage(), Safe(), ports=Ports(database, lambda: NOW, FlatNetwork()))
    return Servers(database, MemoryBus(), lambda: NOW, preparation, settings=ServiceSettings(), quota=quota)


def order(**wanted: object) -> ServerOrder:
    values = {"name": "web", "flavorid": "1", "project_id": "p1", "user_id": "u1", "image_id": str(uuid4()), **wanted}
    return ServerOrder(**values)  # type: ignore[arg-type]


def test_orders_that_come_at_once_stay_within_the_quota(servers: Servers, database: Database) -> None:
    together = threading.Barrier(8)

    def create(_number: int) -> bool:
        together.wait()
        try:
            servers.create(asked(), order(min_count=3, max_count=3))
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        accepted = list(pool.map(create, range(8)))
    assert accepted.count(True) == 3
    with database.read() as connection:
        assert project_usage(connection, "p1").instances == 9


def test_a_project_is_held_by_one_at_a_time_from_its_very_first_moment(database: Database) -> None:
    together, inside, seen = threading.Barrier(4), [0], []

    def hold(tx: Transaction) -> None:
        lock_project(tx, "p1")
        inside[0] += 1
        seen.append(inside[0])
        tx.connection.execute(sa.select(project_locks))
        inside[0] -= 1

    def work(_number: int) -> None:
        together.wait()
        database.run(hold)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert seen == [1, 1, 1, 1]


def test_projects_do_not_wait_for_one_another(database: Database) -> None:
    if database.is_embedded:
        return
    with database.transaction() as first:
        lock_project(first, "p1")
        with database.transaction() as second:
            lock_project(second, "p2")


def test_an_update_keeps_what_others_wrote_meanwhile(servers: Servers, database: Database) -> None:
    read = kept(database, running())
    changed(database, read, power_state=PowerState.PAUSED)
    updated = servers.update(asked(), read, ServerUpdate(changes={"display_name": "new"}))
    assert (updated.display_name, updated.power_state) == ("new", PowerState.PAUSED)
    with database.read() as connection:
        assert get_instance(connection, read.uuid) == updated


def test_an_operation_is_accepted_although_somebody_wrote_meanwhile(servers: Servers, database: Database) -> None:
    read = kept(database, running())
    changed(database, read, display_name="new")
    stop = get_operation("stop")
    accepted = servers.act(asked(), read, stop, {}, may_override_lock=False)
    assert (accepted.display_name, accepted.task_state) == ("new", stop.during)


def test_an_operation_is_judged_by_the_server_as_it_then_is(servers: Servers, database: Database) -> None:
    read = kept(database, running())
    changed(database, read, vm_state=VmState.STOPPED)
    with pytest.raises(Conflict, match="while it is in vm_state stopped"):
        servers.act(asked(), read, get_operation("stop"), {}, may_override_lock=False)


def test_a_lock_of_another_kind_is_not_undone_by_who_has_not_seen_it(servers: Servers, database: Database) -> None:
    read = kept(database, running(locked_by="owner"))
    changed(database, read, locked_by="admin")
    with pytest.raises(Conflict, match="was locked or unlocked in the same moment"):
        servers.act(asked(), read, get_operation("unlock"), {}, may_override_lock=True)


def test_a_request_that_the_database_undid_is_done_again(servers: Servers, database: Database) -> None:
    """Somebody takes the rows in the opposite order, and is dearer to the database: mostly the request is undone."""
    if database.is_embedded:
        return
    story = Story(database, kept(database, running()), "stop").accept()
    reset, uuid = get_operation("reset_state"), story.instance.uuid
    table = instance_actions
    with ThreadPoolExecutor(1) as pool:
        with suppress(Contention), database.transaction() as tx:
            rows = [{"project_id": f"p{number}"} for number in range(300)]
            tx.connection.execute(project_locks.insert(), rows)
            tx.connection.execute(table.update().where(table.c.id == story.action_id).values(updated_at=at(1)))
            asking = pool.submit(
                servers.act, asked(), story.instance, reset, {"state": "active"}, may_override_lock=False
            )
            while not is_locked(database, uuid):
                pass
            mine = instances.update().where(instances.c.uuid == uuid)
            tx.connection.execute(mine.values(display_name="theirs", generation=instances.c.generation + 1))
        assert asking.result().task_state is None
    with database.read() as connection:
        assert [action.is_open for action in list_actions(connection, uuid)] == [False, False]


def is_locked(database: Database, uuid: str) -> bool:
    """Whether somebody holds the server's row."""
    row = sa.select(instances.c.id).where(instances.c.uuid == uuid).with_for_update(nowait=True)
    try:
        with database.transaction() as tx:
            tx.connection.execute(row)
    except Unavailable:
        return True
    return False
