import pytest

from kilonova.domain.errors import Conflict, NotFound
from kilonova.domain.model import Flavor
from kilonova.store import journal
from kilonova.store.database import Database, Transaction
from kilonova.store.flavors import (
    add_flavor,
    add_flavor_access,
    change_extra_specs,
    find_flavor_by_id,
    get_flavor,
    list_flavor_access,
    list_flavors,
    remove_flavor,
    remove_flavor_access,
    seed_flavors,
    update_flavor,
)
from tests.backends.store.worlds import NOW, asked, at


def test_an_empty_store_gets_the_usual_flavors_once(database: Database) -> None:
    for _ in range(2):
        with database.transaction() as tx:
            seed_flavors(tx, NOW)
    with database.read() as connection:
        found = list_flavors(connection)
        assert [one.flavorid for one in found] == ["1", "2", "3", "4", "42", "5"]
        tiny = get_flavor(connection, "1")
    assert (tiny.name, tiny.vcpus, tiny.memory_mb, tiny.root_gb) == ("m1.tiny", 1, 512, 1)
    assert tiny.is_public is True


def test_a_flavor_comes_back_as_it_was_added(database: Database) -> None:
    with database.transaction() as tx:
        made = add_flavor(
            tx,
            flavorid="x",
            name="m1.x",
            vcpus=2,
            memory_mb=10,
            root_gb=0,
            now=NOW,
            is_public=False,
            extra_specs_json='{"a":"b"}',
            swap_mb=7,
            rxtx_factor=1.5,
            description="ä",
        )
    assert isinstance(made, Flavor)
    assert made.id > 0
    with database.read() as connection:
        assert get_flavor(connection, "x") == made == find_flavor_by_id(connection, made.id)
        assert list_flavors(connection) == []
        assert list_flavors(connection, include_private=True) == [made]


def test_ids_and_names_are_taken_once(database: Database) -> None:
    with database.transaction() as tx:
        seed_flavors(tx, NOW)

    def add(tx: Transaction, flavorid: str, name: str) -> None:
        add_flavor(tx, flavorid=flavorid, name=name, vcpus=1, memory_mb=1, root_gb=1, now=NOW)

    with database.transaction() as tx:
        with pytest.raises(Conflict, match=r"^Flavor with name m1\.tiny already exists\.$"):
            add(tx, "7", "m1.tiny")
        with pytest.raises(Conflict, match=r"^Flavor with ID 1 already exists\.$"):
            add(tx, "1", "m1.other")
        add(tx, "7", "M1.TINY")
    with database.read() as connection:
        assert len(list_flavors(connection)) == 7


def test_a_removed_flavor_is_not_found(database: Database) -> None:
    with database.transaction() as tx:
        seed_flavors(tx, NOW)
        number = get_flavor(tx.connection, "1").id
        remove_flavor(tx, "1", now=at(1))
        with pytest.raises(NotFound, match=r"^Flavor 1 could not be found\.$"):
            remove_flavor(tx, "1", now=at(1))
    with database.read() as connection:
        assert find_flavor_by_id(connection, number) is None
    journal.sequence(database)
    with database.read() as connection:
        told = journal.list_entries(connection, after_seq=6, limit=9, kind="flavor")
    assert [(entry.key, entry.operation) for entry in told] == [("1", "delete")]


def test_a_private_flavor_is_there_for_projects_with_access(database: Database) -> None:
    with database.transaction() as tx:
        made = add_flavor(tx, flavorid="x", name="m1.x", vcpus=2, memory_mb=10, root_gb=0, now=NOW, is_public=False)
        add_flavor_access(tx, made, "p1", request=asked())
    with database.read() as connection:
        assert list_flavors(connection, project_id="p1") == [made]
        assert list_flavors(connection, project_id="p2") == []
        assert get_flavor(connection, "x", include_private=False, project_id="p1") == made
        assert list_flavor_access(connection, made) == ["p1"]
        with pytest.raises(NotFound, match=r"Flavor x could not be found\."):
            get_flavor(connection, "x", include_private=False, project_id="p2")
    with database.transaction() as tx, pytest.raises(Conflict, match="for flavor x and project p1 combination"):
        add_flavor_access(tx, made, "p1", request=asked())
    with database.transaction() as tx:
        remove_flavor_access(tx, made, "p1", request=asked())
    with database.transaction() as tx, pytest.raises(NotFound, match="not found for x / p1 combination"):
        remove_flavor_access(tx, made, "p1", request=asked())


def test_a_flavor_that_is_removed_takes_its_access_along(database: Database) -> None:
    with database.transaction() as tx:
        made = add_flavor(tx, flavorid="x", name="m1.x", vcpus=2, memory_mb=10, root_gb=0, now=NOW, is_public=False)
        add_flavor_access(tx, made, "p1", request=asked())
        remove_flavor(tx, "x", now=NOW)
    with database.read() as connection:
        assert list_flavor_access(connection, made) == []


def test_extra_specs_and_descriptions_change_and_are_told(database: Database) -> None:
    with database.transaction() as tx:
        add_flavor(tx, flavorid="x", name="m1.x", vcpus=2, memory_mb=10, root_gb=0, now=NOW)
        change_extra_specs(tx, "x", wanted={"b": "1", "a": "2"}, request=asked())
        change_extra_specs(tx, "x", wanted={"c": "3"}, unwanted=["b"], request=asked())
        changed = update_flavor(tx, "x", {"description": "ä"}, now=NOW, request=asked())
    assert (changed.extra_specs_json, changed.description) == ('{"a":"2","c":"3"}', "ä")
    with database.transaction() as tx, pytest.raises(NotFound, match=r"Flavor x has no extra specs with key b\."):
        change_extra_specs(tx, "x", unwanted=["b"], request=asked())
    journal.sequence(database)
    with database.read() as connection:
        told = journal.list_entries(connection, after_seq=0, limit=9, kind="flavor", key="x")
    assert [entry.operation for entry in told] == ["create", "update", "update", "update"]
