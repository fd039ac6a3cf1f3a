"""The console's words in other languages; English is the key."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

LANGUAGES: Final = ("en", "zh")


def translated(text: str, language: str) -> str:
    """The text in a language; in English where the language has no words for it."""
    return text if language not in LANGUAGES or language == "en" else words(language).get(text, text)


@cache
def words(language: str) -> Mapping[str, str]:
    """Every text that the language has words for."""
    content = resources.files(__package__).joinpath(f"{language}.toml").read_text("utf-8")
    known: dict[str, str] = {}
    for section in tomllib.loads(content).values():
        known |= section
    return known
