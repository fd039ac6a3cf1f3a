"""How answers are written: whatever people called their servers, a terminal is told nothing by it."""

import pytest

from kilonova.cli.asking import plain, write
from kilonova.cli.checkup import Status


def test_names_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    write("table", ("name",), [{"name": "web\x1b[2J\x07\u202e1"}])
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "web?[2J??1" in told


def test_what_is_for_programs_is_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    write("csv", ("name",), [{"name": "web\u202e1"}])
    assert "web\u202e1" in capsys.readouterr().out


@pytest.mark.parametrize("form, shown", [("json", '"status": "warn"'), ("yaml", "status: warn"), ("csv", "warn")])
def test_a_value_with_a_type_of_its_own_is_its_text(capsys: pytest.CaptureFixture[str], form: str, shown: str) -> None:
    write(form, ("status",), [{"status": Status.WARN}])
    assert shown in capsys.readouterr().out


def test_lines_stay_lines() -> None:
    assert plain("one\ntwo 三") == "one\ntwo 三"
