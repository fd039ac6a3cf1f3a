import json
from pathlib import Path
from typing import Any

import pytest

from kilonova.wire.envelope import disclose, enclose
from kilonova.wire.notification import NotificationMalformed, read

_EXAMPLES: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "data" / "notifications" / "examples.json").read_text("utf-8")
)


def message(name: str, **different: Any) -> dict[str, Any]:
    """A message of a real Nova with the payload of this name."""
    _, _, event_type = name.partition(" ")
    return {**_EXAMPLES["message"], "event_type": event_type, "payload": _EXAMPLES[name], **different}


def test_both_formats_of_one_event_are_one_record() -> None:
    old = read(message("unversioned compute.instance.power_off.start", publisher_id="compute.cmp-2"))
    new = read(message("versioned instance.power_off.start", publisher_id="nova-compute:cmp-2"))
    for told in (old, new):
        assert (told.action, told.phase, told.host) == ("power_off", "start", "cmp-2")
        assert (told.state, told.task_state) == ("active", "powering-off")
        assert told.is_of_a_server
    assert (old.is_versioned, new.is_versioned) == (False, True)
    assert (old.service, new.service) == ("compute", "nova-compute")
    assert old.instance_uuid == new.instance_uuid


def test_an_update_tells_the_old_states() -> None:
    for name in ("unversioned compute.instance.update", "versioned instance.update"):
        told = read(message(name))
        assert (told.action, told.phase) == ("update", "")
        assert (told.old_state, told.state) == ("building", "building")
        assert (told.old_task_state, told.task_state) == ("scheduling", "scheduling")


def test_objects_are_taken_out_of_their_four_keys() -> None:
    told = read(message("versioned instance.create.end"))
    assert told.payload["flavor"]["name"] == "m1.tiny"
    assert not [key for key in json.dumps(told.payload).split('"') if key.startswith("nova_object")]


def test_what_is_about_no_server_has_no_uuid() -> None:
    told = read(message("versioned aggregate.create.end", publisher_id="nova-api:vm"))
    assert (told.instance_uuid, told.action, told.phase) == (None, "aggregate.create", "end")


@pytest.mark.parametrize("name", sorted(name for name in _EXAMPLES if " " in name))
def test_every_message_of_a_real_nova_is_read(name: str) -> None:
    told = read(disclose(enclose(json.dumps(message(name)).encode())))
    assert told.is_versioned is name.startswith("versioned")
    assert told.request_id == _EXAMPLES["message"]["_context_request_id"]


@pytest.mark.parametrize("broken", [{}, {"payload": {}}, {"event_type": "x", "payload": []}])
def test_what_is_no_notification_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(NotificationMalformed):
        read(broken)


@pytest.mark.parametrize("payload", [[], "text", {"nova_object.data": [1]}, {"nova_object.data": "text"}])
def test_a_payload_that_is_no_object_is_refused(payload: Any) -> None:
    with pytest.raises(NotificationMalformed):
        read({**message("versioned instance.create.end"), "payload": payload})


def test_what_is_no_text_where_there_should_be_one_is_left_out() -> None:
    odd = {"uuid": 7, "state": ["x"], "task_state": {}, "state_update": {"old_state": 1}}
    told = read({**message("versioned instance.update"), "payload": odd, "_context_request_id": [1]})
    assert (told.instance_uuid, told.state, told.task_state, told.old_state, told.request_id) == (None,) * 5
