"""A storm over the feed: writers, two relays at once and the way to the broker are cut down at random.

    python -m tests.chaos.feed_storm --changes 20000 [--seed 1]

A consumer at a real RabbitMQ takes what comes. At the end it has every message of the journal and no other, each
server's in order, and what it has twice is the same with the same id.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kilonova.notifications import NotificationOptions, render
from kilonova.store import journal
from kilonova.store.database import Database
from tests.brokers import Cable, Exchange, cable, exchange

ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Outcome:
    """What was told, and what came."""

    expected: list[tuple[str, str]] = field(default_factory=list)
    """Message ids in the order of the journal, each with its server."""
    got: list[dict[str, Any]] = field(default_factory=list)
    rows: int = 0
    kills: dict[str, int] = field(default_factory=dict)

    def check(self) -> None:
        """All that has to hold."""
        ids = [each["message_id"] for each in self.got]
        wanted = [message_id for message_id, _ in self.expected]
        assert len(set(wanted)) == len(wanted)
        assert set(wanted) - set(ids) == set(), "lost"
        assert set(ids) - set(wanted) == set(), "made up"
        first: dict[str, dict[str, Any]] = {}
        for message in self.got:
            assert first.setdefault(message["message_id"], message) == message, "a repeat is the same"
        order = {message_id: place for place, message_id in enumerate(first)}
        for server in {server for _, server in self.expected}:
            places = [order[message_id] for message_id, whose in self.expected if whose == server]
            assert places == sorted(places), "a server's messages are in order"

    @property
    def repeats(self) -> int:
        """How many messages came more than once."""
        return len(self.got) - len({each["message_id"] for each in self.got})


class Storm:
    """The processes of one run."""

    def __init__(self, folder: Path, nova: Exchange, way: Cable, *, changes: int, seed: int) -> None:
        self._folder, self._nova, self._way, self._changes = folder, nova, way, changes
        self._chance = random.Random(seed)  # noqa: S311  a test's own dice
        self._url = f"sqlite:///{folder / 'kilonova.sqlite'}"
        self._settings = folder / "settings.toml"
        self._settings.write_text(
            f'[DEFAULT]\nhost = "ctl"\ntransport_url = "{nova.url(way.port)}"\ncontrol_exchange = "{nova.name}"\n'
            "[feed]\nfile = false\nlease_seconds = 2.0\n"
            "[oslo_messaging_notifications]\n"
        )
        self._log = (folder / "log").open("ab")
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Until all is written and told."""
        database = Database(self._url)
        database.open()
        writer, relays = self._writer(), [self._relay(), self._relay()]
        try:
            while not self._is_done(database, writer):
                self.outcome.got += self._nova.drain()
                writer, relays = self._strike(writer, relays)
                self._let_pass(0.3 + self._chance.random())
            self.outcome.got += self._nova.drain()
        finally:
            for process in (writer, *relays):
                process.kill()
                process.wait()
            self._log.close()
        self._remember(database)
        database.close()
        return self.outcome

    def _let_pass(self, seconds: float) -> None:
        """A storm is blind: it strikes when its time has come, whatever anybody is doing."""
        threading.Event().wait(seconds)

    def _strike(self, writer: Any, relays: list[Any]) -> tuple[Any, list[Any]]:
        """One misfortune, or none."""
        what = self._chance.choice(["writer", "relay", "relay", "broker", "all", "nothing", "nothing"])
        if what != "nothing":
            self.outcome.kills[what] = self.outcome.kills.get(what, 0) + 1
        if what in ("writer", "all") and writer.poll() is None:
            _kill(writer)
            writer = self._writer()
        if what in ("relay", "all"):
            for place in range(2) if what == "all" else [self._chance.randrange(2)]:
                _kill(relays[place])
                relays[place] = self._relay()
        if what == "broker":
            self._way.cut()
            self._let_pass(self._chance.random())
            self._way.mend()
        return writer, relays

    def _is_done(self, database: Database, writer: Any) -> bool:
        if writer.poll() is None:
            return False
        assert writer.returncode == 0, (self._folder / "log").read_text()[-2000:]
        while journal.sequence(database):
            pass
        from kilonova.store import sinks

        with database.read() as connection:
            head = journal.head(connection)
            return all(sink.cursor_seq == head for sink in sinks.list_sinks(connection) if sink.kind == "amqp")

    def _writer(self) -> Any:
        seed = str(self._chance.randrange(10**6))
        return self._start("tests.chaos.feed_writer", self._url, str(self._changes), seed)

    def _relay(self) -> Any:
        return self._start("kilonova", "relay", "--state-dir", str(self._folder), "--config-file", str(self._settings))

    def _start(self, *command: str) -> Any:
        return subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=self._log)

    def _remember(self, database: Database) -> None:
        options = NotificationOptions(host="ctl")
        with database.read() as connection:
            found = journal.list_entries(connection, after_seq=0, limit=10_000_000)
        self.outcome.rows = len(found)
        for row in found:
            self.outcome.expected += [(message.message_id, row.key) for message in render(row, options)]


def _kill(process: Any) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def storm(folder: Path, *, changes: int, seed: int) -> Outcome:
    """One run of so many changes."""
    with exchange() as nova, cable(nova) as way:
        # The sink is there before the first row: what RabbitMQ is told begins with when it was set up.
        from kilonova.bootstrap import build_relay
        from kilonova.config import load

        made = Storm(folder, nova, way, changes=changes, seed=seed)
        overrides = {("kilonova", "state_dir"): str(folder)}
        database, _ = build_relay(load([folder / "settings.toml"], environment={}, overrides=overrides))
        database.close()
        return made.run()


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        found = storm(Path(folder), changes=wanted.changes, seed=wanted.seed)
        found.check()
    told = {
        "rows": found.rows,
        "messages": len(found.expected),
        "repeats": found.repeats,
        "struck": found.kills,
        "seconds": round(time.monotonic() - began),
    }
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main()
