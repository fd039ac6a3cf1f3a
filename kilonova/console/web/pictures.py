"""The geometry of the pictures: lines, columns, and candidates that fall through filters. Pure; templates draw it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kilonova.console.board.samples import Series

WIDTH: Final = 300.0
HEIGHT: Final = 64.0
_MARGIN: Final = 3.0
_MOST_DOTS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line chart in a field of ``WIDTH`` by ``HEIGHT``: ``points`` and the ``area`` below, as SVG spells them."""

    name: str
    points: str
    area: str
    least: float
    most: float
    last: float
    began_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a chart in the same field; ``value`` is what it stands for, ``label`` what it is of."""

    x: float
    y: float
    width: float
    height: float
    value: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One filter that candidates met: how many came, how many fell, for what reason, and where it is drawn.

    ``path`` narrows from those that came to those that are left, in a field of 200 by 26; ``fallen`` and ``left`` are
    the places of dots, empty where there are too many to draw.
    """

    filter: str
    reason: str
    came: int
    removed: int
    path: str
    fallen: tuple[float, ...]
    left: tuple[float, ...]


def line(series: Series, top: float | None = None) -> Line:
    """The chart of a series of at least one point; ``top`` is the value at its upper edge, the highest without."""
    values = [value for _, value in series.points]
    began, ended = series.points[0][0], series.points[-1][0]
    whole = max((ended - began).total_seconds(), 1e-6)
    top = top or max(*values, 1e-9)
    places = [
        (
            round((at - began).total_seconds() / whole * WIDTH, 1),
            round(HEIGHT - _MARGIN - max(value, 0.0) / top * (HEIGHT - 2 * _MARGIN), 1),
        )
        for at, value in series.points
    ]
    points = " ".join(f"{x},{y}" for x, y in places)
    return Line(
        name=series.name,
        points=points,
        area=f"{places[0][0]},{HEIGHT} {points} {places[-1][0]},{HEIGHT}",
        least=min(values),
        most=max(values),
        last=values[-1],
        began_at=began,
        ended_at=ended,
    )


def stack(counts: Sequence[tuple[str, float]]) -> list[tuple[str, float, float]]:
    """One bar of all counts beside one another: name, where it begins and how wide it is, in hundredths."""
    whole = sum(count for _, count in counts) or 1.0
    found, begin = [], 0.0
    for name, count in counts:
        width = 100 * count / whole
        found.append((name, round(begin, 2), round(width, 2)))
        begin += width
    return found


def columns(values: Sequence[tuple[str, float]]) -> list[Column]:
    """A column each value, the highest as high as the field."""
    top = max((value for _, value in values), default=0.0) or 1.0
    step = WIDTH / max(len(values), 1)
    found = []
    for number, (label, value) in enumerate(values):
        width = min(step * 0.8, 40.0)
        height = round(max(value / top * (HEIGHT - 2), 1.0 if value else 0.0), 1)
        found.append(
            Column(
                x=round(number * step + (step - width) / 2, 2),
                y=round(HEIGHT - height, 1),
                width=round(width, 2),
                height=height,
                value=value,
                label=label,
            )
        )
    return found


def funnel(decision: Mapping[str, Any]) -> list[Stage]:
    """The stages of a decision as ``/state/v1/decisions`` shows it, in the order of its filters."""
    whole = max(int(decision.get("candidates") or 0), 1)
    left = int(decision.get("candidates") or 0)
    stages = []
    for row in (decision.get("document") or {}).get("counts") or ():
        removed = min(int(row["count"]), left)
        after = left - removed
        stages.append(
            Stage(
                filter=str(row["filter"]),
                reason=str(row["reason"]),
                came=left,
                removed=removed,
                path=_narrowing(left / whole, after / whole),
                fallen=_dots(removed, whole),
                left=_dots(after, whole),
            )
        )
        left = after
    return stages


def _narrowing(before: float, after: float) -> str:
    upper, lower = max(before * 100, 1.0), max(after * 100, 1.0)
    return f"M{100 - upper:.1f},0 L{100 + upper:.1f},0 L{100 + lower:.1f},26 L{100 - lower:.1f},26 Z"


def _dots(count: int, whole: int) -> tuple[float, ...]:
    """Where dots stand from the middle to both sides."""
    if whole > _MOST_DOTS or not count:
        return ()
    step = 200 / whole
    begin = 100 - step * (count - 1) / 2
    return tuple(round(begin + step * number, 1) for number in range(count))


def trend(counts: Sequence[int]) -> list[Column]:
    """Columns of equal slots of time, of which only the numbers are told."""
    return columns([(str(number + 1), float(count)) for number, count in enumerate(counts)])
