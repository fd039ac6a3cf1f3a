"""Ports and their addresses, on every database: nothing is given twice, and what is left is free again."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest

from kilonova.domain.errors import Conflict, Invalid, NotFound
from kilonova.domain.model import Instance, Instant
from kilonova.domain.ports import Port, Wish, addresses_of
from kilonova.domain.states import VmState
from kilonova.network.embedded import FlatNetwork
from kilonova.services.ports import MOST_ADDRESSES, Ports
from kilonova.store import ports
from kilonova.store.database import Database, Transaction
from kilonova.store.failures import Contention
from tests.backends.store.worlds import NOW, at, changed, draft, kept, running

NETWORK = FlatNetwork()


def a_port(number: int = 1, **fields: object) -> Port:
    port = Port(
        id=str(uuid4()),
        project_id="p1",
        name="",
        description="",
        mac=f"fa:16:3e:80:00:{number:02x}",
        addresses=(f"10.77.200.{number}",),
        device_id=None,
        is_kept=True,
        created_at=at(number),
        updated_at=None,
    )
    return replace(port, **fields)  # type: ignore[arg-type]


def added(database: Database, *made: Port) -> None:
    with database.transaction() as tx:
        for port in made:
            ports.add_port(tx, port)


def listed(database: Database, **asked: str) -> list[Port]:
    with database.read() as connection:
        return ports.list_ports(connection, **asked)


def user_of(database: Database, address: str) -> str | None:
    with database.read() as connection:
        return ports.find_user(connection, address)


def service(database: Database) -> Ports:
    return Ports(database, lambda: NOW, NETWORK)


def placed(database: Database, server: Instance) -> Instance:
    """A server with the address that its number leads to, or another one where that is taken."""

    def work(tx: Transaction) -> Instance:
        return service(database).place(tx, server)

    return changed(database, server, nics_json=database.run(work).nics_json)


def test_ports_are_listed_with_their_addresses_oldest_first(database: Database) -> None:
    second, first = a_port(2, addresses=("10.77.200.9", "10.77.200.2")), a_port(1, project_id="p2", device_id="d1")
    bare = a_port(3, addresses=())
    added(database, second, first, bare)
    assert listed(database) == [first, replace(second, addresses=("10.77.200.2", "10.77.200.9")), bare]
    assert listed(database, project_id="p2") == listed(database, device_id="d1") == [first]
    with database.read() as connection:
        assert ports.find_port(connection, first.id) == first
        assert ports.get_port(connection, first.id, project_id="p2") == first
        assert ports.find_port(connection, "none") is None
        assert ports.count_kept(connection, "p1") == 2
        assert ports.taken_addresses(connection) == {"10.77.200.1", "10.77.200.2", "10.77.200.9"}
        for port_id, project in ((first.id, "p1"), ("none", None)):
            with pytest.raises(NotFound, match="could not be found"):
                ports.get_port(connection, port_id, project_id=project)


@pytest.mark.parametrize("same", ["mac", "addresses"])
def test_what_a_port_has_is_given_to_no_other(database: Database, same: str) -> None:
    first = a_port(1)
    added(database, first)
    with pytest.raises(Contention):
        added(database, a_port(2, **{same: getattr(first, same)}))
    assert listed(database) == [first]
    with database.read() as connection:
        assert ports.is_taken(connection, mac=first.mac)
        assert ports.is_taken(connection, address=first.addresses[0])
        assert not ports.is_taken(connection, mac="fa:16:3e:80:00:02", address="10.77.200.2")


def test_a_port_is_plugged_into_once_and_given_up_when_nothing_is(database: Database) -> None:
    port = a_port()
    added(database, port)
    with database.transaction() as tx:
        assert not ports.plug(tx, port.id, "d1", project_id="p2", now=at(1))
        assert ports.plug(tx, port.id, "d1", project_id="p1", now=at(1))
        assert not ports.plug(tx, port.id, "d2", project_id="p1", now=at(2))
        assert not ports.drop(tx, port.id)
    assert listed(database, device_id="d1") == [replace(port, device_id="d1", updated_at=at(1))]
    spare = a_port(2)
    added(database, spare)
    with database.transaction() as tx:
        ports.rename(tx, spare.id, name="front", description="to the world", now=at(3))
    assert listed(database)[1] == replace(spare, name="front", description="to the world", updated_at=at(3))
    with database.transaction() as tx:
        assert ports.drop(tx, spare.id)
    assert user_of(database, spare.addresses[0]) is None


def test_the_first_address_that_is_free_is_found_behind_many_that_are_not(database: Database) -> None:
    candidates = list(NETWORK.candidates("some port"))
    assert len(set(candidates)) == len(candidates) > 65_000
    added(database, a_port(addresses=tuple(candidates[:300])))
    with database.read() as connection:
        assert ports.first_free(connection, NETWORK.candidates("some port")) == candidates[300]
        assert ports.first_free(connection, candidates[:300]) is None
        assert ports.first_free(connection, []) is None


def test_a_mac_that_a_number_leads_to_is_not_to_be_chosen_as_well(database: Database) -> None:
    server = placed(database, kept(database, running(nics_json="[{}]")))
    wish = Wish(project_id="p1", id=str(uuid4()), mac=server.nics[0]["mac"], is_kept=True)
    with pytest.raises(Conflict, match="mac address"):
        service(database).make(wish)
    changed(database, server, vm_state=VmState.DELETED, terminated_at=NOW, deleted_at=NOW)
    assert service(database).make(wish).mac == wish.mac


def test_an_address_is_known_by_who_has_it(database: Database) -> None:
    server = placed(database, kept(database, running(nics_json="[{}]")))
    (nic,) = server.nics
    spare, used = a_port(1), a_port(2, device_id="d1")
    added(database, spare, used)
    assert user_of(database, nic["address"]) == server.uuid
    assert [user_of(database, port.addresses[0]) for port in (spare, used)] == [spare.id, "d1"]
    assert user_of(database, "10.77.200.3") is None


def test_what_a_server_leaves_is_free_again_and_what_was_made_by_hand_stays(database: Database) -> None:
    hand, own = a_port(1), a_port(2, is_kept=False)
    added(database, hand, own)
    nics = [
        {"mac": port.mac, "address": port.addresses[0], "port_id": port.id, "is_reserved": True} for port in (hand, own)
    ]
    server = placed(database, kept(database, running(nics_json=_json([{}, *nics]))))
    with database.transaction() as tx:
        for port in (hand, own):
            assert ports.plug(tx, port.id, server.uuid, project_id="p1", now=at(5))
    numbered = server.nics[0]["address"]
    without = changed(database, server, nics_json=_json(server.nics[:2]), now=at(9))
    assert [user_of(database, address) for address in (numbered, *hand.addresses, *own.addresses)] == [
        server.uuid,
        server.uuid,
        None,
    ]
    changed(database, without, vm_state=VmState.DELETED, terminated_at=at(10), deleted_at=at(10), now=at(10))
    assert listed(database) == [replace(hand, updated_at=at(10))]
    assert [user_of(database, address) for address in (numbered, *hand.addresses)] == [None, hand.id]


def test_further_addresses_come_and_go_with_the_server(database: Database) -> None:
    offered = service(database)
    server = placed(database, kept(database, running(nics_json="[{}]")))

    def more(current: Instance) -> Instance:
        after = database.run(lambda tx: offered.add_address(tx, current, NETWORK.id))
        return changed(database, current, nics_json=after.nics_json)

    first = addresses_of(server.nics[0])
    for _ in range(MOST_ADDRESSES - 1):
        server = more(server)
    has = addresses_of(server.nics[0])
    assert (has[:1], len(set(has))) == (first, MOST_ADDRESSES)
    assert {user_of(database, address) for address in has} == {server.uuid}
    with pytest.raises(Invalid, match="maximum amount of fixed ips"):
        more(server)
    server = changed(database, server, nics_json=offered.remove_address(server, has[0]).nics_json)
    assert addresses_of(server.nics[0]) == has[1:]
    assert user_of(database, has[0]) is None
    with pytest.raises(Invalid, match="does not have fixed IP"):
        offered.remove_address(server, has[0])
    changed(database, server, vm_state=VmState.DELETED, terminated_at=NOW, deleted_at=NOW)
    with database.read() as connection:
        assert ports.taken_addresses(connection) == set()


def test_an_address_that_is_chosen_is_not_given_by_number(database: Database) -> None:
    server = kept(database, running(nics_json="[{}]"))
    chosen = NETWORK.address(server.id)
    service(database).make(Wish(project_id="p1", id=str(uuid4()), address=chosen, is_kept=True))
    (nic,) = placed(database, server).nics
    assert nic["address"] != chosen
    assert nic["is_reserved"]


def test_two_servers_whose_numbers_lead_to_one_address_have_two(database: Database) -> None:
    """The range is small, and went around."""
    network = FlatNetwork(cidr="10.9.0.0/27")
    offered = Ports(database, lambda: NOW, network)
    servers = [kept(database, running(nics_json="[{}]")) for _ in range(12)]
    given = set()
    for server in servers:
        after = database.run(lambda tx, server=server: offered.place(tx, server))  # type: ignore[misc]
        given.add(changed(database, server, nics_json=after.nics_json).nics[0]["address"])
    assert len(given) == len(servers)


def test_an_address_chosen_in_the_instant_in_which_a_number_leads_to_it_is_given_once(database: Database) -> None:
    server = kept(database, draft(nics_json="[{}]"))
    chosen = NETWORK.address(server.id)
    wish = Wish(project_id="p1", id=str(uuid4()), address=chosen, is_kept=True)
    met = _Meeting(0 if database.is_embedded else 2)
    offered = Ports(database, met.clock, NETWORK)
    with ThreadPoolExecutor(2) as callers:
        placing = callers.submit(lambda: database.run(lambda tx: offered.place(tx, server)))
        choosing = callers.submit(lambda: _address_of(offered, wish))
    (by_number,) = addresses_of(placing.result().nics[0])
    by_choice = choosing.result()
    assert [by_number, by_choice].count(chosen) == 1, "one of them has it, and not both"
    with database.read() as connection:
        assert ports.taken_addresses(connection) == {by_number, by_choice} - {None}


def test_two_addresses_that_are_chosen_in_one_instant_are_given_once(database: Database) -> None:
    wishes = [Wish(project_id="p1", id=str(uuid4()), address="10.77.3.3", is_kept=True) for _ in range(2)]
    offered = Ports(database, _Meeting(0 if database.is_embedded else 2).clock, NETWORK)
    with ThreadPoolExecutor(2) as callers:
        given = list(callers.map(lambda wish: _address_of(offered, wish), wishes))
    assert sorted(given, key=str) == ["10.77.3.3", None]
    assert len(listed(database)) == 1


class _Meeting:
    """A clock that each of so many threads reads after it has looked what is taken, and before it takes anything.

    The first time each of them waits there for all others; nobody does where transactions follow one another (0).
    """

    def __init__(self, number: int) -> None:
        self._all = threading.Barrier(number, timeout=60) if number else None
        self._here = threading.local()

    def clock(self) -> Instant:
        if self._all is not None and not hasattr(self._here, "was"):
            self._here.was = True
            self._all.wait()
        return NOW


def _address_of(offered: Ports, wish: Wish) -> str | None:
    """The address of the port that is made; None where it cannot be had."""
    try:
        return offered.make(wish).addresses[0]
    except Conflict:
        return None


def _json(nics: object) -> str:
    return json.dumps(nics, separators=(",", ":"))
