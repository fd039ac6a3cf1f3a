"""Scenarios: what goes wrong on simulated hosts, when and with what, as a file says (guide *Scenarios*).

``rules`` act on operations as they meet them, ``events`` on hosts as time passes. What makes no sense is refused with
the file and the line: a scenario that is not followed would prove nothing.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import yaml

from kilonova.domain.errors import SettingsUnusable
from kilonova.domain.faults import FaultCause, find_cause
from kilonova.drivers.simulated.script import FATES, VERBS
from kilonova.drivers.simulated.spans import seconds_of

_MOST_BYTES: Final = 1024 * 1024
SHIPPED: Final[Mapping[str, Path]] = {
    file.stem: file for file in sorted((Path(__file__).parent / "scenarios").glob("*.yaml"))
}
"""The files that come with Kilonova, by their names."""


class Trouble(StrEnum):
    """What can befall a host."""

    AGENT_DIES = "agent_dies"
    """Nobody hears of the agent any more; its guests run on."""
    HOST_FREEZES = "host_freezes"
    """Nothing on the host goes on, the agent included."""
    HYPERVISOR_DISCONNECTS = "hypervisor_disconnects"
    """The agent lives, and its hypervisor does not answer."""
    DISK_FULL = "disk_full"
    """Whatever needs room on the disk fails."""
    SLOW = "slow"
    """Every operation takes ten times as long."""
    POWER_LOST = "power_lost"
    """Every guest is off at once, and the agent dead until the host is up again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What happens to operations that match; ``*`` and ``?`` stand for any characters of names.

    ``every`` takes each n-th that matches, ``chance`` a share of them; ``times`` is how often it acts at most, None
    for ever.
    """

    verbs: frozenset[str] = VERBS
    host: str = "*"
    server: str = "*"
    every: int = 1
    chance: float = 1.0
    times: int | None = None
    fail: FaultCause | None = None
    delay_seconds: float = 0.0
    freeze: bool = False
    power: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What befalls hosts ``at_seconds`` after the start, for so long, and again after each ``repeat_seconds``."""

    at_seconds: float
    host: str = "*"
    trouble: Trouble
    for_seconds: float | None = None
    repeat_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """All that a file says. ``seed`` makes chances fall the same way every time."""

    name: str = ""
    seed: int = 1
    durations: Mapping[str, float] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    events: tuple[Event, ...] = ()


def load_scenario(file: Path) -> Scenario:
    """The scenario in a YAML file, or one of ``SHIPPED`` by its name.

    SettingsUnusable, with the line, where it makes no sense.
    """
    if str(file) in SHIPPED and not file.exists():
        file = SHIPPED[str(file)]
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsUnusable(
            f"The scenario {file} cannot be read: {error}. Those that come with Kilonova: {', '.join(SHIPPED)}."
        ) from error
    return read_scenario(text, name=file.name)


def read_scenario(text: str, *, name: str) -> Scenario:
    """The scenario in a text; as ``load_scenario``."""
    if len(text) > _MOST_BYTES:
        raise SettingsUnusable(f"{name} is too large for a scenario.")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise SettingsUnusable(f"{name}{where}: this is not YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise SettingsUnusable(f"{name}: this is not YAML: {error}.") from error
    reader = _Reader(name)
    return Scenario() if root is None else reader.scenario(root)


class _Reader:
    """Turns YAML's nodes, which know their lines, into records."""

    def __init__(self, file: str) -> None:
        self._file = file

    def scenario(self, node: yaml.Node) -> Scenario:
        keys: dict[str, _Take] = {
            "name": self._text,
            "description": self._text,
            "seed": self._whole,
            "durations": self._durations,
            "rules": lambda each: tuple(self._rule(rule) for rule in self._items(each)),
            "events": lambda each: tuple(self._event(event) for event in self._items(each)),
        }
        found = self._fields(node, keys)
        found.pop("description", None)
        return Scenario(**found)

    def _rule(self, node: yaml.Node) -> Rule:
        keys: dict[str, _Take] = {
            "name": self._text,
            "verb": self._verbs,
            "host": self._text,
            "server": self._text,
            "every": lambda each: self._least(each, self._whole(each), 1),
            "chance": self._chance,
            "times": lambda each: self._least(each, self._whole(each), 1),
            "fail": self._cause,
            "delay": self._span,
            "freeze": self._truth,
            "power": lambda each: self._one_of(each, FATES, "power state"),
        }
        found = self._fields(node, keys)
        found.pop("name", None)
        renamed = {_FIELDS.get(key, key): value for key, value in found.items()}
        if not {"fail", "delay_seconds", "freeze", "power"} & renamed.keys():
            raise self._wrong(node, "this rule does nothing: it has none of fail, delay, freeze and power")
        return Rule(**renamed)

    def _event(self, node: yaml.Node) -> Event:
        keys: dict[str, _Take] = {
            "name": self._text,
            "at": self._span,
            "host": self._text,
            "do": lambda each: Trouble(self._one_of(each, [str(one) for one in Trouble], "trouble")),
            "for": self._span,
            "repeat": self._span,
        }
        found = self._fields(node, keys)
        found.pop("name", None)
        missing = [key for key in ("at", "do") if key not in found]
        if missing:
            raise self._wrong(node, f"this event has no {missing[0]!r}")
        return Event(**{_FIELDS.get(key, key): value for key, value in found.items()})

    def _fields(self, node: yaml.Node, keys: Mapping[str, "_Take"]) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            raise self._wrong(node, f"here must be keys with values: {', '.join(keys)}")
        found: dict[str, Any] = {}
        for key_node, value in node.value:
            key = self._one_of(key_node, keys, "key")
            if key in found:
                raise self._wrong(key_node, f"{key} is said twice")
            found[key] = keys[key](value)
        return found

    def _items(self, node: yaml.Node) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            raise self._wrong(node, "here must be a list")
        return list(node.value)

    def _text(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._wrong(node, "here must be a text")
        return str(node.value)

    def _whole(self, node: yaml.Node) -> int:
        text = self._text(node)
        if not text.isdecimal() or len(text) > 18:
            raise self._wrong(node, f"{text!r} is no whole number")
        return int(text)

    def _least(self, node: yaml.Node, number: int, least: int) -> int:
        if number < least:
            raise self._wrong(node, f"{number} is less than {least}")
        return number

    def _chance(self, node: yaml.Node) -> float:
        text = self._text(node)
        try:
            share = float(text)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise self._wrong(node, f"{text!r} is no number from 0 to 1")
        return share

    def _truth(self, node: yaml.Node) -> bool:
        return self._one_of(node, ("true", "false"), "truth") == "true"

    def _span(self, node: yaml.Node) -> float:
        try:
            return seconds_of(self._text(node))
        except ValueError as error:
            raise self._wrong(node, str(error)) from error

    def _durations(self, node: yaml.Node) -> dict[str, float]:
        return self._fields(node, dict.fromkeys(sorted(VERBS), self._span))

    def _verbs(self, node: yaml.Node) -> frozenset[str]:
        each = self._items(node) if isinstance(node, yaml.SequenceNode) else [node]
        names = [self._one_of(one, [*sorted(VERBS), "*"], "verb") for one in each]
        return VERBS if "*" in names else frozenset(names)

    def _cause(self, node: yaml.Node) -> FaultCause:
        code = self._one_of(node, ["true", *(cause.code for cause in FaultCause)], "cause")
        return find_cause(code) or FaultCause.DRIVER_ERROR

    def _one_of(self, node: yaml.Node, known: Collection[str], what: str) -> str:
        text = self._text(node)
        if text not in known:
            close = get_close_matches(text, list(known), n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}."
            raise self._wrong(node, f"there is no {what} {text!r}; {hint}".removesuffix("."))
        return text

    def _wrong(self, node: yaml.Node, what: str) -> SettingsUnusable:
        return SettingsUnusable(f"{self._file}, line {node.start_mark.line + 1}: {what}.".replace("?.", "?"))


_Take = Callable[[yaml.Node], Any]
_FIELDS: Final = {
    "verb": "verbs",
    "delay": "delay_seconds",
    "at": "at_seconds",
    "do": "trouble",
    "for": "for_seconds",
    "repeat": "repeat_seconds",
}
