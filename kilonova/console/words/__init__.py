"""The console's words in other languages; English is the key.

What the console says is a text of its own. What the cloud says (conditions, decisions, messages of faults) is a saying
of the cloud's, with whatever numbers and names in it: it is recognised, and said again.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

LANGUAGES: Final = ("en", "zh")
_SLOT: Final = re.compile(r"\\{(\w+)\\}")
_COUNTED: Final = re.compile(r"(\d+) (\D.*)", re.DOTALL)
_NEXT_COUNT: Final = re.compile(r", (?=\d+ )")
_SINGLE: Final = {
    "{count} candidates": "{count} candidate",
    "{count} changes and notifications": "{count} change or notification",
    "{count} earlier decisions": "{count} earlier decision",
    "{count} hosts": "{count} host",
    "{count} operations late": "{count} operation late",
    "{count} servers": "{count} server",
    "{count} servers in error": "{count} server in error",
}
_LONGEST: Final = 500
"""A longer text is somebody's own words, and not looked up."""
_DEPTH: Final = 4


def translated(text: str, language: str) -> str:
    """A text of the console's own in a language; in English where the language has no words for it."""
    return text if _is_english(language) else words(language).get(text, text)


def counted(text: str, count: object) -> str:
    """The same text where it tells of a single thing: English alone, of our languages, spells that differently."""
    return _SINGLE.get(text, text) if str(count) == "1" else text


def retold(text: str, language: str) -> str:
    """What the cloud says, in a language; as the cloud says it where the language has no words for it.

    A saying is known with and without a full stop after it.
    """
    return text if _is_english(language) or len(text) > _LONGEST else _retold(text, language, _DEPTH)


@cache
def words(language: str) -> Mapping[str, str]:
    """Every text of the console's own that the language has words for."""
    return _read(f"{language}.toml")


@cache
def sayings(language: str) -> Mapping[str, str]:
    """Everything of the cloud's that the language has words for; names in braces stand for whatever is there."""
    return _read(f"{language}_cloud.toml")


def _is_english(language: str) -> bool:
    return language not in LANGUAGES or language == "en"


def _retold(text: str, language: str, depth: int) -> str:
    """What is said, with or without a full stop after it; the text itself where it is not known."""
    for said in (text, text.rstrip(". ")):
        found = _recognised(said, language, depth)
        if found != said:
            return found
    return text


def _recognised(text: str, language: str, depth: int) -> str:
    """A saying, a title of a cause, or several of which each begins with a number; slots are looked up again."""
    known = sayings(language).get(text) or words(language).get(text) or words(language).get(text[:1].upper() + text[1:])
    if known or not depth:
        return known or text
    for pattern, other in _patterns(language):
        match = pattern.fullmatch(text)
        if match:
            found = {name: _retold(value, language, depth - 1) for name, value in match.groupdict().items()}
            return other.format_map(found)
    return _recounted(text, language, depth - 1) or text


def _recounted(text: str, language: str, depth: int) -> str | None:
    """Numbers of hosts and what each of them lacks; None where that is not what it says."""
    counted = [_COUNTED.fullmatch(part) for part in _NEXT_COUNT.split(text)]
    found = [(each[1], each[2], _retold(each[2], language, depth)) for each in counted if each]
    if len(found) < len(counted) or any(before == after for _, before, after in found):
        return None
    return "，".join(f"{number} 台{after}" for number, _, after in found)


@cache
def _patterns(language: str) -> list[tuple[re.Pattern[str], str]]:
    """Sayings that have slots, those first that say most beside them."""
    slotted = [(text, other) for text, other in sayings(language).items() if "{" in text]
    slotted.sort(key=lambda pair: -len(_SLOT.sub("", re.escape(pair[0]))))
    return [(re.compile(_SLOT.sub(r"(?P<\1>.+)", re.escape(text))), other) for text, other in slotted]


def _read(name: str) -> dict[str, str]:
    content = resources.files(__package__).joinpath(name).read_text("utf-8")
    known: dict[str, str] = {}
    for section in tomllib.loads(content).values():
        known |= section
    return known
