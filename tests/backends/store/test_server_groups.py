"""Server groups on every database: members, and the one place where two placements meet."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import pytest

from kilonova.domain.errors import NotFound, QuotaExceeded
from kilonova.domain.groups import GroupPolicy, ServerGroup
from kilonova.domain.model import Instance
from kilonova.store import journal
from kilonova.store.database import Database
from kilonova.store.server_groups import (
    add_server_group,
    count_server_groups,
    find_company,
    find_group_uuid,
    get_server_group,
    join_server_group,
    list_server_groups,
    remove_server_group,
)
from tests.backends.store.worlds import NOW, asked, changed, draft, kept, running


def _group(
    database: Database, policy: GroupPolicy = GroupPolicy.ANTI_AFFINITY, *, project_id: str = "p1", limit: int = -1
) -> ServerGroup:
    group = ServerGroup(
        id=0,
        uuid=str(uuid4()),
        name="g",
        project_id=project_id,
        user_id="u1",
        policy=policy,
        max_server_per_host=None,
        created_at=NOW,
    )
    with database.transaction() as tx:
        return add_server_group(tx, group, limit=limit, request=asked())


def _member(database: Database, group: ServerGroup, instance: Instance | None = None, *, limit: int = -1) -> Instance:
    made = kept(database, instance)
    with database.transaction() as tx:
        join_server_group(tx, group.uuid, [made], limit=limit, request=asked())
    return made


def _gone(database: Database, instance: Instance) -> Instance:
    return changed(database, instance, vm_state="deleted", task_state=None, terminated_at=NOW, deleted_at=NOW)


def test_a_group_comes_back_with_its_living_members(database: Database) -> None:
    group = _group(database)
    first, second = _member(database, group), _member(database, group)
    _gone(database, first)
    with database.read() as connection:
        assert get_server_group(connection, group.uuid).members == (second.uuid,)
        assert list_server_groups(connection, "p1")[0].members == (second.uuid,)
        assert find_group_uuid(connection, second.uuid) == group.uuid
        assert find_group_uuid(connection, "other") is None


def test_groups_are_listed_by_project_or_all(database: Database) -> None:
    mine, other = _group(database), _group(database, project_id="p2")
    with database.read() as connection:
        assert list_server_groups(connection, "p1") == [mine]
        assert list_server_groups(connection, None) == [mine, other]
        assert count_server_groups(connection, "p2") == 1


def test_a_project_has_no_more_groups_than_the_limit(database: Database) -> None:
    _group(database, limit=1)
    with pytest.raises(QuotaExceeded, match=r"Quota exceeded, too many server groups\."):
        _group(database, limit=1)


def test_groups_that_are_made_at_once_do_not_pass_the_limit(database: Database) -> None:
    def try_to_make(_: int) -> bool:
        try:
            _group(database, limit=2)
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(try_to_make, range(6))) == 2


def test_a_user_has_no_more_servers_in_a_group_than_the_limit(database: Database) -> None:
    group = _group(database)
    first = _member(database, group, limit=1)
    with pytest.raises(QuotaExceeded, match="Quota exceeded, too many servers in group"):
        _member(database, group, limit=1)
    _member(database, group, draft(user_id="u2"), limit=1)
    _gone(database, first)
    _member(database, group, limit=1)


def test_the_group_of_another_project_cannot_be_joined(database: Database) -> None:
    group = _group(database, project_id="p2")
    with pytest.raises(NotFound, match=rf"Instance group {group.uuid} could not be found\."):
        _member(database, group)


def test_a_member_minds_where_the_others_are(database: Database) -> None:
    group = _group(database)
    member = _member(database, group)
    _member(database, group, running(host="h1"))
    _member(database, group, running(host="h1"))
    _gone(database, _member(database, group, running(host="h2")))
    with database.read() as connection:
        company = find_company(connection, member.uuid)
        assert find_company(connection, kept(database).uuid) is None
    assert company is not None
    assert (company.policy, company.members_by_host) == (GroupPolicy.ANTI_AFFINITY, {"h1": 2})


def test_a_removed_group_leaves_its_servers_alone_and_is_told(database: Database) -> None:
    group = _group(database)
    member = _member(database, group)
    with database.transaction() as tx:
        remove_server_group(tx, group.uuid, request=asked())
    with database.read() as connection:
        assert find_group_uuid(connection, member.uuid) is None
        with pytest.raises(NotFound):
            get_server_group(connection, group.uuid)
    journal.sequence(database)
    with database.read() as connection:
        told = journal.list_entries(connection, after_seq=0, limit=9, kind="server_group")
    assert [entry.operation for entry in told] == ["create", "add_member", "delete"]


def test_of_two_members_that_are_placed_at_once_the_second_sees_the_first(database: Database) -> None:
    group = _group(database)
    members = [_member(database, group) for _ in range(4)]
    at_once = Barrier(len(members))

    def place(member: Instance) -> bool:
        """As the placer does, with h1 as everybody's first choice."""
        at_once.wait()
        with database.transaction() as tx:
            company = find_company(tx.connection, member.uuid, lock=True)
            if company is None or company.refusal("h1"):
                return False
            table = "UPDATE instances SET host = 'h1', generation = generation + 1 WHERE uuid = '{}'"
            tx.connection.exec_driver_sql(table.format(member.uuid))
            return True

    with ThreadPoolExecutor(len(members)) as pool:
        assert sorted(pool.map(place, members)) == [False, False, False, True]
