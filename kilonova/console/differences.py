"""What changed of a thing, in people's words: from how it was and how it is, as the journal has it. Pure."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

LABELS: Final = {
    "display_name": "name",
    "name": "name",
    "status": "status",
    "vm_state": "state",
    "task_state": "task",
    "power_state": "power",
    "host": "host",
    "flavor_name": "flavor",
    "addresses": "address",
    "display_description": "description",
    "description": "description",
    "metadata": "metadata",
    "tags": "tag",
    "security_groups": "security group",
    "volumes": "volume",
    "image_ref": "image",
    "key_name": "key pair",
    "availability_zone": "zone",
    "locked_by": "lock",
    "locked_reason": "reason of the lock",
    "hostname": "host name",
    "access_ip_v4": "access address",
    "access_ip_v6": "access address",
    "hosts": "host",
    "members": "member",
    "limits": "limit",
    "disabled": "disabled",
    "disabled_reason": "reason",
    "forced_down": "forced down",
}
"""What fields are called; they are told in this order, and what is not among them after them, by its own name."""
FORMS: Final = {
    "turned": "{field} {before} → {after}",
    "came": "{field}: {after}",
    "went": "no {field} any more",
    "added": "{field} {item} added",
    "removed": "{field} {item} removed",
    "set": "{field} {item} = {after}",
    "reset": "{field} {item}: {before} → {after}",
    "changed": "{field} changed",
    "renamed": "renamed {before} → {after}",
    "locked": "locked by {after}",
    "unlocked": "unlocked",
}
_SPECIAL: Final = {
    ("display_name", "turned"): "renamed",
    ("name", "turned"): "renamed",
    ("locked_by", "came"): "locked",
    ("locked_by", "went"): "unlocked",
}
_QUIET: Final = (
    "id uuid generation node progress flavor_id flavorid flavor vcpus memory_mb root_gb ephemeral_gb swap_mb image "
    "nics key_data reservation_id launch_index user_id project_id report_count"
)
_UNTOLD: Final = frozenset(_QUIET.split())
"""Numbers of our own, and what another field says as well."""
_NAMES: Final = ("addr", "name", "volume_id", "share_id", "id", "uuid")
"""By which of its keys an item of a list is called."""
_LONGEST: Final = 60
POWER: Final = {0: "no state", 1: "running", 3: "paused", 4: "shut down", 6: "crashed", 7: "suspended"}
"""Power states in words of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One change: ``text`` has the names of ``facts`` in braces; ``what`` is the field, in a word of ours if any.

    Text and field can be translated; facts are somebody's own words, but for power states, which are words of ours.
    """

    text: str
    what: str
    facts: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.told(str)

    def told(self, translate: Callable[[str], str], retell: Callable[[str], str] = str) -> str:
        """The change in another language. ``retell`` is for the field, which may be one of the cloud's own."""
        facts = self.facts
        if self.what == LABELS["power_state"]:
            facts = {name: translate(word) if word in POWER.values() else word for name, word in facts.items()}
        return translate(self.text).format_map({"field": retell(self.what), **facts})


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Turn]:
    """What is told of the fields in ``before``; documents of the journal may be as they are kept, in JSON."""
    found: list[Turn] = []
    for name, was, value in _pairs(before, after):
        found += _told(name, was, value)
    return found


def power_word(state: Any) -> str:
    """A power state in a word; as it is where there is none for it."""
    return POWER.get(state, "–" if state is None else str(state))


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    found = {}
    for name, was in before.items():
        label, pair = name.removesuffix("_json"), (_parsed(name, was), _parsed(name, after.get(name)))
        if label not in _UNTOLD and not label.endswith("_at") and pair[0] != pair[1]:
            found[label] = pair
    order = [*(name for name in LABELS if name in found), *sorted(found.keys() - LABELS.keys())]
    return [(name, *found[name]) for name in order]


def _parsed(name: str, value: Any) -> Any:
    return json.loads(value) if name.endswith("_json") and isinstance(value, str) else value


def _told(name: str, was: Any, value: Any) -> Iterator[Turn]:
    if not any(isinstance(each, dict | list) for each in (was, value)):
        yield _of_value(name, was, value)
        return
    items = [_items(each) for each in (was, value)]
    if items[0] is None or items[1] is None or items[0] == items[1]:
        yield _turn(name, "changed")
        return
    yield from _of_items(name, items[0], items[1])


def _of_value(name: str, was: Any, value: Any) -> Turn:
    if _is_nothing(value):
        return _turn(name, "went")
    form = "came" if _is_nothing(was) else "turned"
    return _turn(name, form, before=_spoken(name, was), after=_spoken(name, value))


def _of_items(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Turn]:
    """What came, went, or has another value; items without values are only there or not."""
    for item, value in new.items():
        if item not in old:
            yield _turn(name, "added" if value is None else "set", item=item, after=_spoken(name, value))
        elif old[item] != value:
            yield _turn(name, "reset", item=item, before=_spoken(name, old[item]), after=_spoken(name, value))
    for item in old:
        if item not in new:
            yield _turn(name, "removed", item=item)


def _turn(name: str, form: str, **facts: str) -> Turn:
    text = FORMS[_SPECIAL.get((name, form), form)]
    told = {key: fact if len(fact) <= _LONGEST else f"{fact[:_LONGEST]}…" for key, fact in facts.items()}
    return Turn(text=text, what=LABELS.get(name, name.replace("_", " ")), facts=told)


def _spoken(name: str, value: Any) -> str:
    if name == "power_state":
        return power_word(value)
    return "–" if _is_nothing(value) else str(value)


def _is_nothing(value: Any) -> bool:
    return value is None or value == ""


def _items(value: Any) -> dict[str, Any] | None:
    """Items by what they are called, with their values where they have any; None where they are not called anything.

    Addresses are kept by their network: there the addresses are the items.
    """
    if value is None:
        return {}
    if isinstance(value, dict) and all(isinstance(each, list) for each in value.values()):
        value = [item for each in value.values() for item in each]
    if isinstance(value, dict):
        is_plain = not any(isinstance(each, dict | list) for each in value.values())
        return {str(key): "" if each is None else each for key, each in value.items()} if is_plain else None
    names = [_name(item) for item in value] if isinstance(value, list) else [None]
    return None if None in names else {str(name): None for name in names}


def _name(item: Any) -> str | None:
    if not isinstance(item, dict):
        return None if isinstance(item, list) else str(item)
    return next((str(item[key]) for key in _NAMES if item.get(key)), None)
