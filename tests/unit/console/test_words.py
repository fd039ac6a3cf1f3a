"""The console speaks English and Chinese, all of it."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kilonova.console.explain.rules import PHRASES
from kilonova.console.words import LANGUAGES, translated, words
from kilonova.domain.faults import FaultCause
from tests.unit.console.texts import TEMPLATES, texts

_BARE = re.compile(r"{#.*?#}|{%.*?%}|{{.*?}}", re.DOTALL)
_NAMES = {"Kilonova", "English", "中文", "CSV", "UTC", "B", "s", "vCPU", "MiB", "GiB", "CPU", "MB", "nbsp"}
"""What is called the same in every language."""


class _Bare(HTMLParser):
    """Words that stand in a template itself, outside of commands and code."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._quoted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._quoted += tag in ("pre", "code")
        self.found += [value or "" for name, value in attrs if name in ("title", "aria-label", "placeholder", "alt")]

    def handle_endtag(self, tag: str) -> None:
        self._quoted -= tag in ("pre", "code")

    def handle_data(self, data: str) -> None:
        if not self._quoted:
            self.found.append(data)


def test_every_text_has_its_chinese_words() -> None:
    known = words("zh")
    of_causes = [text for cause in FaultCause for text in (cause.title, cause.remedy, cause.operator)]
    assert [text for text in (*texts(), *PHRASES, *of_causes) if text not in known] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_text_stands_in_a_template_untranslated(template: Path) -> None:
    parser = _Bare()
    parser.feed(_BARE.sub(" ", template.read_text("utf-8")))
    found = {word for text in parser.found for word in re.findall(r"[^\W\d_]{2,}", text)}
    assert found <= _NAMES


def test_translations_have_the_facts_of_their_texts() -> None:
    def named(text: str) -> set[str]:
        return set(re.findall(r"{(\w+)}", text))

    assert [text for text, other in words("zh").items() if named(text) != named(other)] == []


def test_an_unknown_language_is_english() -> None:
    assert translated("Hosts", "fr") == "Hosts"
    assert translated("no such text", "zh") == "no such text"
    assert "en" in LANGUAGES
