"""SQLite alone: files that are refused, the one writer, and processes that die."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from kilonova.domain.errors import StoreUnusable, Unavailable
from kilonova.store.database import Database
from kilonova.store.schema import instances, journal, usage_segments
from tests.backends.store.worlds import draft, kept


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{path}")
    database.open()
    yield database
    database.close()


def refusal(path: Path | str) -> str:
    database = Database(f"sqlite:///{path}")
    with pytest.raises(StoreUnusable) as refused:
        database.open()
    database.close()
    assert "\n" not in refused.value.message
    return refused.value.message


def test_what_was_kept_is_there_after_reopening(path: Path, opened: Database) -> None:
    instance = kept(opened)
    opened.close()
    opened.open()
    with opened.read() as connection:
        assert connection.scalar(sa.text("SELECT uuid FROM instances")) == instance.uuid


def test_a_file_of_something_else_is_refused(path: Path) -> None:
    path.write_bytes(b"these are my holiday pictures" * 10)
    assert refusal(path) == f"{path} is not an SQLite database"


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path} is not a file"


def test_a_missing_directory_is_said_to_be_missing(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "nowhere" / "state.db")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(StoreUnusable, match="has to be a plain file"):
        Database(url)


def test_a_file_that_was_cut_off_is_refused(path: Path, opened: Database) -> None:
    opened.close()
    path.write_bytes(path.read_bytes()[:8192])
    assert "corrupt" in refusal(path)
    path.write_bytes(path.read_bytes()[:50])
    assert "corrupt" in refusal(path)


def test_a_file_with_a_damaged_first_page_is_refused(path: Path, opened: Database) -> None:
    opened.close()
    content = bytearray(path.read_bytes())
    content[100:4096] = os.urandom(3996)
    path.write_bytes(content)
    assert "cannot be used" in refusal(path)


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    path.touch()
    database = Database(f"sqlite:///{path}")
    database.open()
    kept(database)
    database.close()


def test_a_directory_that_cannot_be_written_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root, who may write everywhere
    assert refusal(path) == f"the directory {path.parent} of the database is not writable"


def test_a_full_disk_is_an_outage_and_leaves_nothing(opened: Database) -> None:
    kept(opened)
    with opened.transaction() as tx:
        pages = tx.connection.scalar(sa.text("PRAGMA page_count"))
        tx.connection.execute(sa.text(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(Unavailable, match="disk is full"):
        kept(opened, draft(user_data="x" * 100_000))
    with opened.transaction() as tx:
        tx.connection.execute(sa.text("PRAGMA max_page_count = 1000000"))
    kept(opened)
    with opened.read() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM instances")) == 2
        assert connection.scalar(sa.select(sa.func.count()).select_from(journal)) == 2


def test_a_transaction_inside_another_one_is_refused(opened: Database) -> None:
    with opened.transaction(), pytest.raises(RuntimeError, match="inside another one"), opened.transaction():
        pass
    kept(opened)


def test_readers_do_not_wait_for_the_writer(opened: Database) -> None:
    kept(opened)
    counted: list[int] = []

    def count() -> None:
        with opened.read() as connection:
            counted.append(connection.scalar(sa.text("SELECT count(*) FROM instances")))

    with opened.transaction() as tx:
        tx.connection.execute(sa.text("UPDATE instances SET progress = 5"))
        readers = [threading.Thread(target=count) for _ in range(4)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(timeout=60)
    assert counted == [1] * 4


def test_every_connection_is_set_up_for_safety(opened: Database) -> None:
    with opened.transaction() as tx, opened.read() as reading:
        for connection in (tx.connection, reading):
            assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
            assert connection.scalar(sa.text("PRAGMA synchronous")) == 2
            assert connection.scalar(sa.text("PRAGMA foreign_keys")) == 1


_WRITER = """
import sys
from kilonova.store.database import Database
from tests.backends.store.worlds import kept, changed, running
database = Database(sys.argv[1])
database.open()
instance = kept(database, running())
print("ready", flush=True)
while True:
    instance = changed(database, instance, progress=instance.progress + 1, host=f"h{instance.progress % 2}")
"""

_HALF = """
import sys
from kilonova.domain.changes import Change
from kilonova.store.changes import save
from kilonova.store.database import Database
from tests.backends.store.worlds import NOW, asked, running
database = Database(sys.argv[1])
database.open()
with database.transaction() as tx:
    save(tx, Change(before=None, after=running(user_data="x" * 5_000_000), request=asked(), occurred_at=NOW))
    print("ready", flush=True)
    sys.stdin.read()
"""


def killed(code: str, path: Path, *, after_changes: int = 0) -> None:
    """Run the code until it says that it is ready and some more was written, then kill it."""
    command = [sys.executable, "-c", code, f"sqlite:///{path}"]
    root = str(Path(__file__).parents[3])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        seen = sqlite3.connect(path)
        while seen.execute("SELECT count(*) FROM journal").fetchone()[0] <= after_changes and after_changes:
            pass
        seen.close()
        process.send_signal(signal.SIGKILL)


def whole(database: Database) -> int:
    """The instance's generation, once record, journal and usage were seen to agree."""
    with database.read() as connection:
        assert connection.scalar(sa.text("PRAGMA integrity_check")) == "ok"
        generation, host = connection.execute(sa.text("SELECT generation, host FROM instances")).one()
        assert connection.scalar(sa.text("SELECT count(*) FROM journal")) == generation
        assert connection.scalar(sa.text("SELECT host FROM usage_segments WHERE ended_at IS NULL")) == host
        assert connection.scalar(sa.text("SELECT count(*) FROM usage_segments WHERE ended_at IS NULL")) == 1
    return int(generation)


@pytest.mark.parametrize("changes", [3, 20, 57])
def test_a_process_killed_while_writing_leaves_whole_changes_only(path: Path, changes: int) -> None:
    killed(_WRITER, path, after_changes=changes)
    database = Database(f"sqlite:///{path}")
    database.open()
    assert whole(database) > changes
    kept(database)
    database.close()


def test_a_process_killed_inside_a_transaction_leaves_nothing_of_it(path: Path) -> None:
    killed(_HALF, path)
    database = Database(f"sqlite:///{path}")
    database.open()
    with database.read() as connection:
        for table in (instances, journal, usage_segments):
            assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0
    kept(database)
    database.close()


def test_two_processes_on_one_file_take_turns(path: Path, opened: Database) -> None:
    command = [sys.executable, "-c", _WRITER, f"sqlite:///{path}"]
    root = str(Path(__file__).parents[3])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(30):
            kept(opened)
        process.kill()
    with opened.read() as connection:
        assert connection.scalar(sa.text("PRAGMA integrity_check")) == "ok"
        assert connection.scalar(sa.text("SELECT count(*) FROM instances")) == 31
        generations = connection.scalar(sa.text("SELECT sum(generation) FROM instances"))
        assert connection.scalar(sa.text("SELECT count(*) FROM journal")) == generations
