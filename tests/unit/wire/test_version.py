import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.wire.version import (
    MIN,
    Microversion,
    Span,
    Versioned,
    VersionMalformed,
    VersionUnsupported,
    negotiate,
)

MAX = Microversion(2, 104)
versions = st.builds(Microversion, st.integers(1, 9), st.integers(0, 200))


def test_versions_are_ordered_as_numbers_and_not_as_text() -> None:
    assert Microversion.parse("2.9") < Microversion.parse("2.10") < Microversion.parse("3.0")


@given(versions)
def test_a_version_is_read_as_it_is_written(version: Microversion) -> None:
    assert Microversion.parse(str(version)) == version


@pytest.mark.parametrize(
    "text", ["", "2", "2.", ".1", "2.1.3", "v2.1", "02.1", "2.01", "2.1 ", "2.\uff11", "2.1\n", "9" * 99]
)
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(VersionMalformed, match="Must be of format"):
        Microversion.parse(text)


@pytest.mark.parametrize(
    "headers, version",
    [
        ({}, "2.1"),
        ({"openstack-api-version": "compute 2.40"}, "2.40"),
        ({"openstack-api-version": "COMPUTE 2.40"}, "2.40"),
        ({"openstack-api-version": "volume 3.1, compute 2.40"}, "2.40"),
        ({"openstack-api-version": "volume 3.1"}, "2.1"),
        ({"openstack-api-version": "2.40"}, "2.1"),
        ({"openstack-api-version": "compute"}, "2.1"),
        ({"openstack-api-version": "compute latest"}, "2.104"),
        ({"x-openstack-nova-api-version": "2.12"}, "2.12"),
        ({"x-openstack-nova-api-version": "latest"}, "2.104"),
        ({"openstack-api-version": "compute 2.40", "x-openstack-nova-api-version": "2.12"}, "2.40"),
        ({"openstack-api-version": "volume 3.1", "x-openstack-nova-api-version": "2.12"}, "2.12"),
    ],
)
def test_the_headers_choose_the_version(headers: dict[str, str], version: str) -> None:
    assert str(negotiate(headers, MAX)) == version


@pytest.mark.parametrize("text", ["2.0", "2.105", "3.1", "1.1"])
def test_what_lies_outside_is_unsupported(text: str) -> None:
    with pytest.raises(VersionUnsupported, match=f"Version {text} is not supported by the API") as refused:
        negotiate({"openstack-api-version": f"compute {text}"}, MAX)
    assert str(refused.value.version) == text


def test_a_value_holds_from_its_step_until_the_next() -> None:
    status = Versioned(("2.1", 200), ("2.14", 201), ("2.30", 202))
    at = [status.at(Microversion.parse(text)) for text in ("2.1", "2.13", "2.14", "2.29", "2.30", "2.104")]
    assert at == [200, 200, 201, 201, 202, 202]


def test_nothing_is_said_before_the_first_step() -> None:
    with pytest.raises(LookupError):
        Versioned(("2.14", 1)).at(MIN)


@pytest.mark.parametrize("steps", [(), (("2.3", 1), ("2.2", 2)), (("2.3", 1), ("2.3", 2))])
def test_steps_must_ascend(steps: tuple[tuple[str, int], ...]) -> None:
    with pytest.raises(ValueError, match="ascend"):
        Versioned(*steps)


def test_both_ends_of_a_span_are_in_it() -> None:
    span = Span.of("2.3", "2.9")
    inside = [span.has(Microversion.parse(text)) for text in ("2.2", "2.3", "2.9", "2.10")]
    assert inside == [False, True, True, False]
    assert str(span.after) == "2.10"


def test_a_span_must_not_be_empty() -> None:
    with pytest.raises(ValueError, match="no version lies"):
        Span.of("2.9", "2.3")


@given(versions, versions, versions, versions, versions)
def test_spans_overlap_exactly_where_a_version_lies_in_both(
    a: Microversion, b: Microversion, c: Microversion, d: Microversion, probe: Microversion
) -> None:
    first, second = Span(min(a, b), max(a, b)), Span(min(c, d), max(c, d))
    if first.has(probe) and second.has(probe):
        assert first.overlaps(second)
    if not first.overlaps(second):
        assert first.until is not None
        assert second.until is not None
        assert first.until < second.since or second.until < first.since
