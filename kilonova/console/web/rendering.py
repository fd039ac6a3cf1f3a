"""Templates, and how values are spelt in them; all that is put into a page is escaped."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from jinja2 import ChainableUndefined, Environment, PackageLoader, StrictUndefined, Undefined
from jinja2.utils import missing
from markupsafe import Markup

from kilonova.console.differences import power_word
from kilonova.console.explain import Line
from kilonova.console.timeline import instant
from kilonova.console.web import pictures
from kilonova.console.web.pages import PAGES
from kilonova.console.words import counted, retold, translated

_TONES: Final = {
    "ACTIVE": "good",
    "ERROR": "bad",
    "DELETED": "off",
    "SHUTOFF": "off",
    "PAUSED": "off",
    "SUSPENDED": "off",
    "SHELVED": "off",
    "SHELVED_OFFLOADED": "off",
    "SOFT_DELETED": "off",
    "up": "good",
    "down": "bad",
    "ok": "good",
    "failed": "bad",
    "open": "wait",
    "enabled": "good",
    "disabled": "off",
    "current": "good",
    "created": "good",
    "deleted": "off",
    "Success": "good",
    "Error": "bad",
}
_MINUTES: Final = 120
_HOURS: Final = 7200
_DAYS: Final = 48 * 3600


class _Untold(ChainableUndefined):
    """What a document of the cloud does not have is empty; what our own code forgot is an error."""

    def __new__(cls, hint: Any = None, obj: Any = missing, name: Any = None, *rest: Any) -> Any:
        """Strict, unless it is a key of a document."""
        return super().__new__(cls) if isinstance(obj, Mapping) else StrictUndefined(hint, obj, name, *rest)


def render(template: str, found: Mapping[str, Any]) -> str:
    """The page's text. ``found`` has at least ``language``, ``session``, ``root`` and ``here``.

    Templates say what is theirs by ``t``, what the cloud says by ``cloud``, and what has parts of both by ``told``.
    """
    language = found["language"]

    def t(text: str, /, **facts: Any) -> str:
        words = counted(translated(text, language), facts.get("count"))
        return words.format_map(facts) if facts else words

    def told(line: Line) -> str:
        return line.told(t, cloud)

    def cloud(text: Any) -> str:
        return retold(str(text), language)

    now = datetime.now(UTC)
    text: str = (
        _environment()
        .get_template(template)
        .render(
            pages=[page for page in PAGES if page.title],
            now=now,
            made_at=now.strftime("%H:%M:%S UTC"),
            t=t,
            told=told,
            cloud=cloud,
            pictures=pictures,
            **found,
        )
    )
    return text


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(loader=PackageLoader(__package__), autoescape=True, undefined=_Untold, trim_blocks=True)
    environment.filters |= {
        "moment": _moment,
        "clock": _clock,
        "iso": _iso,
        "span": _span,
        "tone": _tone,
        "number": _number,
        "breakable": _breakable,
        "bytes": _bytes,
        "power": power_word,
        "good_when": _condition_tone,
    }
    return environment


def _moment(value: Any) -> str:
    """A time for people, always in UTC."""
    if not value:
        return "–"
    return _parsed(value).strftime("%Y-%m-%d %H:%M:%S")


def _clock(value: Any, other: Any = None) -> str:
    """The same without its day; with it, but without seconds, where ``other`` is of another day."""
    if not value:
        return "–"
    moment = _parsed(value)
    is_far = other is not None and _parsed(other).date() != moment.date()
    return moment.strftime("%Y-%m-%d %H:%M" if is_far else "%H:%M:%S")


def _iso(value: Any) -> str:
    """The same for programs."""
    return _parsed(value).strftime("%Y-%m-%dT%H:%M:%SZ") if value else ""


def _parsed(value: Any) -> datetime:
    found = value if isinstance(value, datetime) else instant(str(value))
    return found.astimezone(UTC)


def _span(seconds: Any) -> str:
    """A duration for people."""
    if seconds is None or isinstance(seconds, Undefined):
        return "…"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _MINUTES:
        return f"{seconds:.1f} s"
    if seconds < _HOURS:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < _DAYS else f"{seconds / 86400:.0f} d"


def _number(value: Any) -> str:
    """A number for people: large ones shortly."""
    if value is None or isinstance(value, Undefined):
        return "–"
    for factor, suffix in ((1e12, " T"), (1e9, " G"), (1e7, " M")):
        if abs(value) >= factor:
            return f"{value / factor:,.1f}{suffix}"
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.2f}"


def _breakable(name: Any) -> Markup:
    """A name that may be broken after its underscores; escaped, as everything is."""
    return Markup("_<wbr>").join(str(name).split("_"))


def _bytes(value: Any) -> str:
    """An amount of bytes for people, in units of a thousand."""
    if value is None or isinstance(value, Undefined):
        return "–"
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= factor:
            return f"{value / factor:,.1f} {unit}"
    return f"{value:,.0f} B"


def _tone(status: Any) -> str:
    return _TONES.get(str(status), "wait")


_BAD_IF_TRUE: Final = frozenset({"Suspect", "Late", "Waiting", "Failed", "Deleting"})


def _condition_tone(condition: Mapping[str, Any]) -> str:
    """How a condition is coloured: some are bad when they are true, most when they are false."""
    if condition["status"] == "Unknown":
        return "off"
    is_true = condition["status"] == "True"
    return "good" if is_true != (condition["type"] in _BAD_IF_TRUE) else "bad"
