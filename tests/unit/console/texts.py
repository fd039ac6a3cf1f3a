"""Every text that the console says to people of its own, gathered from its templates and tables."""

import re
from collections.abc import Iterator
from pathlib import Path

import kilonova.console
from kilonova.console.board import operation, recorded
from kilonova.console.differences import FORMS, LABELS, POWER
from kilonova.console.explain import HOST_RULES, REQUEST_RULES, RULES, lines
from kilonova.console.explain.lacks import ADVICE, GENERAL, MIXED
from kilonova.console.timeline import BY_ITSELF
from kilonova.console.titles import TITLES
from kilonova.console.web.pages import PAGES

TEMPLATES = sorted((Path(kilonova.console.__file__).parent / "web" / "templates").glob("*.html"))
_SAID = re.compile(r"""\bt\(\s*"((?:[^"\\]|\\.)*)\"""")
_CHOSEN = re.compile(r"""\bt\("[^"]*"\) (?:if|else)[^}]*?t\("([^"]*)"\)""")


def texts() -> Iterator[str]:
    """Each of them, some more than once."""
    for template in TEMPLATES:
        source = template.read_text("utf-8")
        yield from _SAID.findall(source)
        yield from _CHOSEN.findall(source)
    yield from (text for rule in RULES for text in (rule.sentence, rule.advice))
    yield from (text for rule in HOST_RULES for text in (rule.sentence, rule.advice))
    yield from (text for rule in REQUEST_RULES for text in (rule.sentence, rule.advice))
    yield from (GENERAL, MIXED, *(advice for _, advice in ADVICE))
    yield from (page.title for page in PAGES if page.title)
    yield from (text for title in TITLES.values() for text in title)
    yield from BY_ITSELF.values()
    yield from (*FORMS.values(), *LABELS.values(), *POWER.values())
    yield from lines.FORMS.values()
    yield from (operation.HEARD, operation.HEARD_FAILED, operation.ASK_AGAIN)
    yield from (recorded.SEVERAL, *recorded.SENTENCES.values(), *recorded.THINGS.values())
