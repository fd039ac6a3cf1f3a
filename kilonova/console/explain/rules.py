"""What a rule is, and how the first that finds something becomes an explanation."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Generic, Protocol, TypeVar

Facts = Mapping[str, Any]
E = TypeVar("E")
PHRASES: Final = frozenset(
    {
        "some time ago",
        "somebody",
        "its host",
        "never",
        "its start",
        "unknown",
        "operation",
        "no answer",
        "the cloud itself",
        "no reason was kept",
        "no reason was given",
        "no reason",
        "none that this cloud tells",
        "the cloud does not say what the hosts lack",
    }
)
"""What stands for a fact that is not known; the only facts that are words of ours."""
_OF_THE_CLOUD: Final = frozenset({"why", "message", "what", "reason", "condition", "state", "result"})
"""Facts that the cloud said in words, rather than names, numbers and times."""


class Line(Protocol):
    """What can be said in any language; in English by ``str``."""

    def told(self, translate: Callable[[str], str], retell: Callable[[str], str] = str) -> str:
        """The same in another language: ``translate`` is for our own texts, ``retell`` for what the cloud said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A sentence before its language is chosen: ``text`` in English with the names of ``facts`` in braces."""

    text: str
    facts: Facts = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text.format_map(self.facts)

    def told(self, translate: Callable[[str], str], retell: Callable[[str], str] = str) -> str:
        """The sentence in another language. ``retell`` is for what the cloud said; names stay as they are."""
        facts = {}
        for name, value in self.facts.items():
            is_text = name != "name" and isinstance(value, str)
            if is_text and value in PHRASES:
                facts[name] = translate(value)
            else:
                facts[name] = retell(value) if is_text and name in _OF_THE_CLOUD else value
        return translate(self.text).format_map(facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """``why`` and ``do`` in sentences; ``evidence`` shows it, each line once; ``tone`` is bad, wait or good."""

    rule: str
    why: tuple[Said, ...]
    do: Said
    evidence: tuple[Line, ...] = ()
    tone: str = "bad"

    @property
    def sentence(self) -> str:
        """Why, in English."""
        return " ".join(str(each) for each in self.why)

    @property
    def advice(self) -> str:
        """What to do next, in English."""
        return str(self.do)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Generic[E]):
    """One row: what it looks for, and what it says of it.

    The texts have the facts' names in braces. ``is_cause`` marks rows that say why an operation failed: where the
    thing itself was not harmed by that, ``unharmed`` is said too. ``advises`` chooses another advice where there is
    one that fits better.
    """

    name: str
    finds: Callable[[E], Facts | None]
    sentence: str
    advice: str
    tone: str = "bad"
    is_cause: bool = False
    shows: Callable[[E], Sequence[Line]] = field(default=lambda _: ())
    advises: Callable[[E], str | None] = field(default=lambda _: None)


def first(
    rules: Sequence[Rule[E]],
    evidence: E,
    known: Facts,
    *,
    tried: Callable[[E], str | None] = lambda _: None,
    unharmed: Callable[[E], str | None] = lambda _: None,
) -> Explanation:
    """What the first rule that finds something says; ``known`` are facts that every sentence may name.

    Of what failed it is said too where it was ``tried`` in vain, and that the thing itself is ``unharmed``, if it is.
    """
    for rule in rules:
        facts = rule.finds(evidence)
        if facts is None:
            continue
        all_facts = {**known, **facts}
        spared = unharmed(evidence) if rule.is_cause else None
        more = tried(evidence) if rule.is_cause else None
        why = [Said(text=text, facts=all_facts) for text in (rule.sentence, more, spared) if text]
        return Explanation(
            rule=rule.name,
            why=tuple(why),
            do=Said(text=rule.advises(evidence) or rule.advice, facts=all_facts),
            evidence=each_once(rule.shows(evidence)),
            tone="wait" if spared else rule.tone,
        )
    raise RuntimeError("the last rule finds something always")


def each_once(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Lines in their order, without those that say what one before them said."""
    found: dict[str, Line] = {}
    for line in lines:
        found.setdefault(str(line), line)
    return tuple(found.values())


def spoken(moment: datetime) -> str:
    """A moment for people."""
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def spoken_text(text: Any) -> str | None:
    """A moment as an API spells it, for people; None where there is none."""
    if not text:
        return None
    return str(text).replace("T", " ").partition(".")[0].removesuffix("Z") + " UTC"


def find_condition(conditions: Sequence[Mapping[str, Any]], type: str, status: str) -> Mapping[str, Any] | None:
    """The condition of this type where it has this status."""
    return next((each for each in conditions if each.get("type") == type and each.get("status") == status), None)
