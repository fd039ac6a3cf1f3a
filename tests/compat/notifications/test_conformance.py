"""Kilonova's notifications against Nova's: payloads key by key, and what is told of an operation in which order."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

from kilonova.notifications import Format
from tests.compat.notifications.comparing import course, differences
from tests.compat.notifications.differences import NOT_TOLD, PAYLOADS, SEQUENCES
from tests.compat.notifications.golden import Heard, examples, samples, sequences
from tests.compat.notifications.life import Life
from tests.plane.house import lived_in

_CAPTURED_HOSTS = {"vm": "CONTROL", **dict.fromkeys(("cmp-1", "cmp-2", "cmp-3", "cmp-4"), "HOST")}


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with lived_in(tmp_path_factory.mktemp("life"), simulate_hosts=2) as house:
        made = Life(house)
        made.live()
        yield made


def _unknown(event_type: str) -> bool:
    return any(fnmatchcase(event_type, name) for name in NOT_TOLD)


def test_every_sample_of_nova_has_the_same_keys_types_and_versions(life: Life) -> None:
    ours, found = life.payloads(), set()
    for sample in samples().values():
        event = sample["event_type"]
        if not _unknown(event):
            payload = ours[Format.VERSIONED, event]
            found |= {f"{event}: {each}" for each in differences(sample["payload"], payload)}
    assert found - _excused(found) == set()


def test_every_message_of_a_real_nova_has_the_same_keys_types_and_versions(life: Life) -> None:
    ours, found = life.payloads(), set()
    for name, payload in examples().items():
        format, _, event = name.partition(" ")
        if event and not _unknown(event):
            found |= {f"{event}: {each}" for each in differences(payload, ours[Format(format), event])}
    assert found - _excused(found) == set()


def test_no_difference_is_listed_that_is_none(life: Life) -> None:
    ours, found = life.payloads(), set()
    golden = [(Format.VERSIONED, sample["event_type"], sample["payload"]) for sample in samples().values()]
    for name, payload in examples().items():
        format, _, event = name.partition(" ")
        if event:
            golden.append((Format(format), event, payload))
    for format, event, payload in golden:
        if not _unknown(event):
            found |= {f"{event}: {each}" for each in differences(payload, ours[format, event])}
    unused = {row for row in PAYLOADS if not any(_matches(row, each) for each in found)}
    assert unused == set()
    assert {event for _, event in ours if _unknown(event)} == set()


def test_messages_have_the_keys_that_a_real_nova_sends(life: Life) -> None:
    body = life.told["stop"][0].body
    assert set(body) - {"payload"} == set(examples()["message"])
    for key, value in examples()["message"].items():
        assert value is None or body[key] is None or type(body[key]) is type(value), key


@pytest.mark.parametrize("name", sorted(sequences()))
def test_an_operation_is_told_in_the_order_of_a_real_nova(life: Life, name: str) -> None:
    if name not in life.told:
        assert name in SEQUENCES, f"{name} is neither done nor excused"
        return
    for each in (_legacy, _versioned):
        golden = course(each(sequences()[name]), _CAPTURED_HOSTS)
        ours = course(each(life.heard(name)), life.hosts)
        if name in SEQUENCES:
            assert ours != golden, f"{name} is told as Nova tells it, and needs no excuse"
            return
        assert ours == golden


def test_a_live_migration_is_told_by_the_hosts_that_take_part(life: Life) -> None:
    told = {each.event_type: each.publisher_id for each in _versioned(life.heard("live_migrate"))}
    source, there = (told[f"instance.live_migration_{part}.start"] for part in ("post", "pre"))
    assert source != there
    assert {source.partition(":")[2], there.partition(":")[2]} <= life.hosts.keys() - {life.options.host}
    assert told["instance.live_migration_post.end"] == source
    assert told["instance.live_migration_post_dest.start"] == told["instance.live_migration_post_dest.end"] == there


@pytest.mark.parametrize(
    "name, events",
    [
        ("interface_attach", ["instance.interface_attach.start", "instance.interface_attach.end"]),
        ("interface_detach", ["instance.interface_detach.start", "instance.interface_detach.end"]),
        (
            "interface_attach_failing",
            ["instance.interface_attach.start", "instance.interface_attach.error", "compute.exception"],
        ),
        ("interface_detach_failing", ["instance.interface_detach.start", "compute.exception"]),
    ],
)
def test_interfaces_are_told_of_in_versioned_words_alone(life: Life, name: str, events: list[str]) -> None:
    """Contract §10.4.4: a detach has no error of its own. What fails is in legacy as the method's exception."""
    heard = [each for each in life.heard(name) if not each.is_update]
    assert [each.event_type for each in _versioned(heard)] == events
    method = [name.removesuffix("_failing")] if name.endswith("_failing") else []
    assert [each.event_type for each in _legacy(heard)] == ["_".join(reversed(each.split("_"))) for each in method]


def test_images_that_hosts_fetch_ahead_are_told_of_host_by_host(life: Life) -> None:
    """Contract §10.6.1: its begin and end by the API, each host by the conductor, nothing in legacy words."""
    heard = life.heard("aggregate_cache_images")
    assert [each.event_type for each in heard] == [
        f"aggregate.cache_images.{it}" for it in ("start", "progress", "end")
    ]
    assert [each.publisher_id.partition(":")[0] for each in heard] == ["nova-api", "nova-conductor", "nova-api"]


def test_libvirt_that_is_gone_is_told_of_once_by_its_host(life: Life) -> None:
    (heard,) = life.heard("libvirt_gone")
    assert (heard.event_type, heard.priority) == ("libvirt.connect.error", "ERROR")
    assert heard.publisher_id == f"nova-compute:{life.house.cloud.plane.agents[-1].host}"
    assert life.heard("libvirt_back") == life.heard("simulated_gone") == []


@pytest.mark.parametrize("name", ["create_ip", "delete_ip"])
def test_addresses_are_told_of_in_legacy_words_alone(life: Life, name: str) -> None:
    heard = life.heard(name)
    assert [each.event_type for each in _legacy(heard)] == [
        f"compute.instance.{name}.start",
        "compute.instance.update",
        f"compute.instance.{name}.end",
    ]
    assert [each.event_type for each in _versioned(heard)] == ["instance.update"]


def _is_versioned(heard: Heard) -> bool:
    return ":" in heard.publisher_id


def _legacy(heard: list[Heard]) -> list[Heard]:
    return [each for each in heard if not _is_versioned(each)]


def _versioned(heard: list[Heard]) -> list[Heard]:
    return [each for each in heard if _is_versioned(each)]


def _excused(found: set[str]) -> set[str]:
    return {each for each in found if any(_matches(row, each) for row in PAYLOADS)}


def _matches(row: str, difference: str) -> bool:
    """A row for ``*`` is for a path that ends so, in whatever event."""
    event, _, rest = row.partition(": ")
    this_event, _, this_rest = difference.partition(": ")
    return this_rest.endswith(rest) if event == "*" else (event, rest) == (this_event, this_rest)
