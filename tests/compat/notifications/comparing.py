"""How two payloads are held against each other: keys, types, and the names and versions of objects."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from tests.compat.notifications.golden import Heard

# Their keys are the owner's, or follow from an image or a method.
_FREE = {
    "metadata",
    "extra_specs",
    "image_meta",
    "scheduler_hints",
    "properties",
    "args",
    "meta_data",
    "rules",
    "_rules",
}
_OBJECT = ("nova_object.name", "nova_object.namespace", "nova_object.version")


def differences(golden: Any, ours: Any, path: str = "") -> Iterator[str]:
    """What is not the same, as ``path: what``. None goes with everything: it says that a field may be empty."""
    if golden is None or ours is None:
        return
    if isinstance(golden, Mapping) and isinstance(ours, Mapping):
        yield from _of_mappings(golden, ours, path)
    elif isinstance(golden, list) and isinstance(ours, list):
        if golden and ours:
            yield from differences(golden[0], ours[0], f"{path}[]")
    elif type(golden) is not type(ours):
        yield f"{path}: {type(ours).__name__} instead of {type(golden).__name__}"


def _of_mappings(golden: Mapping[str, Any], ours: Mapping[str, Any], path: str) -> Iterator[str]:
    if "nova_object.data" in golden:
        for key in _OBJECT:
            if golden[key] != ours.get(key):
                yield f"{path}: {key} {ours.get(key)} instead of {golden[key]}"
        if path.rpartition(".")[2] not in _FREE:
            yield from _of_mappings(golden["nova_object.data"], ours.get("nova_object.data", {}), path)
        return
    if path.rpartition(".")[2] in _FREE:
        return
    for key in sorted(golden.keys() - ours.keys()):
        yield f"{path}.{key}: lacking"
    for key in sorted(ours.keys() - golden.keys()):
        yield f"{path}.{key}: only ours"
    for key in sorted(golden.keys() & ours.keys()):
        yield from differences(golden[key], ours[key], f"{path}.{key}")


def course(messages: list[Heard], names: Mapping[str, str]) -> list[tuple[Any, ...]]:
    """A sequence in which updates that follow one another are one, from where to where, and none changes nothing.

    ``names`` are what hosts are called; an update says whose process saved, which is nobody's business here.
    """
    told: list[tuple[Any, ...]] = []
    for is_update, group in groupby(_moving(messages), key=lambda heard: heard.is_update):
        if not is_update:
            told += [(each.event_type, _named(each.publisher_id, names), each.priority) for each in group]
            continue
        steps = [each.states for each in group if each.states]
        old_vm, _, old_task, _ = steps[0]
        _, vm, _, task = steps[-1]
        told.append(("update", old_vm, vm, old_task, task))
    return told


def _moving(messages: list[Heard]) -> Iterator[Heard]:
    """Without the updates that tell the states that were told before."""
    current: tuple[str | None, ...] | None = None
    for heard in messages:
        if heard.states is None:
            yield heard
            continue
        _, vm, _, task = heard.states
        if (vm, task) != current:
            yield heard
        current = (vm, task)


def _named(publisher: str, names: Mapping[str, str]) -> str:
    separator = ":" if ":" in publisher else "."
    service, _, host = publisher.partition(separator)
    return f"{service}{separator}{names.get(host, host)}"
