"""What a body contains at which microversion: one row a field, compiled into one function per version and policy.

Rendering is on the hot path. A shape is turned into source text once per (version, granted rules): a function that
calls the constructor of a struct made for exactly these keys, so that a thousand servers cost about what their JSON
costs. Text that is JSON already goes through as ``Raw``.
"""

import linecache
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw

from kilonova.wire.version import MIN, Microversion, Span

Getter = Callable[[Any], Any] | Callable[[Any, Any], Any]
"""The value of a field, from the record, or from the record and the view (what of the request it needs)."""

Render = Callable[[Any, Any], msgspec.Struct]
"""A record and a view become what msgspec encodes."""


@dataclass(frozen=True, slots=True)
class JsonText:
    """The attribute of a record whose text is JSON already: it goes into the body as it is."""

    attribute: str


ABSENT: Final = UNSET
"""What a getter returns where the key is not there for this record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One key in a span of versions.

    ``get`` is the name of an attribute of the record (``JsonText`` where it is JSON already), or a function of it,
    with or without the view. ``when`` names policy rules: the key is there only for callers who pass one of them.
    """

    key: str
    get: str | JsonText | Getter
    span: Span
    when: tuple[str, ...] = ()

    def is_granted(self, granted: frozenset[str]) -> bool:
        """Whether a caller who passes these rules sees the field."""
        return not self.when or not granted.isdisjoint(self.when)

    def starting(self, since: str) -> "Field | None":
        """The field as it is from a later version on, None where it ended before."""
        first = max(self.span.since, Microversion.parse(since))
        if self.span.until is not None and self.span.until < first:
            return None
        return replace(self, span=Span(first, self.span.until))


def field(
    key: str,
    get: str | JsonText | Getter,
    *,
    since: str = "2.1",
    until: str | None = None,
    when: str | tuple[str, ...] = (),
) -> Field:
    """A field from texts; both ends of the span are included."""
    rules = (when,) if isinstance(when, str) else when
    return Field(key=key, get=get, span=Span.of(since, until), when=rules)


class Shape:
    """What a record looks like to clients, at every version. ValueError if a key is there twice at one version."""

    def __init__(self, name: str, *fields: Field) -> None:
        self.name = name
        self.fields = fields
        self.rules = frozenset(rule for each in fields for rule in each.when)
        _refuse_twins(name, fields)
        edges = {each.span.since for each in fields} | {end for each in fields if (end := each.span.after)}
        self._edges = sorted(edges | {MIN})
        self._compiled: dict[tuple[int, frozenset[str]], Render] = {}

    def at(self, version: Microversion, granted: frozenset[str] = frozenset()) -> Render:
        """The function that renders a record at a version, for a caller who passes the rules ``granted``."""
        key = (bisect_right(self._edges, version), granted & self.rules)
        render = self._compiled.get(key)
        if render is None:
            render = self._compiled[key] = _compile(self.name, self._fields_at(version, granted))
        return render

    def keys_at(self, version: Microversion, granted: frozenset[str] = frozenset()) -> list[str]:
        """The keys at a version, in order; records may still leave some of them out."""
        return [each.key for each in self._fields_at(version, granted)]

    @property
    def history(self) -> list[tuple[Microversion, list[str], list[str]]]:
        """At which version which keys came and which went, for a caller who passes every rule."""
        steps = []
        before: list[str] = []
        for version in self._edges:
            keys = self.keys_at(version, self.rules)
            steps.append((version, _missing(keys, before), _missing(before, keys)))
            before = keys
        return [step for step in steps if step[1] or step[2]]

    def without(self, name: str, *keys: str) -> "Shape":
        """The same shape, less some keys."""
        return Shape(name, *(each for each in self.fields if each.key not in keys))

    def _fields_at(self, version: Microversion, granted: frozenset[str]) -> list[Field]:
        return [each for each in self.fields if each.span.has(version) and each.is_granted(granted)]


def starting(since: str, fields: Iterable[Field]) -> tuple[Field, ...]:
    """The fields as they are from a version on; before it, none of them is there."""
    return tuple(late for each in fields if (late := each.starting(since)) is not None)


raw: Final = Raw
"""Makes of a JSON text what goes into the body as it is."""


def _missing(keys: list[str], among: list[str]) -> list[str]:
    return [key for key in keys if key not in among]


def _refuse_twins(name: str, fields: tuple[Field, ...]) -> None:
    seen: dict[str, list[Field]] = {}
    for each in fields:
        for twin in seen.setdefault(each.key, []):
            if twin.span.overlaps(each.span):
                raise ValueError(f"{name}: {each.key} is there twice at {max(twin.span.since, each.span.since)}")
        seen[each.key].append(each)


def _compile(name: str, fields: list[Field]) -> Render:
    struct = msgspec.defstruct(
        "".join(part.title() for part in name.split("_")),
        [(f"f{index}", Any, UNSET) for index in range(len(fields))],
        rename={f"f{index}": each.key for index, each in enumerate(fields)},
        gc=False,
    )
    getters = {f"g{index}": each.get for index, each in enumerate(fields)}
    arguments = ", ".join(_argument(f"g{index}", each.get) for index, each in enumerate(fields))
    return _built(
        name, f"def render(record, view):\n    return struct({arguments})\n", {**getters, "raw": raw, "struct": struct}
    )


def _argument(name: str, get: str | JsonText | Getter) -> str:
    if isinstance(get, str):
        return f"record.{_attribute(get)}"
    if isinstance(get, JsonText):
        return f"raw(record.{_attribute(get.attribute)})"
    takes_view = len(signature(get).parameters) > 1
    return f"{name}(record, view)" if takes_view else f"{name}(record)"


def _attribute(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(f"not the name of an attribute: {name!r}")
    return name


def _built(name: str, source: str, names: Mapping[str, Any]) -> Render:
    filename = f"<shape {name} {len(source)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    scope: dict[str, Any] = dict(names)
    exec(compile(source, filename, "exec"), scope)  # noqa: S102 - the text is made of attribute names checked above
    render: Render = scope["render"]
    return render
