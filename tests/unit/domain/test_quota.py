"""Quota: Nova's words, to the letter (contract §0.5, §4.3)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kilonova.domain.errors import Forbidden, QuotaExceeded
from kilonova.domain.quota import UNLIMITED, Usage, afford, enforce

_LIMITS = {"instances": 10, "cores": 20, "ram": 51200}
_NUMBERS = st.integers(0, 50)
_USAGES = st.builds(Usage, instances=_NUMBERS, cores=_NUMBERS, ram=_NUMBERS)


def _said(used: Usage, wanted: Usage) -> str:
    with pytest.raises(QuotaExceeded) as raised:
        enforce(_LIMITS, used, wanted)
    return raised.value.message


def test_two_exceeded_limits_are_told_together_in_alphabetical_order() -> None:
    assert _said(Usage(instances=5, cores=20, ram=51200), Usage(instances=1, cores=8, ram=4096)) == (
        "Quota exceeded for cores, ram: Requested 8, 4096, but already used 20, 51200 of 20, 51200 cores, ram"
    )


def test_one_exceeded_limit_is_told_alone() -> None:
    assert _said(Usage(instances=10), Usage(instances=1)) == (
        "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances"
    )


def test_three_exceeded_limits_are_told_in_alphabetical_order() -> None:
    said = _said(Usage(), Usage(instances=11, cores=21, ram=51201))
    assert said.startswith(
        "Quota exceeded for cores, instances, ram: Requested 21, 11, 51201, but already used 0, 0, 0"
    )


def test_what_exactly_reaches_the_limit_is_allowed() -> None:
    enforce(_LIMITS, Usage(instances=9, cores=19, ram=51199), Usage(instances=1, cores=1, ram=1))


def test_an_exceeded_quota_is_a_kind_of_forbidden() -> None:
    assert issubclass(QuotaExceeded, Forbidden)


@given(_USAGES, _USAGES)
def test_without_limits_everything_is_allowed(used: Usage, wanted: Usage) -> None:
    enforce(dict.fromkeys(_LIMITS, UNLIMITED), used, wanted)


@given(st.fixed_dictionaries(dict.fromkeys(_LIMITS, st.integers(-1, 60))), _USAGES, _USAGES)
def test_only_and_all_limits_that_are_passed_are_named(limits: dict[str, int], used: Usage, wanted: Usage) -> None:
    passed = [
        name
        for name in sorted(limits)
        if limits[name] != UNLIMITED and getattr(used, name) + getattr(wanted, name) > limits[name]
    ]
    if not passed:
        enforce(limits, used, wanted)
        return
    with pytest.raises(QuotaExceeded) as raised:
        enforce(limits, used, wanted)
    assert raised.value.message.startswith(f"Quota exceeded for {', '.join(passed)}: ")
    assert raised.value.message.endswith(f" {', '.join(passed)}")


def test_as_many_are_afforded_as_fit_between_least_and_most() -> None:
    each = Usage(instances=1, cores=4, ram=1024)
    assert afford(_LIMITS, Usage(), each, least=1, most=5) == 5
    assert afford(_LIMITS, Usage(cores=6), each, least=1, most=9) == 3
    assert afford(_LIMITS, Usage(instances=8), each, least=2, most=9) == 2
    assert afford(dict.fromkeys(_LIMITS, UNLIMITED), Usage(), each, least=1, most=50) == 50


def test_what_cannot_be_afforded_is_told_as_a_range() -> None:
    with pytest.raises(QuotaExceeded) as raised:
        afford(_LIMITS, Usage(instances=9), Usage(instances=1, cores=1, ram=1), least=2, most=12)
    assert raised.value.message == ("Quota exceeded for instances: Requested 2-12, but already used 9 of 10 instances")


@given(st.fixed_dictionaries(dict.fromkeys(_LIMITS, st.integers(-1, 60))), _USAGES, _USAGES, st.integers(1, 9))
@example({"instances": 0, "cores": 0, "ram": 0}, Usage(ram=1), Usage(), 1)
def test_what_is_afforded_never_passes_a_limit(limits: dict[str, int], used: Usage, each: Usage, most: int) -> None:
    try:
        count = afford(limits, used, each, least=1, most=most)
    except QuotaExceeded:
        return
    wanted = Usage(instances=count * each.instances, cores=count * each.cores, ram=count * each.ram)
    enforce(limits, used, wanted)
