"""Records, errors and causes: what may be relied on when they are read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.domain import errors
from kilonova.domain.errors import GuestFailure, KilonovaError
from kilonova.domain.faults import FaultCause, find_cause
from kilonova.domain.model import SECOND, ComputeNode, Flavor, Instant, Service, after
from kilonova.domain.options import meaning_of, option, range_of
from kilonova.domain.states import TaskState, VmState
from kilonova.domain.usage import billed
from tests.unit.domain.samples import NOW, instance


def _service(*, last_seen_at: int | None, forced_down: bool = False, created_at: int = NOW) -> Service:
    return Service(
        id=1,
        uuid="s",
        binary="nova-compute",
        host="cmp1",
        disabled=False,
        disabled_reason=None,
        forced_down=forced_down,
        report_count=1,
        last_seen_at=None if last_seen_at is None else Instant(last_seen_at),
        created_at=Instant(created_at),
        updated_at=None,
        version=1,
    )


def _node(**different: float) -> ComputeNode:
    zeros = dict.fromkeys(ComputeNode._fields, 0)
    ratios = {"cpu_allocation_ratio": 1.0, "ram_allocation_ratio": 1.0, "disk_allocation_ratio": 1.0}
    return ComputeNode(**{**zeros, **ratios, **different})  # type: ignore[arg-type]


def test_a_service_is_up_until_exactly_the_end_of_its_window() -> None:
    service = _service(last_seen_at=NOW)
    assert service.is_up(after(NOW, 60), service_down_seconds=60)
    assert not service.is_up(Instant(after(NOW, 60) + 1), service_down_seconds=60)


def test_a_service_that_was_seen_in_the_future_is_judged_by_the_same_window() -> None:
    service = _service(last_seen_at=NOW)
    assert service.is_up(after(NOW, -60), service_down_seconds=60)
    assert not service.is_up(Instant(after(NOW, -60) - 1), service_down_seconds=60)


def test_a_service_that_never_beat_is_judged_by_when_it_came() -> None:
    assert _service(last_seen_at=None).is_up(after(NOW, 1), service_down_seconds=60)
    assert not _service(last_seen_at=None).is_up(after(NOW, 61), service_down_seconds=60)


def test_a_service_that_was_forced_down_is_down_however_often_it_beats() -> None:
    assert not _service(last_seen_at=NOW, forced_down=True).is_up(NOW, service_down_seconds=60)


def test_what_a_node_has_free_counts_overcommit_and_what_the_host_keeps() -> None:
    node = _node(
        vcpus=8,
        vcpus_used=5,
        cpu_allocation_ratio=4.0,
        memory_mb=8192,
        reserved_memory_mb=512,
        memory_mb_used=1024,
        ram_allocation_ratio=1.5,
        local_gb=100,
        reserved_disk_gb=10,
        local_gb_used=30,
    )
    assert (node.vcpus_free, node.memory_mb_free, node.local_gb_free) == (27, 10496, 60)


@given(st.integers(0, 2**52), st.integers(-(10**6), 10**6))
def test_seconds_are_added_to_instants_exactly(instant: int, seconds: int) -> None:
    assert after(Instant(instant), seconds) == instant + seconds * SECOND


def test_a_guest_is_known_to_its_hypervisor_by_its_number_in_hexadecimal() -> None:
    assert instance(id=42).name == "instance-0000002a"


def test_a_server_takes_its_root_and_its_ephemeral_disk_of_its_host() -> None:
    assert instance(root_gb=10, ephemeral_gb=5).disk_gb == 15


def test_a_server_shows_the_status_of_its_states() -> None:
    assert instance(task_state=TaskState.REBOOTING_HARD).status == "HARD_REBOOT"


def test_a_flavor_is_embedded_in_servers_in_the_form_of_the_contract() -> None:
    flavor = Flavor(
        id=1, flavorid="x", name="m1", vcpus=2, memory_mb=512, root_gb=1, extra_specs_json='{"hw:cpu_policy":"shared"}'
    )
    assert json.loads(flavor.embedded_json) == {
        "vcpus": 2,
        "ram": 512,
        "disk": 1,
        "ephemeral": 0,
        "swap": 0,
        "original_name": "m1",
        "extra_specs": {"hw:cpu_policy": "shared"},
    }


def test_nothing_is_billed_before_the_launch_and_after_the_end() -> None:
    assert billed(instance(launched_at=None)) is None
    assert billed(instance(deleted_at=NOW)) is None


@pytest.mark.parametrize(
    "different",
    [
        {"project_id": "p2"},
        {"flavor_name": "m1.small"},
        {"vcpus": 2},
        {"memory_mb": 1024},
        {"root_gb": 2},
        {"ephemeral_gb": 1},
        {"vm_state": VmState.STOPPED},
        {"host": "cmp2"},
    ],
    ids=lambda different: next(iter(different)),
)
def test_a_change_of_what_costs_money_begins_a_new_segment(different: dict[str, object]) -> None:
    assert billed(instance(**different)) != billed(instance())


@pytest.mark.parametrize(
    "different",
    [{"display_name": "other"}, {"task_state": TaskState.PAUSING}, {"metadata_json": '{"a":"b"}'}, {"generation": 9}],
    ids=lambda different: next(iter(different)),
)
def test_a_change_of_what_costs_nothing_leaves_the_segment_open(different: dict[str, object]) -> None:
    assert billed(instance(**different)) == billed(instance())


def test_every_cause_has_a_code_of_its_own_by_which_it_is_found() -> None:
    assert len({cause.code for cause in FaultCause}) == len(FaultCause)
    assert all(find_cause(cause.code) is cause for cause in FaultCause)
    assert find_cause("bad_weather") is None


@pytest.mark.parametrize("cause", FaultCause, ids=lambda cause: cause.code)
def test_every_cause_says_what_to_do_next_in_a_sentence(cause: FaultCause) -> None:
    assert cause.code == cause.name.lower()
    assert cause.title
    assert cause.title[-1] not in ".!"
    assert cause.remedy.endswith(".")


def test_a_failure_of_a_guest_keeps_its_cause_and_what_the_operator_should_know() -> None:
    failure = GuestFailure(FaultCause.DISK_FULL, "no room", detail="ENOSPC")
    assert (failure.cause, failure.message, failure.detail, str(failure)) == (
        FaultCause.DISK_FULL,
        "no room",
        "ENOSPC",
        "no room",
    )


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn = [
        (line.index("── ") // 4, line.partition("── ")[2].split()[0])
        for line in (errors.__doc__ or "").splitlines()
        if "── " in line
    ]
    parents: dict[int, str] = {-1: "KilonovaError"}
    tree = {}
    for depth, name in drawn:
        tree[name] = parents[depth - 1]
        parents[depth] = name
    real = {
        name: kind.__bases__[0].__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, KilonovaError) and kind is not KilonovaError
    }
    assert tree == real


def test_an_option_is_declared_with_its_default_its_meaning_and_its_range() -> None:
    from dataclasses import dataclass, fields

    @dataclass(frozen=True, kw_only=True)
    class Drawn:
        seconds: int = option(10, "Seconds between two drawings.", least=1)
        name: str = option("", "Its name.")

    seconds, name = fields(Drawn)
    assert Drawn().seconds == 10
    assert meaning_of(seconds) == "Seconds between two drawings."
    assert (range_of(seconds), range_of(name)) == ((1, None), (None, None))
