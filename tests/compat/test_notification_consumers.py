"""Whoever consumed Nova's notifications consumes Kilonova's: oslo.messaging's listener, and Ceilometer's agent.

Both are the real programs, as released, over a real RabbitMQ; they are configured for Nova and know of nothing else.
"""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from kilonova.domain.model import after
from tests.brokers import Exchange, exchange
from tests.compat.consumers import consumers_bin
from tests.plane.house import House, lived_in
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
HERE = Path(__file__).parent


class Site:
    """A house that tells an exchange of its own, on topics of its own."""

    def __init__(self, house: House, nova: Exchange, topic: str) -> None:
        self.house, self.nova, self.topic = house, nova, topic

    @property
    def versioned(self) -> str:
        """The topic of versioned notifications."""
        return f"v-{self.topic}"

    def live(self) -> str:
        """A server is booted, stopped, started and deleted, and one fails; the id of the first."""
        uuid: str = self.house.boot("web1")["id"]
        for action in ("os-stop", "os-start"):
            self.house.at = after(self.house.at, 30)
            self.house.act(uuid, {action: None})
            self.house.settle()
        self.house.boot("broken", metadata={"sim:fail": "spawn"})
        self.house.call("DELETE", f"/servers/{uuid}")
        self.house.settle()
        relay = self.house.cloud.plane.relay
        assert relay is not None
        while relay.step():
            pass
        return uuid

    def told(self) -> list[dict[str, Any]]:
        """Everything that was told, as the file has it."""
        file = self.house.cloud.state_dir / "feed" / "file" / "notifications.ndjson"
        return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    topic = f"kilonova-{uuid4().hex}"
    with exchange(is_bound=False) as nova:
        options = {
            "DEFAULT": {"transport_url": nova.url(), "control_exchange": nova.name},
            "oslo_messaging_notifications": {"topics": topic},
            "notifications": {"versioned_notifications_topics": f"v-{topic}"},
            "feed": {"declare_queues": True},
        }
        with lived_in(tmp_path / "cloud", **options) as house:
            yield Site(house, nova, topic)
        for name in (topic, f"v-{topic}"):
            for priority in ("info", "error", "warn", "audit", "critical", "debug", "sample"):
                nova.channel.queue_delete(f"{name}.{priority}")


def test_a_listener_of_oslo_messaging_gets_every_message_as_it_was_told(site: Site) -> None:
    site.live()
    told = site.told()
    command = [str(consumers_bin() / "python"), str(HERE / "oslo_listener.py"), site.nova.url(), site.nova.name]
    done = subprocess.run(
        [*command, f"{site.topic},{site.versioned}", str(len(told))],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    ready, *got = [json.loads(line) for line in done.stdout.splitlines()]
    assert ready == "ready", done.stderr
    wanted = {line["message"]["message_id"]: line for line in told}
    assert {each["metadata"]["message_id"] for each in got} == set(wanted)
    assert len(got) == len(told)
    for each in got:
        line = wanted[each["metadata"]["message_id"]]
        message = line["message"]
        assert each["event_type"] == message["event_type"]
        assert each["publisher_id"] == message["publisher_id"]
        assert each["payload"] == message["payload"]
        assert each["priority"] == line["routing_key"].rpartition(".")[2]
        assert each["metadata"]["timestamp"] == message["timestamp"]
        assert each["context"]["request_id"] == message["_context_request_id"]
    assert {"info", "error"} == {each["priority"] for each in got}


@contextmanager
def ceilometer(site: Site, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Ceilometer's notification agent, whose samples and events go into files."""
    (folder / "pipeline.yaml").write_text(
        "sources:\n  - {name: all, meters: ['*'], sinks: [out]}\n"
        f"sinks:\n  - {{name: out, publishers: ['file://{folder}/samples?json']}}\n"
    )
    (folder / "event_pipeline.yaml").write_text(
        "sources:\n  - {name: all, events: ['*'], sinks: [out]}\n"
        f"sinks:\n  - {{name: out, publishers: ['file://{folder}/events?json']}}\n"
    )
    (folder / "ceilometer.conf").write_text(
        f"[DEFAULT]\ntransport_url = {site.nova.url()}\nlog_file = {folder}/agent.log\nhost = tests\n"
        f"pipeline_cfg_file = {folder}/pipeline.yaml\nevent_pipeline_cfg_file = {folder}/event_pipeline.yaml\n"
        f"[oslo_messaging_notifications]\ntopics = {site.topic}\n"
        f"[notification]\nnotification_control_exchanges = {site.nova.name}\nworkers = 1\n"
    )
    program = consumers_bin() / "ceilometer-agent-notification"
    command = [str(program), "--config-file", str(folder / "ceilometer.conf")]
    with (folder / "agent.err").open("wb") as complaints:
        agent = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=complaints)
    try:
        yield agent
    finally:
        agent.send_signal(signal.SIGTERM)
        try:
            agent.wait(20)
        except subprocess.TimeoutExpired:
            agent.kill()
            agent.wait()


def documents(file: Path) -> list[dict[str, Any]]:
    """What the agent has written so far; of the line that it is about to write, nothing."""
    lines = file.read_text().split("\n")[:-1] if file.exists() else []
    return [json.loads(line) for line in lines]


def test_ceilometers_agent_makes_samples_and_events_of_what_is_told(site: Site, tmp_path: Path) -> None:
    uuid = site.live()
    with ceilometer(site, tmp_path) as agent:
        wanted = {"compute.instance.create.end", "compute.instance.delete.end", "compute.instance.power_off.end"}

        def events() -> set[str]:
            assert agent.poll() is None, (tmp_path / "agent.err").read_text()[-500:]
            return {each["event_type"] for each in documents(tmp_path / "events")}

        wait_until(lambda: wanted <= events(), "Ceilometer's events", within_seconds=300)
        meters = {"memory", "vcpus", "disk.root.size", "disk.ephemeral.size"}

        def samples() -> set[str]:
            return {each["name"] for each in documents(tmp_path / "samples")}

        wait_until(lambda: meters <= samples(), "Ceilometer's samples", within_seconds=300)
    created = next(
        each for each in documents(tmp_path / "events") if each["event_type"] == "compute.instance.create.end"
    )
    traits = {each["name"]: each["value"] for each in created["traits"]}
    told = {line["message"]["message_id"]: line["message"] for line in site.told()}
    payload = told[created["message_id"]]["payload"]
    assert traits["instance_id"] == uuid
    assert traits["tenant_id"] == payload["tenant_id"]
    assert traits["state"] == "active"
    assert traits["instance_type"] == payload["instance_type"]
    memory = [each for each in documents(tmp_path / "samples") if each["name"] == "memory"]
    assert {each["resource_id"] for each in memory} >= {uuid}
    assert {each["volume"] for each in memory if each["resource_id"] == uuid} == {payload["memory_mb"]}
