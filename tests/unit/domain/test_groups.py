"""What a server group demands of the host of one more member."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.domain.groups import Company, GroupPolicy, ServerGroup
from kilonova.domain.model import Instant
from kilonova.domain.placement import Ask, Candidate, decide

HOSTS = [f"host-{number}" for number in range(5)]
placings = st.lists(st.sampled_from(HOSTS), max_size=8)
frees = st.lists(st.integers(min_value=0, max_value=8), min_size=len(HOSTS), max_size=len(HOSTS))


def _candidate(host: str, free: int) -> Candidate:
    return Candidate(
        node_uuid=f"node-{host}",
        host=host,
        node=host,
        availability_zone="nova",
        is_enabled=True,
        is_up=True,
        disabled_reason=None,
        vcpus_free=100,
        memory_mb_free=free * 1024,
        disk_gb_free=100,
    )


def _filled(policy: GroupPolicy, wanted: int, free: list[int], most: int = 1) -> list[str]:
    """Where members go one after another, each taking 1 GiB of memory; those that fit nowhere go nowhere."""
    left = dict(zip(HOSTS, free, strict=True))
    placed: list[str] = []
    for _ in range(wanted):
        company = Company(policy=policy, most=most, members_by_host={host: placed.count(host) for host in placed})
        ask = Ask(vcpus=1, memory_mb=1024, disk_gb=1, company=company)
        chosen = decide(ask, [_candidate(host, room) for host, room in left.items()]).chosen
        if chosen is not None:
            placed.append(chosen.host)
            left[chosen.host] -= 1
    return placed


@given(st.integers(min_value=0, max_value=12), frees, st.integers(min_value=1, max_value=3))
def test_no_host_ever_has_more_members_than_anti_affinity_allows(wanted: int, free: list[int], most: int) -> None:
    placed = _filled(GroupPolicy.ANTI_AFFINITY, wanted, free, most)
    assert all(placed.count(host) <= most for host in placed)
    assert len(placed) == min(wanted, sum(min(room, most) for room in free))


@given(st.integers(min_value=0, max_value=12), frees)
def test_members_with_affinity_never_lie_on_two_hosts(wanted: int, free: list[int]) -> None:
    placed = _filled(GroupPolicy.AFFINITY, wanted, free)
    assert len(set(placed)) <= 1
    assert len(placed) == min(wanted, max(free))


@given(st.integers(min_value=0, max_value=12), frees)
def test_soft_policies_never_keep_a_member_from_a_host_that_has_room(wanted: int, free: list[int]) -> None:
    for policy in (GroupPolicy.SOFT_AFFINITY, GroupPolicy.SOFT_ANTI_AFFINITY):
        assert len(_filled(policy, wanted, free)) == min(wanted, sum(free))


@given(placings)
def test_soft_anti_affinity_chooses_a_host_with_the_fewest_members(placed: list[str]) -> None:
    company = Company(
        policy=GroupPolicy.SOFT_ANTI_AFFINITY, most=1, members_by_host={host: placed.count(host) for host in placed}
    )
    ask = Ask(vcpus=1, memory_mb=1, disk_gb=1, company=company)
    chosen = decide(ask, [_candidate(host, 8 - number) for number, host in enumerate(HOSTS)]).chosen
    assert chosen is not None
    assert placed.count(chosen.host) == min(placed.count(host) for host in HOSTS)


@pytest.mark.parametrize("policy", GroupPolicy)
def test_an_empty_group_demands_nothing(policy: GroupPolicy) -> None:
    company = Company(policy=policy, most=1, members_by_host={})
    assert (company.refusal("anywhere"), company.attraction("anywhere")) == (None, 0)


def test_a_group_without_a_rule_lets_a_host_have_one_member() -> None:
    group = ServerGroup(
        id=1,
        uuid="g",
        name="g",
        project_id="p",
        user_id="u",
        policy=GroupPolicy.ANTI_AFFINITY,
        max_server_per_host=None,
        created_at=Instant(0),
    )
    assert group.company({"h": 1}).refusal("h") == "taken by members of an anti-affinity group"
    assert group.company({"h": 1}).refusal("i") is None
