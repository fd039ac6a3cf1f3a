"""Key pairs on every database."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from kilonova.domain.errors import Conflict, Invalid, NotFound, QuotaExceeded
from kilonova.domain.keypairs import KeyPair, KeyType
from kilonova.store import journal
from kilonova.store.database import Database
from kilonova.store.keypairs import add_keypair, find_keypair, get_keypair, list_keypairs, remove_keypair
from tests.backends.store.worlds import NOW, asked


def _keypair(name: str, user_id: str = "u1") -> KeyPair:
    return KeyPair(
        id=0,
        user_id=user_id,
        name=name,
        type=KeyType.SSH,
        public_key="ssh-ed25519 AAAA",
        fingerprint="00:01",
        created_at=NOW,
    )


def _add(database: Database, name: str, user_id: str = "u1", *, limit: int = -1) -> KeyPair:
    with database.transaction() as tx:
        return add_keypair(tx, _keypair(name, user_id), limit=limit, request=asked(), is_import=True)


def test_a_key_pair_comes_back_as_it_was_added(database: Database) -> None:
    made = _add(database, "mine")
    with database.read() as connection:
        assert get_keypair(connection, "u1", "mine") == made
        assert find_keypair(connection, "u2", "mine") is None
    assert (made.id > 0, made.type) == (True, KeyType.SSH)


def test_a_name_is_taken_once_a_user_and_letters_in_case_differ(database: Database) -> None:
    _add(database, "mine")
    _add(database, "Mine")
    _add(database, "mine", "u2")
    with pytest.raises(Conflict, match=r"Key pair 'mine' already exists\."):
        _add(database, "mine")


def test_a_user_has_no_more_key_pairs_than_the_limit(database: Database) -> None:
    _add(database, "a", limit=1)
    with pytest.raises(QuotaExceeded, match=r"Quota exceeded, too many key pairs\."):
        _add(database, "b", limit=1)
    _add(database, "a", "u2", limit=1)


def test_key_pairs_that_are_added_at_once_do_not_pass_the_limit(database: Database) -> None:
    def try_to_add(name: str) -> bool:
        try:
            _add(database, name, limit=2)
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(try_to_add, "abcdef")) == 2


def test_pages_follow_one_another_by_name(database: Database) -> None:
    for name in ("c", "a", "b"):
        _add(database, name)
    with database.read() as connection:
        assert [each.name for each in list_keypairs(connection, "u1", limit=2)] == ["a", "b"]
        assert [each.name for each in list_keypairs(connection, "u1", marker="b", limit=2)] == ["c"]
        with pytest.raises(Invalid, match=r"Marker z could not be found\."):
            list_keypairs(connection, "u1", marker="z")


def test_what_is_removed_is_gone_and_told(database: Database) -> None:
    _add(database, "mine")
    with database.transaction() as tx:
        remove_keypair(tx, "u1", "mine", request=asked())
    with database.transaction() as tx, pytest.raises(NotFound, match="Keypair mine not found for user u1"):
        remove_keypair(tx, "u1", "mine", request=asked())
    journal.sequence(database)
    with database.read() as connection:
        told = journal.list_entries(connection, after_seq=0, limit=9, kind="keypair")
    assert [(entry.key, entry.operation) for entry in told] == [("u1/mine", "import"), ("u1/mine", "delete")]
