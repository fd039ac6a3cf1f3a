"""The spellings of time that Nova uses (contract §0.8), both ways."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kilonova.wire.times import naive, parse_iso, parse_naive, spaced, zulu, zulu_micros

_SECOND = 1_000_000
_WHOLE = 1_795_344_849 * _SECOND
_EARLIEST = -62_135_596_800 * _SECOND  # 0001-01-01
_LATEST = 253_402_300_800 * _SECOND - 1  # the last microsecond of 9999
_INSTANTS = st.integers(_EARLIEST, _LATEST)


def _independent(instant: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)


def test_servers_and_faults_show_whole_seconds_with_a_z() -> None:
    assert zulu(_WHOLE + 999_999) == "2026-11-22T10:54:09Z"


def test_services_and_actions_show_six_digits_and_no_zone() -> None:
    assert naive(_WHOLE) == "2026-11-22T10:54:09.000000"
    assert naive(_WHOLE + 31_756) == "2026-11-22T10:54:09.031756"


def test_tokens_show_six_digits_with_a_z() -> None:
    assert zulu_micros(_WHOLE + 7) == "2026-11-22T10:54:09.000007Z"


def test_audit_periods_show_a_blank_and_a_fraction_only_where_there_is_one() -> None:
    assert spaced(_WHOLE) == "2026-11-22 10:54:09"
    assert spaced(_WHOLE + 831_756) == "2026-11-22 10:54:09.831756"
    assert spaced(_WHOLE + 500_000) == "2026-11-22 10:54:09.500000"


@given(_INSTANTS)
@example(0)
@example(-1)
@example(_EARLIEST)
@example(_LATEST)
def test_every_spelling_says_what_the_standard_library_would(instant: int) -> None:
    moment = _independent(instant).replace(tzinfo=None)
    assert naive(instant) == moment.isoformat(timespec="microseconds")
    assert zulu_micros(instant) == moment.isoformat(timespec="microseconds") + "Z"
    assert zulu(instant) == moment.isoformat(timespec="seconds") + "Z"
    assert spaced(instant) == str(moment)


@given(_INSTANTS)
@example(_EARLIEST)
def test_every_spelling_with_a_fraction_comes_back_as_the_same_instant(instant: int) -> None:
    assert parse_iso(naive(instant)) == instant
    assert parse_iso(zulu_micros(instant)) == instant
    assert parse_iso(spaced(instant)) == instant


@given(_INSTANTS)
def test_a_spelling_without_a_fraction_comes_back_as_the_second_it_lies_in(instant: int) -> None:
    assert parse_iso(zulu(instant)) == instant // _SECOND * _SECOND


@given(_INSTANTS, st.integers(-23 * 60 - 59, 23 * 60 + 59))
def test_an_offset_moves_the_clock_and_not_the_instant(instant: int, minutes: int) -> None:
    sign, size = "-" if minutes < 0 else "+", abs(minutes)
    for zone in (f"{sign}{size // 60:02d}:{size % 60:02d}", f"{sign}{size // 60:02d}{size % 60:02d}"):
        assert parse_iso(naive(instant) + zone) == instant - minutes * 60 * _SECOND


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T10:54:09Z",
        "2026-11-22T10:54:09",
        "2026-11-22 10:54:09",
        "2026-11-22T10:54:09z",
        "2026-11-22T10:54:09.000",
        "2026-11-22T10:54:09,0Z",
        "2026-11-22T10:54:09+00:00",
        "2026-11-22T10:54:09 +0000",
        "2026-11-22T12:54:09+02",
        "2026-11-22T05:24:09-05:30",
        "  2026-11-22T10:54:09Z\n",
    ],
)
def test_the_ways_in_which_clients_write_an_instant_are_understood(text: str) -> None:
    assert parse_iso(text) == _WHOLE


def test_a_date_alone_is_its_midnight_and_a_minute_its_first_second() -> None:
    assert parse_iso("2026-11-22") == parse_iso("2026-11-22T00:00:00Z")
    assert parse_iso("2026-11-22T10:54") == parse_iso("2026-11-22T10:54:00Z")


def test_what_is_finer_than_a_microsecond_is_cut_off() -> None:
    assert parse_iso("1970-01-01T00:00:00.123456789Z") == 123_456


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026",
        "2026-13-01",
        "2026-02-30",
        "2026-11-22T24:00:00",
        "2026-11-22T10:60:00",
        "2026-11-22T10:54:61",
        "0000-01-01",
        "2026-11-22T10:54:09+24:00",
        "2026-11-22T10:54:09+02:60",
        "2026-11-22T10:54:09Zulu",
        "2026-11-22T10:54:09.Z",
        "22026-11-22",
        "٢٠٢٦-11-22",
        "2026-11-22T10:54:09Z 2026-11-22T10:54:09Z",
    ],
)
def test_what_is_no_instant_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_iso(text)


@given(st.text())
def test_any_text_is_an_instant_or_a_value_error(text: str) -> None:
    try:
        instant = parse_iso(text)
    except ValueError:
        return
    assert isinstance(instant, int)


@given(_INSTANTS)
def test_what_usage_reports_print_they_also_read(instant: int) -> None:
    text = naive(instant)
    assert parse_naive(text) == parse_naive(text.replace("T", " ")) == instant
    assert parse_naive(text[: len("2026-11-22T10:54:09")]) == instant // _SECOND * _SECOND


@pytest.mark.parametrize(
    "text", ["2026-11-22", "2026-11-22 10:54:09", "2026-11-22T10:54:09Z", "", "2026-13-01T00:00:00"]
)
def test_usage_reports_read_no_other_spelling(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        parse_naive(text)
