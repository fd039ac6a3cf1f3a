"""Scenarios: what a file may say, what is said of one that makes no sense, and what hosts then do."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.domain.errors import GuestFailure, HypervisorUnavailable, SettingsUnusable
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.protocol import GuestSpec
from kilonova.drivers.simulated import Instant, Play, StagedDriver
from kilonova.drivers.simulated.scenario import SHIPPED, Scenario, Trouble, load_scenario, read_scenario
from kilonova.drivers.simulated.script import read_script
from kilonova.drivers.simulated.spans import seconds_of
from tests.backends.driver.worlds import guest_spec


def _host(text: str = "", *, name: str = "sim-1") -> StagedDriver:
    driver = StagedDriver(name, read_scenario(text, name="test.yaml"), nodes=(name,), pace=Instant())
    driver.start(lambda _: None)
    return driver


def _spec(name: str = "web1") -> GuestSpec:
    return guest_spec(display_name=name)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_comes_with_kilonova_can_be_played_and_is_described(name: str) -> None:
    scenario = load_scenario(Path(name))
    assert scenario.name == name
    assert scenario.rules or scenario.events
    guide = (Path(__file__).parents[3] / "docs/guides/scenarios.md").read_text("utf-8")
    assert f"### {name}\n" in guide


@pytest.mark.parametrize(
    "text, said",
    [
        ("rules:\n  - verb: spwan\n    fail: true\n", "f.yaml, line 2: there is no verb 'spwan'; did you mean spawn?"),
        ("rules:\n  - verb: spawn\n", "f.yaml, line 2: this rule does nothing"),
        ("rules:\n  - fail: disk_fool\n", "f.yaml, line 2: there is no cause 'disk_fool'; did you mean disk_full?"),
        ("rules:\n  - fail: true\n    every: 0\n", "f.yaml, line 3: 0 is less than 1."),
        ("rules:\n  - fail: true\n    chance: 2\n", "f.yaml, line 3: '2' is no number from 0 to 1."),
        ("events:\n\n  - do: slow\n", "f.yaml, line 3: this event has no 'at'."),
        ("events:\n  - at: soon\n    do: slow\n", "f.yaml, line 2: 'soon' is no span of time"),
        ("evnts: []\n", "f.yaml, line 1: there is no key 'evnts'; did you mean events?"),
        ("seed: 1\nseed: 2\n", "f.yaml, line 2: seed is said twice."),
        ("rules: spawn\n", "f.yaml, line 1: here must be a list."),
        ("- 1\n", "f.yaml, line 1: here must be keys with values"),
        ("name: [\n", "f.yaml, line 2: this is not YAML"),
        ("name: &a [*a]\n", "f.yaml, line 1: here must be a text."),
        ("seed: -1\n", "f.yaml, line 1: '-1' is no whole number."),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(SettingsUnusable) as raised:
        read_scenario(text, name="f.yaml")
    assert raised.value.message.startswith(said)


def test_a_file_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(SettingsUnusable, match=r"cannot be read.*flaky, .*slow"):
        load_scenario(tmp_path / "none.yaml")


@given(st.text(max_size=60))
def test_any_text_is_either_a_scenario_or_refused(text: str) -> None:
    try:
        scenario = read_scenario(text, name="f.yaml")
    except SettingsUnusable:
        return
    assert isinstance(scenario, Scenario)


def test_an_empty_file_is_a_scenario_in_which_nothing_happens() -> None:
    assert read_scenario("# nothing yet\n", name="f.yaml") == Scenario()


def test_every_third_that_matches_fails_with_its_cause() -> None:
    host = _host("rules:\n  - {verb: spawn, server: 'web*', every: 3, fail: disk_full}\n")
    failed = []
    for number in range(9):
        spec = _spec(f"web{number}" if number != 4 else "db")
        try:
            host.spawn(spec)
        except GuestFailure as failure:
            failed.append((number, failure.cause))
            assert host.power_state(spec.uuid) is PowerState.NOSTATE
    assert failed == [(2, FaultCause.DISK_FULL), (6, FaultCause.DISK_FULL)]


def test_a_rule_acts_so_many_times_and_on_its_host_only() -> None:
    text = "rules:\n  - {host: '*-1', times: 2, fail: true}\n"
    outcomes = []
    for host in (_host(text), _host(text, name="sim-2")):
        for number in range(4):
            try:
                host.spawn(_spec(f"web{number}"))
                outcomes.append(True)
            except GuestFailure:
                outcomes.append(False)
    assert outcomes == [False, False, True, True, True, True, True, True]


def test_chances_fall_the_same_way_at_every_performance() -> None:
    def performance() -> list[bool]:
        host, fallen = _host("seed: 3\nrules:\n  - {verb: spawn, chance: 0.5, fail: true}\n"), []
        for number in range(40):
            try:
                host.spawn(_spec(f"web{number}"))
                fallen.append(False)
            except GuestFailure:
                fallen.append(True)
        return fallen

    first = performance()
    assert first == performance()
    assert 5 < sum(first) < 35


def test_a_server_can_crash_as_soon_as_it_runs() -> None:
    host, spec = _host("rules:\n  - {verb: spawn, power: crashed}\n"), _spec()
    host.spawn(spec)
    assert host.power_state(spec.uuid) is PowerState.CRASHED


def test_a_disconnected_hypervisor_answers_nothing_until_it_is_back() -> None:
    host, spec = _host(), _spec()
    host.spawn(spec)
    host.befalls(Trouble.HYPERVISOR_DISCONNECTS)
    for verb in (host.probe, host.list_guests, lambda: host.pause(spec.uuid)):
        with pytest.raises(HypervisorUnavailable):
            verb()
    host.passes(Trouble.HYPERVISOR_DISCONNECTS)
    host.pause(spec.uuid)
    assert host.power_state(spec.uuid) is PowerState.PAUSED


def test_power_that_is_lost_takes_every_guest_with_it() -> None:
    host, specs = _host(), [_spec("a"), _spec("b")]
    for spec in specs:
        host.spawn(spec)
    host.befalls(Trouble.POWER_LOST)
    assert set(host.list_guests().values()) == {PowerState.SHUTDOWN}


def test_events_come_and_go_and_come_again_as_time_passes() -> None:
    told: list[tuple[float, bool]] = []
    at = 0.0
    text = "events:\n  - {at: 10s, do: agent_dies, for: 5s, repeat: 20s}\n"
    host = _host(text)
    host.on_silence = lambda silent: told.append((at, silent))
    play = Play(read_scenario(text, name="f.yaml"), [host], seconds=lambda: 1000 + at)
    for second in range(60):
        at = float(second)
        play.step()
    assert told == [(10, True), (15, False), (30, True), (35, False), (50, True), (55, False)]


@pytest.mark.parametrize(
    "text, seconds", [("30", 30), ("2.5", 2.5), ("30s", 30), ("500ms", 0.5), (" 2m ", 120), ("1 h", 3600)]
)
def test_spans_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds
    assert read_script({"sim:delay": text}).delay_seconds == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1d", "1e3", "9999h", "٣s"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"span|week"):
        seconds_of(text)


def test_metadata_freezes_verbs_by_name_or_all_but_the_last() -> None:
    assert read_script({"sim:freeze": "reboot, pause"}).frozen == {"reboot", "pause"}
    assert "destroy" not in read_script({"sim:freeze": "true"}).frozen
    with pytest.raises(GuestFailure):
        read_script({"sim:freeze": "rebot"})
