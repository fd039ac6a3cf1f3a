"""The figures of the feed, beside oslo.messaging's own notifier in the same run.

    .venv/bin/python -m bench.feed [--rows 4000] [--markdown bench/FEED.md]

- Rows of the journal rendered and published to RabbitMQ with confirms, through the relay's own courier, in messages a
  second; and oslo.messaging's ``Notifier`` sending the same payloads, with its confirms, to the same broker.
- What the journal costs a writer: a save with its row, and the same save without it.
- From the commit of a change until a subscriber of the HTTP stream has it.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from kilonova.bootstrap import build_relay
from kilonova.config import load
from kilonova.notifications import NotificationOptions, render
from kilonova.services.sequencer import Sequencer
from kilonova.store import changes, journal, sinks
from kilonova.store.database import Database
from tests.backends.store.worlds import Story, kept, running
from tests.brokers import Exchange, exchange
from tests.compat.consumers import consumers_bin
from tests.plane.house import lived_in
from tests.plane.served import served

_FLAVOR = '{"vcpus":1,"ram":512,"disk":1,"ephemeral":0,"swap":0,"original_name":"m1.tiny","extra_specs":{}}'
_NOTIFIER = """
import json, sys, time
import oslo_messaging
from oslo_config import cfg
url, exchange, topic, file = sys.argv[1:]
oslo_messaging.set_transport_defaults(control_exchange=exchange)
conf = cfg.ConfigOpts()
conf([], project="bench")
transport = oslo_messaging.get_notification_transport(conf, url=url)
notifier = oslo_messaging.Notifier(transport, publisher_id="compute.bench", driver="messagingv2", topics=[topic])
messages = [json.loads(line) for line in open(file)]
notifier.info({}, "warm.up", {})
began, cpu = time.perf_counter(), time.process_time()
for message in messages:
    notifier.info({}, message["event_type"], message["payload"])
print(len(messages) / (time.perf_counter() - began), (time.process_time() - cpu) / len(messages))
"""


def fill(database: Database, rows: int) -> None:
    """So many rows of servers that are stopped and started."""
    servers = [kept(database, running(flavor_json=_FLAVOR)) for _ in range(20)]
    turn = 0
    while journal_rows(database) < rows:
        for place, server in enumerate(servers):
            operation = "start" if turn % 2 else "stop"
            servers[place] = Story(database, server, operation).accept().start().end().instance
        while journal.sequence(database):
            pass
        turn += 1


def journal_rows(database: Database) -> int:
    with database.read() as connection:
        return journal.extent(connection).rows


def publishing(folder: Path, rows: int) -> list[tuple[str, str]]:
    """Ours and theirs, in messages a second."""
    with exchange() as nova:
        overrides: dict[tuple[str, str], Any] = {
            ("kilonova", "state_dir"): str(folder),
            ("DEFAULT", "host"): "bench",
            ("DEFAULT", "transport_url"): nova.url(),
            ("DEFAULT", "control_exchange"): nova.name,
            ("feed", "file"): False,
        }
        database, relay = build_relay(load([], environment={}, overrides=overrides))
        fill(database, rows)
        began, cpu = time.perf_counter(), time.process_time()
        while relay.step():
            pass
        seconds, busy = time.perf_counter() - began, time.process_time() - cpu
        with database.read() as connection:
            (sink,) = sinks.list_sinks(connection)
            found = journal.list_entries(connection, after_seq=0, limit=800)
        assert sink.cursor_seq == journal_rows(database)
        relay.stop()
        database.close()
        rendered = [message.body for row in found for message in render(row, NotificationOptions(host="bench"))]
        (folder / "sample").write_text("\n".join(map(json.dumps, rendered)))
        theirs, their_cpu = notifier(nova, folder / "sample")
    each = busy / sink.delivered
    return [
        (f"{rows} rows of the journal rendered and published, confirmed", f"{rows / seconds:.0f} rows/s"),
        ("of each row both formats: messages", f"{sink.delivered / seconds:.0f} messages/s"),
        ("oslo.messaging's Notifier, the same payloads, not rendered", f"{theirs:.0f} messages/s"),
        ("ratio of messages", f"{sink.delivered / seconds / theirs:.1f}"),
        ("CPU a message: ours with rendering, theirs without", f"{each * 1e6:.0f} us, {their_cpu * 1e6:.0f} us"),
        ("ratio of CPU", f"{their_cpu / each:.1f}"),
    ]


def notifier(nova: Exchange, sample: Path) -> tuple[float, float]:
    """Messages a second, and seconds of CPU a message."""
    topic = f"bench-{uuid4().hex}"
    done = subprocess.run(
        [str(consumers_bin() / "python"), "-c", _NOTIFIER, nova.url(), nova.name, topic, str(sample)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    nova.channel.queue_delete(f"{topic}.info")
    assert done.returncode == 0, done.stderr[-2000:]
    rate, cpu = map(float, done.stdout.split()[-2:])
    return rate, cpu


def cost_of_the_journal(folder: Path, rounds: int) -> list[tuple[str, str]]:
    """The same saves with and without their rows, in turn."""
    database = Database(f"sqlite:///{folder / 'cost.db'}")
    database.open()
    with_row: list[tuple[float, float]] = []
    without: list[tuple[float, float]] = []
    announce = changes._announce  # noqa: SLF001
    server = kept(database, running(flavor_json=_FLAVOR))
    for number in range(rounds * 2):
        changes._announce = (lambda *_: None) if number % 2 else announce  # noqa: SLF001
        operation = "start" if server.vm_state == "stopped" else "stop"
        began, cpu = time.perf_counter(), time.process_time()
        server = Story(database, server, operation).accept().start().end().instance
        took = (time.perf_counter() - began) / 3, (time.process_time() - cpu) / 3
        (without if number % 2 else with_row).append(took)
    changes._announce = announce  # noqa: SLF001
    database.close()
    found = []
    for at, what in enumerate(("a save", "CPU of a save")):
        ours, bare = (statistics.median(each[at] for each in took) * 1e3 for took in (with_row, without))
        found += [
            (f"{what} with its journal row, without it (SQLite, synced), median", f"{ours:.2f} ms, {bare:.2f} ms"),
            (f"share of the journal in {what}", f"{(ours - bare) / ours:.0%}"),
        ]
    return found


def to_a_subscriber(folder: Path, rounds: int) -> list[tuple[str, str]]:
    """From just before a change is committed until its line is read from the stream."""
    with lived_in(folder) as house, served(house) as site:
        database = house.cloud.database
        server = kept(database, running(flavor_json=_FLAVOR))
        sequencer = Sequencer(database, house.cloud.plane._parts.bus)  # noqa: SLF001
        while sequencer.step():
            pass
        with database.read() as connection:
            head = journal.head(connection)
        stream = site.get(f"/events?after={head}", "application/x-ndjson")
        took = []
        for _ in range(rounds):
            operation = "start" if server.vm_state == "stopped" else "stop"
            story = Story(database, server, operation)
            began = time.perf_counter()
            story.accept()
            sequencer.step()
            while "heartbeat" in stream.line():
                pass
            took.append(time.perf_counter() - began)
            server = story.start().end().instance
            sequencer.step()
            for _ in range(2):
                while "heartbeat" in stream.line():
                    pass
    took.sort()
    median, last = took[len(took) // 2] * 1e3, took[int(len(took) * 0.99)] * 1e3
    what = "a change, its commit included, until a subscriber has it: median, p99"
    return [(what, f"{median:.1f} ms, {last:.1f} ms")]


def run(rows: int, rounds: int) -> list[tuple[str, str]]:
    """All figures once, and how busy the machine was before."""
    figures = [("load of the machine before", f"{os.getloadavg()[0]:.1f}")]
    for measure, amount in ((publishing, rows), (cost_of_the_journal, rounds), (to_a_subscriber, rounds)):
        with tempfile.TemporaryDirectory() as directory:
            figures += measure(Path(directory), amount)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--markdown", type=Path)
    wanted = parser.parse_args()
    runs = [run(wanted.rows, wanted.rounds) for _ in range(wanted.runs)]
    head = f"| figure |{' |' * wanted.runs}\n|---|{'---|' * wanted.runs}\n"
    lines = "".join(
        f"| {each[0][0]} | {' | '.join(figure for _, figure in each)} |\n" for each in zip(*runs, strict=True)
    )
    machine = f"Python {platform.python_version()}, {os.cpu_count()} shared CPUs, SQLite"
    print(f"{machine}\n\n{head}{lines}")
    if wanted.markdown:
        made = f"`python -m bench.feed --rows {wanted.rows} --rounds {wanted.rounds} --runs {wanted.runs}`"
        wanted.markdown.write_text(
            f"# Figures of the feed\n\nMade by {made} on {time.strftime('%Y-%m-%d')} ({machine}); a column a run.\n\n"
            f"{head}{lines}"
        )


if __name__ == "__main__":
    main()
