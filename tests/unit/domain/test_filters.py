"""Each filter by itself: what it looks at, what it leaves alone, and what it says."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.domain import host_query
from kilonova.domain.candidates import Ask, Candidate
from kilonova.domain.filters import ALWAYS, FILTERS, USUAL, Limits, Question
from kilonova.domain.placement import Rules, decide
from kilonova.domain.spec_match import satisfies
from kilonova.domain.weighers import MULTIPLIERS, weigh

_WORDS = st.sampled_from(["ssd", "rack", "x86_64", "qemu", "7", "12"])
_HOST = Candidate(
    node_uuid="n1",
    host="rack7-a",
    node="rack7-a",
    availability_zone="nova",
    is_enabled=True,
    is_up=True,
    disabled_reason=None,
    vcpus_free=8,
    memory_mb_free=8192,
    disk_gb_free=100,
    vcpus=16,
    memory_mb=16384,
    hypervisor_type="QEMU",
    hypervisor_version=7002000,
    host_ip="10.0.1.17",
    architecture="x86_64",
)
_ASK = Ask(vcpus=1, memory_mb=1, disk_gb=1, project_id="p1")

_candidates = st.builds(
    replace,
    st.just(_HOST),
    vcpus_free=st.integers(-2, 9),
    memory_mb_free=st.integers(-2, 9000),
    is_up=st.booleans(),
    is_enabled=st.booleans(),
    hypervisor_type=st.sampled_from(["QEMU", "simulated", "xen", ""]),
    architecture=st.sampled_from(["x86_64", "aarch64", ""]),
    host_ip=st.sampled_from(["10.0.1.17", "10.0.2.1", "fe80::1", "no address"]),
    aggregates=st.dictionaries(_WORDS, st.frozensets(_WORDS, min_size=1), max_size=3),
    instances=st.integers(0, 60),
    io_ops=st.integers(0, 12),
)
_queries = st.sampled_from(
    ['[">=","$free_ram_mb",1024]', '["not",["=","$host","rack7-a"]]', '["or",["<","$vcpus_total","x"]]', "[]"]
)
_asks = st.builds(
    Ask,
    vcpus=st.integers(0, 9),
    memory_mb=st.integers(0, 9000),
    disk_gb=st.just(1),
    availability_zone=st.sampled_from([None, "nova", "east"]),
    host=st.sampled_from([None, "rack7-a", "other"]),
    tried=st.sampled_from([frozenset[str](), frozenset({"rack7-a"})]),
    project_id=st.sampled_from(["p1", "p2"]),
    extra_specs=st.dictionaries(
        st.sampled_from(["aggregate_instance_extra_specs:ssd", "capabilities:hypervisor_type", "hw:numa_nodes"]),
        st.sampled_from(["ssd", "<or> ssd <or> rack", "s== QEMU", ">= 3", "s=="]),
    ),
    image_id=st.sampled_from([None, "i1"]),
    image=st.dictionaries(st.sampled_from(["hw_architecture", "img_hv_type", "vm_mode", "rack"]), _WORDS),
    hints=st.fixed_dictionaries(
        {},
        optional={
            "query": st.tuples(_queries),
            "build_near_host_ip": st.just(("10.0.1.1",)),
            "cidr": st.just(("/16",)),
        },
    ),
    same_hosts=st.sampled_from([None, frozenset[str](), frozenset({"rack7-a"})]),
    different_hosts=st.sampled_from([None, frozenset[str](), frozenset({"rack7-a"})]),
)
_limits = st.builds(
    Limits,
    isolated_hosts=st.sampled_from([frozenset[str](), frozenset({"rack7-a"})]),
    isolated_images=st.sampled_from([frozenset[str](), frozenset({"i1"})]),
    isolated_hosts_are_for_isolated_images=st.booleans(),
)


@pytest.mark.parametrize("name", FILTERS)
@given(ask=_asks, candidate=_candidates, limits=_limits)
def test_a_filter_says_the_same_of_the_same_and_never_names_the_host(
    name: str, ask: Ask, candidate: Candidate, limits: Limits
) -> None:
    question = Question(ask=ask, limits=limits)
    check, again = FILTERS[name](question), FILTERS[name](question)
    assert (check is None) == (again is None)
    if check is None or again is None:
        return
    lacks = check(candidate)
    assert lacks == again(candidate)
    assert all(lack.reason and "rack7" not in lack.reason for lack in lacks)


@given(ask=_asks, candidate=_candidates, limits=_limits)
def test_what_passes_every_filter_passes_any_choice_of_them(ask: Ask, candidate: Candidate, limits: Limits) -> None:
    everything = frozenset(FILTERS)
    if decide(ask, [candidate], Rules(filters=everything, limits=limits)).weighed:
        for name in FILTERS:
            assert decide(ask, [candidate], Rules(filters=everything - {name}, limits=limits)).weighed
    fell = decide(ask, [candidate], Rules(filters=everything, limits=limits)).removed
    if fell and fell[0].filter not in ALWAYS:
        others = decide(ask, [candidate], Rules(filters=everything - {fell[0].filter}, limits=limits)).removed
        assert not others or others[0].filter != fell[0].filter


@pytest.mark.parametrize("name", sorted(set(USUAL)))
def test_a_usual_filter_lets_a_plain_ask_onto_a_plain_host(name: str) -> None:
    check = FILTERS[name](Question(ask=_ASK))
    assert check is None or check(_HOST) == ()


def _said(name: str, ask: Ask = _ASK, host: Candidate = _HOST, **limits: Any) -> list[str]:
    check = FILTERS[name](Question(ask=ask, limits=Limits(**limits)))
    return [] if check is None else [lack.reason for lack in check(host)]


def test_extra_specs_are_looked_for_in_the_hosts_aggregates() -> None:
    name, ask = (
        "AggregateInstanceExtraSpecsFilter",
        replace(_ASK, extra_specs={"aggregate_instance_extra_specs:ssd": "yes"}),
    )
    assert _said(name, ask) == ["in no aggregate with the wanted ssd"]
    assert _said(name, ask, replace(_HOST, aggregates={"ssd": frozenset({"no"})})) != []
    assert _said(name, ask, replace(_HOST, aggregates={"ssd": frozenset({"no", "yes"})})) == []


def test_capabilities_are_what_the_host_says_of_itself() -> None:
    wanted = {"capabilities:hypervisor_version": ">= 8000000", "capabilities:gpu": "yes"}
    reasons = _said("ComputeCapabilitiesFilter", replace(_ASK, extra_specs=wanted))
    assert reasons == ["without the wanted gpu", "without the wanted hypervisor_version"]


def test_hosts_of_some_projects_are_kept_for_them() -> None:
    host = replace(
        _HOST, aggregates={"filter_tenant_id": frozenset({"p2, p3"}), "filter_tenant_id2": frozenset({"p4"})}
    )
    assert _said("AggregateMultiTenancyIsolation", _ASK, host) == ["kept for other projects"]
    for project in ("p2", "p3", "p4"):
        assert _said("AggregateMultiTenancyIsolation", replace(_ASK, project_id=project), host) == []


def test_isolated_images_and_hosts_are_for_each_other() -> None:
    both: dict[str, Any] = {"isolated_images": frozenset({"i1"}), "isolated_hosts": frozenset({"rack7-a"})}
    mine = replace(_ASK, image_id="i1")
    assert _said("IsolatedHostsFilter", _ASK, **both) == ["kept for isolated images"]
    assert _said("IsolatedHostsFilter", _ASK, **both, isolated_hosts_are_for_isolated_images=False) == []
    assert _said("IsolatedHostsFilter", mine, **both) == []
    assert _said("IsolatedHostsFilter", mine, replace(_HOST, host="b"), **both) == ["not for isolated images"]


@pytest.mark.parametrize(
    "image, host, fits",
    [
        ({"hw_architecture": "x86_64"}, _HOST, True),
        ({"architecture": "amd64"}, _HOST, True),
        ({"hw_architecture": "aarch64"}, _HOST, False),
        ({"img_hv_type": "kvm"}, _HOST, True),
        ({"hypervisor_type": "xen"}, _HOST, False),
        ({"img_hv_type": "xen"}, replace(_HOST, hypervisor_type="simulated"), True),
        ({"hw_vm_mode": "hvm"}, _HOST, True),
        ({"hw_vm_mode": "xen"}, _HOST, False),
    ],
)
def test_an_image_runs_where_its_properties_say(image: dict[str, str], host: Candidate, fits: bool) -> None:
    assert (_said("ImagePropertiesFilter", replace(_ASK, image=image), host) == []) == fits


def test_hints_keep_servers_together_apart_and_near() -> None:
    assert _said("SameHostFilter", replace(_ASK, same_hosts=frozenset({"b"}))) == ["apart from the servers to be near"]
    assert _said("DifferentHostFilter", replace(_ASK, different_hosts=frozenset({"rack7-a"}))) != []
    assert _said("SimpleCIDRAffinityFilter", replace(_ASK, hints={"build_near_host_ip": ["10.0.1.1"]})) == []
    assert _said("SimpleCIDRAffinityFilter", replace(_ASK, hints={"build_near_host_ip": ["10.0.2.1"]})) != []
    wide = {"build_near_host_ip": ["10.0.2.1"], "cidr": ["/16"]}
    assert _said("SimpleCIDRAffinityFilter", replace(_ASK, hints=wide)) == []


def test_full_and_busy_hosts_are_told_as_such() -> None:
    assert _said("NumInstancesFilter", host=replace(_HOST, instances=3), max_instances_per_host=3) == [
        "full of servers"
    ]
    assert _said("IoOpsFilter", host=replace(_HOST, io_ops=2), max_io_ops_per_host=2) == ["too busy"]
    assert _said("IoOpsFilter", host=replace(_HOST, io_ops=1), max_io_ops_per_host=2) == []


@pytest.mark.parametrize(
    "query, fits",
    [
        (["and", [">=", "$free_ram_mb", 1024], [">=", "$free_disk_mb", 102400]], True),
        (["<", "$free_ram_mb", 1024], False),
        (["in", "$hypervisor_type", "KVM", "QEMU"], True),
        (["not", ["=", "$vcpus_used", 8]], False),
        (["or", ["=", "$host", "x"], ["=", "$nodename", "rack7-a"]], True),
        (["=", "$host"], False),
        (["=", "$rack", 7], False),
        (["<", "$host", 5], False),
    ],
)
def test_a_query_is_true_of_a_host_or_not(query: list[Any], fits: bool) -> None:
    hints = {"query": [json.dumps(query)]}
    assert (_said("JsonFilter", replace(_ASK, hints=hints)) == []) == fits


@pytest.mark.parametrize("text", ["", "{}", "[1]", '["nand"]', "[" * 5000, '["and",' * 30 + "[]" + "]" * 30])
def test_a_query_that_makes_no_sense_says_why(text: str) -> None:
    with pytest.raises(ValueError, match=r"it |there is no operator"):
        host_query.parsed(text)


@given(st.recursive(st.none() | st.integers() | st.text(max_size=6), lambda inner: st.lists(inner, max_size=4)))
def test_a_query_is_either_refused_or_answered(data: Any) -> None:
    try:
        query = host_query.parsed(json.dumps(data))
    except ValueError:
        return
    assert host_query.holds(query, {}) in (True, False)


@pytest.mark.parametrize(
    "value, demand, fits",
    [
        ("12", "12", True),
        ("12", ">= 7", True),
        ("7", ">= 12", False),
        ("12", "= 7", True),
        ("12", "== 12.0", True),
        ("x", ">= 1", False),
        ("abc", "<in> b", True),
        ("abc", "<all-in> a d", False),
        ("b", "<or> a <or> b", True),
        ("ab", "<or> a <or> b", False),
        ("abc", "s!= abd", True),
        ("abc", "s==", False),
        ("", "", True),
    ],
)
def test_a_demand_is_met_by_some_values(value: str, demand: str, fits: bool) -> None:
    assert satisfies(value, demand) == fits


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_two_texts_can_be_compared(value: str, demand: str) -> None:
    assert satisfies(value, demand) in (True, False)


@given(st.lists(_candidates, max_size=6))
def test_a_weigher_gives_between_nothing_and_its_multiplier(candidates: list[Candidate]) -> None:
    for weights in weigh(_ASK, candidates, MULTIPLIERS):
        for name, weight in weights.items():
            assert 0 <= weight / MULTIPLIERS[name] <= 1


def test_a_negative_multiplier_packs() -> None:
    full, empty = replace(_HOST, host="full", memory_mb_free=1024), replace(_HOST, host="empty")
    spread = decide(_ASK, [full, empty], Rules(multipliers={"ram": 1.0})).chosen
    packed = decide(_ASK, [full, empty], Rules(multipliers={"ram": -1.0})).chosen
    assert (spread and spread.host, packed and packed.host) == ("empty", "full")


def test_busy_hosts_come_later_by_default() -> None:
    busy, idle = replace(_HOST, host="a", io_ops=3), replace(_HOST, host="b")
    chosen = decide(_ASK, [busy, idle]).chosen
    assert chosen is not None
    assert chosen.host == "b"
