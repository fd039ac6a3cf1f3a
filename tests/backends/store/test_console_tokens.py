"""Tokens of remote consoles, on every database."""

from typing import Any

from kilonova.domain.model import Instance
from kilonova.domain.remote_consoles import ConsoleKind, ConsoleToken
from kilonova.domain.states import VmState
from kilonova.store.console_tokens import add_console_token, find_console_token, purge_console_tokens
from kilonova.store.database import Database
from tests.backends.store.worlds import NOW, at, changed, kept, running

_MOST = 3


def token_for(server: Instance, number: int = 1, **fields: Any) -> ConsoleToken:
    told: dict[str, Any] = {"digest": f"{number:064x}", "kind": ConsoleKind.VNC, "expires_at": at(600 + number)}
    return ConsoleToken(instance_uuid=server.uuid, host=server.host or "", **(told | fields))


def added(database: Database, server: Instance, number: int = 1, **fields: Any) -> ConsoleToken:
    token = token_for(server, number, **fields)
    database.run(lambda tx: add_console_token(tx, token, most=_MOST))
    return token


def found(database: Database, token: ConsoleToken, *, seconds: float = 0) -> ConsoleToken | None:
    with database.read() as connection:
        return find_console_token(connection, token.digest, now=at(seconds))


def test_a_token_is_found_until_its_time_is_over(database: Database) -> None:
    token = added(database, kept(database, running()), expires_at=at(600))
    assert found(database, token, seconds=599) == token
    assert found(database, token, seconds=600) is None


def test_the_end_of_a_server_is_that_of_its_tokens_and_of_nobody_elses(database: Database) -> None:
    server, other = kept(database, running()), kept(database, running())
    token, its = added(database, server), added(database, other, 2)
    changed(database, server, vm_state=VmState.DELETED, deleted_at=NOW, terminated_at=NOW)
    assert found(database, token) is None
    assert found(database, its) == its


def test_a_token_does_not_follow_its_server_to_another_host(database: Database) -> None:
    server = kept(database, running())
    token = added(database, server)
    server = changed(database, server, display_name="renamed")
    assert found(database, token) == token
    changed(database, server, host="h2")
    assert found(database, token) is None


def test_of_too_many_tokens_those_stay_that_expire_last(database: Database) -> None:
    server = kept(database, running())
    tokens = [added(database, server, number) for number in range(1, _MOST + 3)]
    assert [found(database, token) for token in tokens] == [None, None, *tokens[-_MOST:]]


def test_what_has_expired_is_dropped(database: Database) -> None:
    server = kept(database, running())
    short, long = added(database, server, 1, expires_at=at(60)), added(database, server, 2, expires_at=at(120))
    assert database.run(lambda tx: purge_console_tokens(tx, at(60))) == 1
    assert found(database, short) is None
    assert found(database, long) == long
