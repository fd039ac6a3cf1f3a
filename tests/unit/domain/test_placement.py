"""Placement: what a decision keeps, what it removes, and what it says."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.domain.placement import Ask, Candidate, Decision, Rules, decide

_FREE = st.integers(-4, 32)
_ZONES = st.sampled_from(["nova", "east"])
_HOSTS = [f"rack7-host-{number}" for number in range(12)]


def _candidate(
    host: str = "rack7-host-1", *, vcpus: int = 8, memory_mb: int = 8192, disk_gb: int = 100, zone: str = "nova"
) -> Candidate:
    return Candidate(
        node_uuid=f"uuid-of-{host}",
        host=host,
        node=host,
        availability_zone=zone,
        is_enabled=True,
        is_up=True,
        disabled_reason=None,
        vcpus_free=vcpus,
        memory_mb_free=memory_mb,
        disk_gb_free=disk_gb,
    )


def _down(host: str) -> Candidate:
    return replace(_candidate(host), is_up=False)


def _disabled(host: str, reason: str | None = None) -> Candidate:
    return replace(_candidate(host), is_enabled=False, disabled_reason=reason)


def _summary(*candidates: Candidate, vcpus: int = 1, memory_mb: int = 512, disk_gb: int = 1) -> str:
    return decide(Ask(vcpus=vcpus, memory_mb=memory_mb, disk_gb=disk_gb), candidates).summary()


@st.composite
def _fleets(draw: st.DrawFn) -> list[Candidate]:
    hosts = draw(st.lists(st.sampled_from(_HOSTS), unique=True))
    return [
        Candidate(
            node_uuid=f"uuid-of-{host}",
            host=host,
            node=host,
            availability_zone=draw(_ZONES),
            is_enabled=draw(st.booleans()),
            is_up=draw(st.booleans()),
            disabled_reason=draw(st.sampled_from([None, "maintenance", f"disk of {host} is failing"])),
            vcpus_free=draw(_FREE),
            memory_mb_free=draw(_FREE),
            disk_gb_free=draw(_FREE),
        )
        for host in hosts
    ]


_ASKS = st.builds(
    Ask,
    vcpus=st.integers(0, 16),
    memory_mb=st.integers(0, 16),
    disk_gb=st.integers(0, 16),
    availability_zone=st.none() | _ZONES,
    host=st.none() | st.sampled_from(_HOSTS),
    node=st.none() | st.sampled_from(_HOSTS),
    tried=st.frozensets(st.sampled_from(_HOSTS), max_size=4),
)


@given(_ASKS, _fleets())
def test_a_host_that_lacks_something_is_never_kept(ask: Ask, fleet: list[Candidate]) -> None:
    kept = {one.host for one in decide(ask, fleet).weighed}
    for candidate in fleet:
        fits = (
            candidate.is_up
            and candidate.is_enabled
            and candidate.host not in ask.tried
            and ask.host in (None, candidate.host)
            and ask.node in (None, candidate.node)
            and ask.availability_zone in (None, candidate.availability_zone)
            and ask.vcpus <= max(candidate.vcpus_free, 0)
            and ask.memory_mb <= max(candidate.memory_mb_free, 0)
            and ask.disk_gb <= max(candidate.disk_gb_free, 0)
        )
        assert (candidate.host in kept) == fits, candidate


@given(_ASKS, _fleets())
def test_every_candidate_is_either_removed_with_a_reason_or_weighed(ask: Ask, fleet: list[Candidate]) -> None:
    decision = decide(ask, fleet)
    told = [one.host for one in decision.removed] + [one.host for one in decision.weighed]
    assert sorted(told) == sorted(candidate.host for candidate in fleet)
    assert decision.candidates == len(fleet)
    assert all(removal.lacks and all(lack.reason for lack in removal.lacks) for removal in decision.removed)
    assert decision.chosen == (decision.weighed[0] if decision.weighed else None)


@given(_ASKS, _fleets(), st.randoms(use_true_random=False))
def test_the_answer_does_not_depend_on_the_order_of_the_question(
    ask: Ask, fleet: list[Candidate], random: Random
) -> None:
    shuffled = list(fleet)
    random.shuffle(shuffled)
    first, second = decide(ask, fleet), decide(ask, shuffled)
    assert first.weighed == second.weighed
    assert set(first.removed) == set(second.removed)
    assert first.summary() == second.summary()


@given(_ASKS, _fleets())
def test_the_summary_for_the_owner_names_no_host_and_is_one_line(ask: Ask, fleet: list[Candidate]) -> None:
    summary = decide(ask, fleet).summary()
    assert "rack7" not in summary
    assert summary.strip() == summary != ""
    assert "\n" not in summary
    assert ":" != summary[-1] != ","


@given(_ASKS, _fleets())
def test_the_host_with_the_most_free_memory_comes_first_and_equals_are_in_order_of_their_names(
    ask: Ask, fleet: list[Candidate]
) -> None:
    free = {candidate.host: candidate.memory_mb_free for candidate in fleet}
    decision = decide(ask, fleet, Rules(multipliers={"ram": 1.0}))
    order = [(-free[one.host], one.host) for one in decision.weighed]
    assert order == sorted(order)


def test_what_is_short_is_told_in_numbers() -> None:
    assert _summary(_candidate(vcpus=1), vcpus=8) == "1 candidate, short of 7 vcpus (asked 8, free 1)"


def test_memory_and_disk_are_told_with_their_units() -> None:
    summary = _summary(_candidate(memory_mb=4096, disk_gb=5), memory_mb=8192, disk_gb=20)
    assert summary == (
        "1 candidate, short of 4096 MiB memory (asked 8192 MiB, free 4096 MiB) "
        "and short of 15 GiB disk (asked 20 GiB, free 5 GiB)"
    )


def test_a_host_that_promised_too_much_has_nothing_free_rather_than_less() -> None:
    assert _summary(_candidate(vcpus=-3), vcpus=2) == "1 candidate, short of 2 vcpus (asked 2, free 0)"


def test_many_candidates_are_counted_by_what_they_lack_with_the_nearest_miss() -> None:
    fleet = [
        *(_disabled(f"a{number}") for number in range(3)),
        *(_candidate(f"b{number}", memory_mb=1024 * number) for number in range(5)),
        _down("c"),
    ]
    assert _summary(*fleet, memory_mb=8192) == (
        "9 candidates: 5 short of memory (nearest: asked 8192 MiB, free 4096 MiB), 3 disabled, 1 down"
    )


def test_no_candidate_at_all_is_told_as_what_it_is() -> None:
    assert _summary() == "no compute host has reported yet"


@pytest.mark.parametrize(
    "ask, candidate, said",
    [
        (Ask(vcpus=1, memory_mb=1, disk_gb=1), _down("a"), "down"),
        (Ask(vcpus=1, memory_mb=1, disk_gb=1), _disabled("a"), "disabled"),
        (Ask(vcpus=1, memory_mb=1, disk_gb=1, tried=frozenset({"a"})), _candidate("a"), "tried before"),
        (Ask(vcpus=1, memory_mb=1, disk_gb=1, availability_zone="x"), _candidate("a"), "outside zone x"),
        (Ask(vcpus=1, memory_mb=1, disk_gb=1, host="b"), _candidate("a"), "not the host that was named"),
    ],
    ids=["down", "disabled", "tried", "zone", "host"],
)
def test_what_is_no_capacity_is_told_in_words(ask: Ask, candidate: Candidate, said: str) -> None:
    assert decide(ask, [candidate]).summary() == f"1 candidate, {said}"


def test_an_operators_reason_is_kept_for_the_operator_and_not_told_to_the_owner() -> None:
    decision = decide(Ask(vcpus=1, memory_mb=1, disk_gb=1), [_disabled("a", "moving to rack 9, ask Anna")])
    assert "Anna" not in decision.summary()
    assert decision.removed[0].lacks[0].detail == "moving to rack 9, ask Anna"


def test_a_decision_that_found_a_host_says_how_many_fit() -> None:
    assert _summary(_candidate()) == "1 candidate, fitting"
    assert _summary(_candidate("a"), _candidate("b"), _down("c")) == "3 candidates: 2 fitting, 1 down"


def test_a_removed_host_is_told_everything_that_it_lacked_at_the_filter_where_it_fell_out() -> None:
    decision: Decision = decide(
        Ask(vcpus=8, memory_mb=8192, disk_gb=100), [_candidate(vcpus=1, memory_mb=1, disk_gb=1)]
    )
    (removal,) = decision.removed
    assert removal.filter == "Capacity"
    assert [(lack.dimension, lack.short) for lack in removal.lacks] == [("vcpus", 7), ("memory", 8191), ("disk", 99)]


def test_the_nearest_are_those_that_came_farthest_and_lack_least() -> None:
    fleet = [_down("a"), _candidate("b", vcpus=1), _candidate("c", vcpus=3), _candidate("d", vcpus=3, memory_mb=1)]
    decision = decide(Ask(vcpus=4, memory_mb=512, disk_gb=1), fleet)
    assert [removal.host for removal in decision.nearest(3)] == ["c", "b", "d"]
    assert decision.counts() == [("ComputeFilter", "down", 1), ("Capacity", "short of vcpus", 3)]
