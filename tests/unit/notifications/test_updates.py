"""When an update is told, by whom, and which states it says (contract §10.4.3)."""

from dataclasses import replace
from typing import Any

import pytest

from kilonova.domain.changes import Phase
from kilonova.domain.errors import SettingsUnusable
from kilonova.domain.states import TaskState, VmState
from kilonova.notifications import Message, NotificationOptions, render
from tests.unit.notifications.rows import row


def updates(wanted: str = "vm_and_task_state", **told: Any) -> list[Message]:
    """The updates of a change that belongs to no operation."""
    options = NotificationOptions(host="ctl", notify_on_state_change=wanted)
    return render(row(told.pop("operation", None), told.pop("phase", None), **told), options)


def states(message: Message) -> tuple[Any, ...]:
    return tuple(message.payload[name] for name in ("old_state", "state", "old_task_state", "new_task_state"))


BEGUN: dict[str, Any] = {"previous": {"task_state": None}, "columns": {"task_state": TaskState.PAUSING}}
ENDED: dict[str, Any] = {
    "previous": {"vm_state": "active", "task_state": "pausing"},
    "columns": {"vm_state": VmState.PAUSED},
}
CLEARED: dict[str, Any] = {"previous": {"task_state": "pausing"}}


@pytest.mark.parametrize(
    "wanted, change, expected",
    [
        ("vm_and_task_state", BEGUN, ("active", "active", "pausing", "pausing")),
        ("vm_and_task_state", ENDED, ("active", "paused", "pausing", None)),
        ("vm_and_task_state", CLEARED, ("active", "active", "pausing", None)),
        ("vm_state", ENDED, ("active", "paused", "pausing", None)),
        ("vm_state", CLEARED, ("active", "active", None, None)),
    ],
)
def test_an_update_says_from_which_states_to_which(wanted: str, change: dict[str, Any], expected: Any) -> None:
    legacy, versioned = updates(wanted, **change)
    assert states(legacy) == expected
    told = versioned.payload["nova_object.data"]["state_update"]["nova_object.data"]
    assert (told["old_state"], told["state"], told["old_task_state"], told["new_task_state"]) == expected


def test_nothing_is_told_of_a_change_of_nothing() -> None:
    assert updates(previous={"generation": 3, "updated_at": 5}) == []


def test_nothing_is_told_where_no_updates_are_wanted_but_of_tags() -> None:
    assert updates("", **ENDED) == []
    assert [message.publisher_id for message in updates("", previous={"tags_json": "[]"})] == [
        "nova-api.ctl",
        "nova-api:ctl",
    ]


def test_the_old_name_is_told_of_a_renamed_server_only() -> None:
    legacy, versioned = updates(previous={"display_name": "old"})
    assert legacy.payload["old_display_name"] == "old"
    assert versioned.payload["nova_object.data"]["old_display_name"] == "old"
    legacy, versioned = updates(**ENDED)
    assert "old_display_name" not in legacy.payload
    assert versioned.payload["nova_object.data"]["old_display_name"] is None


def test_an_update_tells_the_period_that_goes_on() -> None:
    legacy, versioned = updates(**ENDED)
    assert legacy.payload["audit_period_beginning"].endswith("-01T00:00:00.000000")
    period = versioned.payload["nova_object.data"]["audit_period"]["nova_object.data"]
    assert period["audit_period_beginning"].endswith("-01T00:00:00Z")


def test_whoever_saved_tells_the_update() -> None:
    accepted = updates(operation="pause", phase=Phase.ACCEPTED, host="cmp1", **BEGUN)
    ended = updates(operation="pause", phase=Phase.END, host="cmp1", event="compute_pause_instance", **ENDED)
    assert accepted[0].publisher_id == "compute.ctl"
    assert ended[0].publisher_id == "compute.cmp1"
    assert updates(previous=None)[0].publisher_id == "conductor.ctl"


def test_nobody_initiated_what_nobody_asked_for() -> None:
    options = NotificationOptions(host="ctl", notification_format="versioned")
    asked = row(None, None, **ENDED)
    observed = replace(asked, user_id=None, caller_project_id=None)
    for each, expected in ((asked, ("req-1", "u1", "p1")), (observed, (None, None, None))):
        (message,) = render(each, options)
        data = message.payload["nova_object.data"]
        told = (data["request_id"], data["action_initiator_user"], data["action_initiator_project"])
        assert told == expected


@pytest.mark.parametrize("option, value", [("notification_format", "xml"), ("notify_on_state_change", "always")])
def test_options_that_nova_would_not_take_are_refused(option: str, value: str) -> None:
    with pytest.raises(SettingsUnusable, match=option):
        NotificationOptions(host="ctl", **{option: value})  # type: ignore[arg-type]
