"""Members of a group that several conductors place at the same time, on every database."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import pytest

from kilonova.bus.memory import MemoryBus
from kilonova.domain.groups import GroupPolicy, ServerGroup
from kilonova.domain.model import InstanceAction
from kilonova.domain.states import TaskState
from kilonova.services.placing import Placer
from kilonova.services.settings import ServiceSettings
from kilonova.store.database import Database
from kilonova.store.failures import Contention
from kilonova.store.fleet import ensure_service
from kilonova.store.instances import InstanceQuery, list_instances
from kilonova.store.server_groups import add_server_group, join_server_group
from tests.backends.store.worlds import NOW, Story, asked, draft, noded

HOSTS = ("h1", "h2", "h3")
MEMBERS = 6


def _fleet(database: Database) -> None:
    for host in HOSTS:
        noded(database, host, hypervisor_hostname=host)
        with database.transaction() as tx:
            ensure_service(tx, binary="nova-compute", host=host, now=NOW)


def _orders(database: Database, policy: GroupPolicy, most: int | None) -> list[InstanceAction]:
    group = ServerGroup(
        id=0,
        uuid=str(uuid4()),
        name="g",
        project_id="p1",
        user_id="u1",
        policy=policy,
        max_server_per_host=most,
        created_at=NOW,
    )
    with database.transaction() as tx:
        add_server_group(tx, group, limit=-1, request=asked())
    ordered = []
    for _ in range(MEMBERS):
        story = Story(database, draft(task_state=TaskState.SCHEDULING, memory_mb=64), "create", host=None).accept()
        with database.transaction() as tx:
            join_server_group(tx, group.uuid, [story.instance], limit=-1, request=story.request)
        ordered.append(story.action)
    return ordered


def _placed_at_once(database: Database, actions: list[InstanceAction]) -> Counter[str | None]:
    """How many members each host has after all were placed by conductors of their own, at the same time."""
    placer = Placer(database, MemoryBus(), lambda: NOW, settings=ServiceSettings())
    at_once = Barrier(len(actions))

    def place(action: InstanceAction) -> None:
        at_once.wait()
        for _ in range(20):
            try:
                placer.place(action)
            except Contention:
                continue  # as the loop does: what the database undid is tried again
            return

    with ThreadPoolExecutor(len(actions)) as pool:
        list(pool.map(place, actions))
    with database.read() as connection:
        return Counter(instance.host for instance in list_instances(connection, InstanceQuery()))


@pytest.mark.parametrize("most, hosts", [(None, [1, 1, 1]), (2, [2, 2, 2])])
def test_members_that_are_placed_at_once_never_share_a_host(
    database: Database, most: int | None, hosts: list[int]
) -> None:
    _fleet(database)
    found = _placed_at_once(database, _orders(database, GroupPolicy.ANTI_AFFINITY, most))
    assert sorted(found[host] for host in HOSTS) == hosts


def test_members_that_are_placed_at_once_all_share_a_host(database: Database) -> None:
    _fleet(database)
    found = _placed_at_once(database, _orders(database, GroupPolicy.AFFINITY, None))
    assert found.pop(None) == 2, "a host has four processors"
    assert list(found.values()) == [4]
