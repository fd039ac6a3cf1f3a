"""A storm over the feed: the plane, two relays at once and the broker are killed at random while servers change.

    python -m tests.chaos.feed_storm --changes 20000 [--seed 1]

The plane is ``kilonova up`` in a process of its own, with the API, the conductor, the agents and the sequencer; the
relays are two of ``kilonova relay``; the broker is a RabbitMQ of the run's own. All of them are killed with SIGKILL and
started again. A consumer takes what comes. At the end it has every message of the journal and no other, each server's
in order, and what it has twice is the same with the same id.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kilonova.notifications import NotificationOptions, render
from kilonova.store import journal, sinks
from kilonova.store.database import Database
from tests.chaos.feed_askers import Askers
from tests.chaos.feed_listener import Got, Listener
from tests.chaos.storm import deadlines
from tests.chaos.storm_cloud import StormCloud
from tests.own_broker import OwnBroker, own_broker
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
_SETTINGS = """
[DEFAULT]
transport_url = "rabbit://guest:guest@127.0.0.1:{port}/"
control_exchange = "{exchange}"
[oslo_messaging_rabbit]
amqp_durable_queues = true
[kilonova]
simulate_pace = 0.0
[feed]
relay = false
file = false
lease_seconds = 6.0
"""
_EXCHANGE = "nova"
_SERVERS = 30
_TARGETS = (*["plane"] * 2, *["relay"] * 4, *["broker"] * 2, "everything")


@dataclass(slots=True)
class Outcome:
    """What was told, and what came."""

    expected: list[tuple[str, str]] = field(default_factory=list)
    """Message ids in the order of the journal, each with whose it is."""
    got: list[Got] = field(default_factory=list)
    rows: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)

    def check(self) -> None:
        """All that has to hold."""
        wanted = [message_id for message_id, _ in self.expected]
        assert len(set(wanted)) == len(wanted)
        first: dict[str, bytes] = {}
        for message_id, digest in self.got:
            assert first.setdefault(message_id, digest) == digest, "a repeat is the same"
        assert set(wanted) - first.keys() == set(), "lost"
        assert first.keys() - set(wanted) == set(), "made up"
        order = {message_id: place for place, message_id in enumerate(first)}
        last: dict[str, int] = {}
        for message_id, whose in self.expected:
            assert last.get(whose, -1) < order[message_id], "a server's messages are in order"
            last[whose] = order[message_id]

    @property
    def repeats(self) -> int:
        """How many messages came more than once."""
        return len(self.got) - len({message_id for message_id, _ in self.got})


class Storm:
    """The processes of one run."""

    def __init__(self, folder: Path, broker: OwnBroker, *, seed: int) -> None:
        self._folder, self._broker = folder, broker
        self._chance = random.Random(seed)  # noqa: S311  a test's own dice
        self._settings = folder / "feed.toml"
        self._settings.write_text(_SETTINGS.format(port=broker.port, exchange=_EXCHANGE))
        self._cloud = StormCloud(folder, hosts=4, seed=seed, deadlines=deadlines(), also=self._settings)
        self._relays: list[subprocess.Popen[bytes]] = []
        self._listener = Listener(broker, _EXCHANGE)
        self.outcome = Outcome()

    def run(self, changes: int) -> Outcome:
        """Until so many changes are written and told."""
        self._cloud.start()
        self._relays = [self._relay(), self._relay()]
        with self._opened() as database:
            askers = Askers(self._cloud, servers=_SERVERS, seed=self._chance.randrange(1000))
            askers.start()
            while self._rows(database) < changes:
                self._strike()
                self._let_pass(1 + 9 * self._chance.random())
            askers.stop()
            self._calm_down(database)
            self.outcome.answers = askers.answers
            self._remember(database)
            wanted = {message_id for message_id, _ in self.outcome.expected}
            with self._giving_up():
                wait_until(lambda: self._listener.has(wanted), "every message", within_seconds=120)
            self.outcome.got = self._listener.stop()
        return self.outcome

    def close(self) -> None:
        """End all that was started here."""
        for relay in self._relays:
            relay.kill()
            relay.wait()
        self._cloud.close()

    def _let_pass(self, seconds: float) -> None:
        """A storm is blind: it strikes when its time has come, whatever anybody is doing."""
        threading.Event().wait(seconds)

    def _strike(self) -> None:
        """One misfortune."""
        what = self._chance.choice(_TARGETS)
        self.outcome.kills[what] += 1
        is_all = what == "everything"
        if what == "broker" or is_all:
            self._broker.kill()
        if what == "relay" or is_all:
            for place in range(2) if is_all else [self._chance.randrange(2)]:
                self._relays[place].kill()
                self._relays[place].wait()
                self._relays[place] = self._relay()
        if what == "plane" or is_all:
            self._cloud.kill()
            self._let_pass(self._chance.random())
            self._cloud.start()
        if what == "broker" or is_all:
            self._let_pass(3 * self._chance.random())
            self._broker.start()

    def _calm_down(self, database: Database) -> None:
        """Nothing is killed any more: what is under way comes to its end, and all is told."""
        self._cloud.kill()
        self._cloud.start(is_calm=True)

        def is_at_rest() -> bool:
            return not self._cloud.call("GET", "//state/v1/operations?limit=1").json()["operations"]

        wait_until(is_at_rest, "the cloud to come to rest", within_seconds=240)
        self._cloud.kill()
        while journal.sequence(database):
            pass
        wait_until(lambda: self._is_told(database), "everything to be told", within_seconds=300)

    def _is_told(self, database: Database) -> bool:
        with database.read() as connection:
            head = journal.head(connection)
            return all(sink.cursor_seq == head for sink in sinks.list_sinks(connection) if sink.kind == "amqp")

    def _rows(self, database: Database) -> int:
        with database.read() as connection:
            return journal.extent(connection).rows

    def _relay(self) -> "subprocess.Popen[bytes]":
        command = ["relay", "--state-dir", str(self._cloud.state_dir), "--config-file", str(self._settings)]
        with (self._folder / "relays").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "kilonova", *command], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log
            )

    @contextmanager
    def _opened(self) -> Iterator[Database]:
        database = Database(f"sqlite:///{self._cloud.state_dir / 'kilonova.sqlite'}")
        database.open()
        try:
            yield database
        finally:
            database.close()

    @contextmanager
    def _giving_up(self) -> Iterator[None]:
        """What did not come is for ``Outcome.check`` to say."""
        try:
            yield
        except AssertionError:
            return

    def _remember(self, database: Database) -> None:
        options = NotificationOptions(host="ctl")
        with database.read() as connection:
            found = journal.list_entries(connection, after_seq=0, limit=10_000_000)
            (sink,) = (each for each in sinks.list_sinks(connection) if each.kind == "amqp")
        assert [row.seq for row in found] == list(range(1, len(found) + 1)), "the journal has no gap"
        assert sink.cursor_seq == len(found)
        self.outcome.rows = len(found)
        for row in found:
            self.outcome.expected += [(message.message_id, row.key) for message in render(row, options)]


def storm(folder: Path, *, changes: int, seed: int) -> Outcome:
    """One run of so many changes."""
    with own_broker(folder / "broker") as broker:
        blowing = Storm(folder, broker, seed=seed)
        try:
            return blowing.run(changes)
        finally:
            blowing.close()


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="feed-storm-") as folder:
        began = time.monotonic()
        found = storm(Path(folder), changes=wanted.changes, seed=wanted.seed)
        found.check()
    told: dict[str, Any] = {
        "rows": found.rows,
        "messages": len(found.expected),
        "repeats": found.repeats,
        "killed": dict(found.kills),
        "answers": dict(found.answers),
        "seconds": round(time.monotonic() - began),
    }
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main()
