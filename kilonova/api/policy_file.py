"""An operator's own rules: a ``policy.yaml`` as Nova reads it, a mapping of names to rules (or the same in JSON).

Read once, when the process starts. A file that makes no sense stops it, with the line and the rule that is wrong.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kilonova.api.policy import BASE, DEFAULTS, Policy
from kilonova.api.rules import RuleUnreadable, Text
from kilonova.api.settings import PolicySettings
from kilonova.domain.errors import SettingsUnusable


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """What a file says: its rules as they are written, and the line of each."""

    path: Path
    rules: Mapping[str, Text] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)

    def policy(self) -> Policy:
        """The defaults with these rules in their place. SettingsUnusable, with the place, where they make no sense."""
        try:
            return Policy(self.rules)
        except RuleUnreadable as error:
            where = next((f", line {self.lines[name]}" for name in error.rules if name in self.lines), "")
            raise SettingsUnusable(f"In the policy file {self.path}{where}, the rule {error}.") from error

    def doubts(self, policy: Policy) -> Iterator[str]:
        """A sentence on each rule that nothing asks for, which Nova passes over in silence."""
        for name in policy.unasked:
            close = get_close_matches(name, {**BASE, **DEFAULTS}, n=1)
            meant = f" Did you mean {close[0]}?" if close else ""
            yield f"In the policy file {self.path}, line {self.lines[name]}, nothing asks for the rule {name}.{meant}"


def policy_in_force(settings: PolicySettings) -> tuple[Policy, tuple[str, ...]]:
    """The policy that the settings ask for, and what about it may be a mistake. SettingsUnusable for a bad file."""
    if not settings.policy_file:
        return Policy(), ()
    file = read_policy_file(Path(settings.policy_file).expanduser())
    policy = file.policy()
    return policy, tuple(file.doubts(policy))


def read_policy_file(path: Path) -> PolicyFile:
    """The file's rules, not yet looked into. SettingsUnusable where it cannot be read or is of another form."""
    import yaml  # only who has such a file pays for it

    try:
        root = yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SettingsUnusable(f"The policy file {path} cannot be read: {reason}.") from error
    except yaml.YAMLError as error:
        raise SettingsUnusable(f"The policy file {path} is not YAML: {' '.join(str(error).split())}.") from error
    if root is None:
        return PolicyFile(path=path)
    if not isinstance(root, yaml.MappingNode):
        raise SettingsUnusable(f"The policy file {path} has to be a mapping of names to rules.")
    rules: dict[str, Text] = {}
    lines: dict[str, int] = {}
    for key, value in root.value:
        name, line = key.value, key.start_mark.line + 1
        if name in rules:
            raise _wrong(path, line, f"the rule {name} stands a second time, after line {lines[name]}")
        text = _text(value)
        if text is None:
            raise _wrong(path, line, f"the rule {name} has to be a text, or a list of lists of texts")
        rules[name], lines[name] = text, line
    return PolicyFile(path=path, rules=rules, lines=lines)


def _wrong(path: Path, line: int, what: str) -> SettingsUnusable:
    return SettingsUnusable(f"In the policy file {path}, line {line}, {what}.")


def _text(node: Any) -> Text | None:
    """A rule, from a node of the document; None for anything else."""
    if node.id == "scalar":
        return str(node.value) if node.tag.endswith(":str") else None
    if node.id != "sequence":
        return None
    parts = [_part(each) for each in node.value]
    return None if None in parts else [part for part in parts if part is not None]


def _part(node: Any) -> str | list[str] | None:
    if node.id == "scalar":
        return str(node.value)
    if node.id == "sequence" and all(each.id == "scalar" for each in node.value):
        return [str(each.value) for each in node.value]
    return None
