"""What changed of a thing, in words."""

from typing import Any

import pytest

from kilonova.console.differences import LABELS, differences
from kilonova.console.words import translated


def told(before: dict[str, Any], after: dict[str, Any]) -> str:
    return ", ".join(map(str, differences(before, after)))


def address(addr: str) -> dict[str, Any]:
    return {"version": 4, "addr": addr, "OS-EXT-IPS:type": "fixed"}


def test_a_power_state_is_said_in_chinese_and_a_name_that_sounds_like_one_is_not() -> None:
    before, after = {"display_name": "running", "power_state": 0}, {"display_name": "paused", "power_state": 1}
    said = [turn.told(lambda text: translated(text, "zh"), str) for turn in differences(before, after)]
    assert said == ["改名 running → paused", "power 无状态 → 运行中"]


@pytest.mark.parametrize(
    "before, after, words",
    [
        ({"display_name": "web1"}, {"display_name": "web2"}, "renamed web1 → web2"),
        ({"flavor_name": "m1.tiny"}, {"flavor_name": "m1.small"}, "flavor m1.tiny → m1.small"),
        ({"power_state": 1}, {"power_state": 4}, "power running → shut down"),
        ({"task_state": None}, {"task_state": "rebooting"}, "task: rebooting"),
        ({"task_state": "rebooting"}, {"task_state": None}, "no task any more"),
        ({"locked_by": None}, {"locked_by": "owner"}, "locked by owner"),
        ({"locked_by": "owner"}, {"locked_by": None}, "unlocked"),
        ({"tags": ["a"]}, {"tags": ["b"]}, "tag b added, tag a removed"),
        ({"tags_json": '["a"]'}, {"tags_json": "[]"}, "tag a removed"),
        ({"metadata_json": "{}"}, {"metadata_json": '{"role": "web"}'}, "metadata role = web"),
        ({"metadata": {"a": "1"}}, {"metadata": {"a": "2"}}, "metadata a: 1 → 2"),
        ({"metadata": {"a": ""}}, {"metadata": {}}, "metadata a removed"),
        ({"security_groups": [{"name": "default"}]}, {"security_groups": []}, "security group default removed"),
        ({"limits": {}}, {"limits": {"cores": 0}}, "limit cores = 0"),
        ({"hosts": ["n1"]}, {"hosts": ["n1", "n2"]}, "host n2 added"),
    ],
)
def test_each_kind_of_change_has_its_words(before: dict[str, Any], after: dict[str, Any], words: str) -> None:
    assert told(before, after) == words


def test_addresses_are_told_one_by_one_whatever_their_network() -> None:
    before = {"addresses": {"private": [address("10.0.0.1")]}}
    after = {"addresses": {"private": [address("10.0.0.2")], "public": [address("192.0.2.1")]}}
    assert told(before, after) == "address 10.0.0.2 added, address 192.0.2.1 added, address 10.0.0.1 removed"
    assert told({"addresses": {}}, after) == "address 10.0.0.2 added, address 192.0.2.1 added"


def test_a_field_that_nobody_thought_of_has_its_own_name() -> None:
    assert told({"root_device_name": "/dev/vda"}, {"root_device_name": "/dev/sda"}) == (
        "root device name /dev/vda → /dev/sda"
    )
    assert told({"some_json": '{"a": {"b": 1}}'}, {"some_json": '{"a": {"b": 2}}'}) == "some changed"
    assert told({"odd": [[1]]}, {"odd": "text"}) == "odd changed"
    assert told({"odd": [{"x": 1}]}, {"odd": None}) == "odd changed"


def test_what_follows_from_something_else_is_not_told() -> None:
    before = {"generation": 1, "updated_at": 1, "vcpus": 1, "flavor_json": "{}", "node": "n"}
    assert told(before, {"generation": 2, "updated_at": 2, "vcpus": 2, "flavor_json": '{"a": 1}', "node": None}) == ""


def test_what_matters_most_comes_first_and_what_is_long_is_cut() -> None:
    before = {"zzz": 1, "tags": [], "aaa": 1, "display_name": "web1"}
    after = {"zzz": 2, "tags": ["x" * 80], "aaa": 2, "display_name": "web2"}
    assert told(before, after) == f"renamed web1 → web2, tag {'x' * 60}… added, aaa 1 → 2, zzz 1 → 2"
    assert next(iter(LABELS)) == "display_name"
