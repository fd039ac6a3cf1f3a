"""The door to the database: short reads, and transactions that are kept whole or not at all."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from kilonova.domain.errors import StoreUnusable
from kilonova.store import embedded, revisions, sessions
from kilonova.store.failures import Contention, translated

__all__ = ["Connection", "Database", "Transaction"]  # those who only pass a connection on need no SQLAlchemy

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_DIALECTS: Final = {"sqlite": "sqlite", "postgresql": "postgresql", "mysql": "mariadb", "mariadb": "mariadb"}
_READ_ONLY: Final[dict[str, dict[str, Any]]] = {
    "sqlite": {"check_same_thread": False, "timeout": embedded.BUSY_SECONDS, "cached_statements": 512},
    "postgresql": {"options": "-c default_transaction_read_only=on"},
    "mariadb": {"init_command": "SET SESSION TRANSACTION READ ONLY"},
}
_READ_WRITE: Final[dict[str, dict[str, Any]]] = {
    "sqlite": {"check_same_thread": False, "timeout": embedded.BUSY_SECONDS, "cached_statements": 512},
    "postgresql": {},
    "mariadb": {"init_command": "SET SESSION innodb_lock_wait_timeout = 10"},
}


class Transaction:
    """One piece of work that is kept whole or not at all.

    ``connection`` is for statements; ``after_commit`` keeps what has to happen once it is certain. ``deadlines`` are
    those of its ``Database``.
    """

    def __init__(self, connection: Connection, deadlines: Mapping[str, int] | None = None) -> None:
        self.connection = connection
        self.deadlines: Mapping[str, int] = deadlines or {}
        self._afterwards: list[Callable[[], None]] = []
        self._has_journalled = False

    def after_commit(self, work: Callable[[], None]) -> None:
        """Have ``work`` done after a successful commit, in the order asked for; never after a rollback.

        What it raises is logged and keeps nobody else's work from being done: the commit stands.
        """
        self._afterwards.append(work)

    def journalled(self) -> None:
        """Note that a journal row was written, so that the sequencer is prodded after the commit."""
        self._has_journalled = True

    def settle(self, on_journal: Callable[[], None]) -> None:
        """Do what was to be done after the commit. For ``Database`` alone."""
        prods = [on_journal] if self._has_journalled else []
        for work in [*self._afterwards, *prods]:
            try:
                work()
            except Exception:  # noqa: BLE001  whatever it is, the commit stands and others wait
                _log.exception("what followed a commit failed; the commit stands")


class Database:
    """A database by its SQLAlchemy URL: SQLite in a file, PostgreSQL, or MariaDB from 10.6 on.

    Safe to share between threads. ``on_journal`` is called after every commit that wrote a journal row; ``deadlines``
    are seconds for operations by their names, where they are not to be those of the table.
    Raises ``StoreUnusable`` for a URL that makes no sense.
    """

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self.url = _parsed(url)
        self.dialect: str = _DIALECTS[self.url.get_backend_name()]
        if self.is_embedded:
            embedded.check_url(self.url)
        self.on_journal: Callable[[], None] = lambda: None
        self.deadlines: Mapping[str, int] = {}
        reading: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None}
        writing: dict[str, Any] = {}
        if not self.is_embedded:
            writing = {"isolation_level": "READ COMMITTED", "pool_pre_ping": True}
        self._reads = _engine(self.url, pool_size, {"connect_args": _READ_ONLY[self.dialect], **reading})
        self._writes = _engine(self.url, pool_size, {"connect_args": _READ_WRITE[self.dialect], **writing})
        self._turn = _Turn() if self.is_embedded else None
        if not self.is_embedded:
            event.listen(self._reads, "checkout", sessions.check_alive(self._reads))
        if self.is_embedded:
            event.listen(self._reads, "connect", embedded.prepare_for_reading)
            event.listen(self._writes, "connect", embedded.prepare_for_writing)
            event.listen(self._writes, "begin", embedded.begin_immediate)

    @property
    def is_embedded(self) -> bool:
        """True for SQLite: reads are local and cheap, and there is one writer."""
        return self.dialect == "sqlite"

    def open(self) -> None:
        """Make the schema or bring it up to date.

        Raises ``StoreUnusable``, with one sentence, for a database that is corrupt, newer than this code, not
        Kilonova's, out of reach or not writable.
        """
        if self.is_embedded:
            embedded.check_file(self.url)
        revisions.bring_up_to_date(self._writes, self.dialect)

    def close(self) -> None:
        """Close all connections; the object may be opened again."""
        self._reads.dispose()
        self._writes.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for queries, each of which sees what is committed; writing through it is refused."""
        with translated(), self._reads.connect() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction: committed at the end, undone by any exception.

        With SQLite they follow one another, in this process and among all. Raises ``Contention`` when the database
        undid it in favour of another one, ``Unavailable`` when it does not answer or its disk is full.
        """
        turn: AbstractContextManager[object] = self._turn or nullcontext()
        with turn, translated(), self._writes.begin() as connection:
            transaction = Transaction(connection, self.deadlines)
            yield transaction
        transaction.settle(self.on_journal)

    def run(self, work: Callable[[Transaction], _T], *, attempts: int = 5) -> _T:
        """Do ``work`` in a transaction, and again when the database undid it in favour of another one.

        ``work`` may be called several times and must have no effect but on the transaction. Raises what it raises,
        and ``Contention`` when the last attempt fails too.
        """
        for _ in range(attempts - 1):
            try:
                with self.transaction() as transaction:
                    return work(transaction)
            except Contention as contention:
                _log.debug("transaction undone, trying again: %s", contention.detail)
        with self.transaction() as transaction:
            return work(transaction)


class _Turn:
    """The one writer of an embedded database. A second transaction in one thread is refused: it would wait for ever."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None

    def __enter__(self) -> None:
        if self._owner == threading.get_ident():
            raise RuntimeError("a transaction was begun inside another one")
        self._lock.acquire()
        self._owner = threading.get_ident()

    def __exit__(self, *_: object) -> None:
        self._owner = None
        self._lock.release()


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreUnusable(f"{url!r} is not a database URL") from error
    if parsed.get_backend_name() not in _DIALECTS:
        raise StoreUnusable(
            f"{parsed.get_backend_name()} is not a database that Kilonova knows: {', '.join(_DIALECTS)}"
        )
    return parsed


def _engine(url: URL, pool_size: int, options: dict[str, Any]) -> Engine:
    try:
        # What is written is nobody's business but the database's: it may be a user's secrets, and errors are logged.
        return create_engine(url, pool_size=pool_size, max_overflow=pool_size, hide_parameters=True, **options)
    except NoSuchModuleError as error:
        raise StoreUnusable(f"{url.drivername} is not a driver that SQLAlchemy knows") from error
    except ModuleNotFoundError as error:
        raise StoreUnusable(f"{url.drivername} needs the Python module {error.name}, which is not installed") from error
