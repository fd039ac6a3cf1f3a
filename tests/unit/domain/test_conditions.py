"""Conditions: what is the case with a service or a host, why, and since when."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.domain.conditions import (
    ACCEPTING_WORK,
    ENABLED,
    HAS_SERVICE,
    HOST_REACHABLE,
    HYPERVISOR_ANSWERS,
    SUSPECT,
    Condition,
    Status,
    Watch,
    node_conditions,
    of_type,
    service_conditions,
    shown,
    turns,
)
from kilonova.domain.model import SECOND, Instant, Service, after
from tests.unit.domain.samples import NOW

_WATCH = Watch(late_seconds=25, down_seconds=60)
_SILENT_HYPERVISOR = Condition(
    type=HYPERVISOR_ANSWERS, status=Status.FALSE, reason="NoAnswer", message="the socket is gone", since=NOW
)


def _service(*, silent_seconds: float | None = 0, **different: Any) -> Service:
    seen = None if silent_seconds is None else after(NOW, -silent_seconds)
    made = Service(
        id=1,
        uuid="s",
        binary="nova-compute",
        host="cmp1",
        disabled=False,
        disabled_reason=None,
        forced_down=False,
        report_count=1,
        last_seen_at=seen,
        created_at=after(NOW, -86400),
        updated_at=None,
        version=1,
    )
    return made._replace(**different)


def _of(service: Service, type: str, *noted: Condition) -> Condition:
    found = of_type(service_conditions(service, _WATCH, noted, now=NOW), type)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "silent_seconds, reachable, suspect",
    [(0, "True", "False"), (25, "True", "False"), (26, "True", "True"), (60, "True", "True"), (61, "False", "False")],
)
def test_a_silent_service_is_suspect_before_it_is_down(silent_seconds: float, reachable: str, suspect: str) -> None:
    service = _service(silent_seconds=silent_seconds)
    assert (_of(service, HOST_REACHABLE).status, _of(service, SUSPECT).status) == (reachable, suspect)


@given(st.integers(min_value=-200 * SECOND, max_value=200 * SECOND), st.booleans())
def test_reachable_means_exactly_what_nova_calls_up(silence: int, forced_down: bool) -> None:
    service = _service(last_seen_at=Instant(NOW - silence), forced_down=forced_down)
    is_up = service.is_up(NOW, service_down_seconds=_WATCH.down_seconds)
    assert (_of(service, HOST_REACHABLE).status is Status.TRUE) is is_up


def test_a_service_is_down_since_its_deadline_and_not_since_its_last_beat() -> None:
    assert _of(_service(silent_seconds=100), HOST_REACHABLE).since == after(NOW, -40)


def test_who_was_declared_down_is_told_apart_from_who_is_silent() -> None:
    assert _of(_service(forced_down=True), HOST_REACHABLE).reason == "ForcedDown"
    assert _of(_service(silent_seconds=None), HOST_REACHABLE).reason == "NeverHeard"
    assert _of(_service(silent_seconds=100), HOST_REACHABLE).reason == "Silent"
    assert _of(_service(silent_seconds=-100), HOST_REACHABLE).reason == "BeatInTheFuture"


def test_a_disabled_service_shows_the_reason_that_was_given() -> None:
    found = _of(_service(disabled=True, disabled_reason="new disks"), ENABLED)
    assert (found.status, found.message) == (Status.FALSE, "new disks")


def test_a_host_takes_no_work_while_its_hypervisor_is_silent() -> None:
    found = _of(_service(), ACCEPTING_WORK, _SILENT_HYPERVISOR)
    assert (found.status, found.reason, found.since) == (Status.FALSE, "NoAnswer", NOW)


def test_nobody_knows_whether_the_hypervisor_of_a_silent_host_answers() -> None:
    assert _of(_service(silent_seconds=100), HYPERVISOR_ANSWERS).status is Status.UNKNOWN


def test_what_was_wrong_with_a_host_before_it_fell_silent_is_still_told() -> None:
    assert _of(_service(silent_seconds=100), HYPERVISOR_ANSWERS, _SILENT_HYPERVISOR) == _SILENT_HYPERVISOR


def test_only_compute_services_have_a_hypervisor() -> None:
    types = {each.type for each in service_conditions(_service(binary="nova-conductor"), _WATCH, now=NOW)}
    assert types == {HOST_REACHABLE, SUSPECT, ENABLED}


def test_a_node_without_a_service_is_an_orphan_and_no_error() -> None:
    found = node_conditions(None)
    assert {(each.type, str(each.status)) for each in found} == {
        (HAS_SERVICE, "False"),
        (HOST_REACHABLE, "Unknown"),
        (ACCEPTING_WORK, "False"),
    }


def test_a_node_is_as_reachable_as_its_service() -> None:
    found = node_conditions(service_conditions(_service(silent_seconds=100), _WATCH, now=NOW))
    reachable = of_type(found, HOST_REACHABLE)
    assert reachable is not None
    assert reachable.status is Status.FALSE


def test_nothing_turns_while_nothing_changes() -> None:
    found = service_conditions(_service(), _WATCH, now=NOW)
    assert turns(found, found, now=NOW) == []


def test_a_turn_is_dated_by_who_knows_or_else_by_the_look_that_saw_it() -> None:
    before = service_conditions(_service(), _WATCH, now=NOW)
    later = after(NOW, 100)
    found = service_conditions(_service(forced_down=True), _WATCH, now=later)
    (turn,) = [each for each in turns(before, found, now=later) if each.after.type == HOST_REACHABLE]
    assert (turn.before, turn.after.since) == (before[0], later)


def test_another_reason_for_the_same_status_keeps_its_since() -> None:
    first = Condition(type="X", status=Status.FALSE, reason="Silent", since=NOW)
    second = replace(first, reason="ForcedDown", since=None)
    (turn,) = turns([first], [second], now=after(NOW, 5))
    assert turn.after.since == NOW


def test_a_condition_shows_its_since_in_the_spelling_asked_for() -> None:
    assert shown(_SILENT_HYPERVISOR, moment=str) == {
        "type": "HypervisorAnswers",
        "status": "False",
        "reason": "NoAnswer",
        "message": "the socket is gone",
        "since": str(NOW),
    }
    assert shown(replace(_SILENT_HYPERVISOR, since=None), moment=str)["since"] is None
