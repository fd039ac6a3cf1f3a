"""How values are spelt in pages."""

import pytest

from kilonova.console.board.samples import Series
from kilonova.console.timeline import instant
from kilonova.console.web import pictures, rendering
from kilonova.console.words import _SINGLE, counted
from tests.unit.console import texts

_AT = instant("2026-11-22T10:00:00")


def _spelt(filter: str, value: object, *more: object) -> str:
    return str(rendering._environment().filters[filter](value, *more))  # noqa: SLF001 - templates alone call them


def test_names_may_break_and_are_never_markup() -> None:
    assert _spelt("breakable", "compute_<b>_x") == "compute_<wbr>&lt;b&gt;_<wbr>x"


@pytest.mark.parametrize(
    "value, told",
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e9, "2.5 GB"), (11e12, "11.0 TB"), (None, "–")],
)
def test_bytes_have_a_unit_that_can_be_read(value: float | None, told: str) -> None:
    assert _spelt("bytes", value) == told


def test_an_axis_names_the_day_only_where_it_has_several() -> None:
    assert _spelt("clock", _AT, instant("2026-11-22T11:00:00")) == "10:00:00"
    assert _spelt("clock", _AT, instant("2026-11-23T11:00:00")) == "2026-11-22 10:00"


def test_percent_is_drawn_in_a_field_of_a_hundred() -> None:
    series = Series(name="vCPUs", points=[(_AT, 0.0), (instant("2026-11-22T11:00:00"), 50.0)])
    half, whole = pictures.line(series, 100), pictures.line(series)
    assert half.points.split()[-1] == "300.0,32.0"
    assert whole.points.split()[-1] == "300.0,3.0"


def test_a_bar_of_counts_is_filled_by_all_of_them() -> None:
    assert pictures.stack([("ACTIVE", 3), ("ERROR", 1)]) == [("ACTIVE", 0.0, 75.0), ("ERROR", 75.0, 25.0)]
    assert pictures.stack([]) == []


@pytest.mark.parametrize("count, told", [(0, "0 servers"), (1, "1 server"), ("1", "1 server"), (21, "21 servers")])
def test_a_single_thing_is_no_plural(count: object, told: str) -> None:
    assert counted("{count} servers", count).format(count=count) == told
    assert counted("{count} 台云服务器", count) == "{count} 台云服务器"
    assert counted("{name} has no servers", count) == "{name} has no servers"


def test_every_text_with_a_single_form_is_one_that_pages_or_commands_say() -> None:
    assert _SINGLE.keys() <= set(texts.texts()) | {"{count} servers"}
