"""Why a server has no host, in one word."""

import pytest

from kilonova.domain.filters import FILTERS
from kilonova.domain.refusals import NONE_THERE, REASONS, SEVERAL, refusal_reason


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_has_a_word(name: str) -> None:
    assert refusal_reason([name]) in REASONS - {SEVERAL, NONE_THERE}


@pytest.mark.parametrize(
    "filters, reason",
    [
        ([], "NoHostsYet"),
        (["RetryFilter", "Capacity"], "NoCapacity"),
        (["RequestedDestination", "Capacity"], "NoCapacity"),
        (["AvailabilityZoneFilter", "RequestedDestination"], "NotTheNamedHost"),
        (["RetryFilter", "AvailabilityZoneFilter"], "NotInZone"),
        (["RetryFilter", "RequestedDestination"], "NotTheNamedHost"),
        (["NumInstancesFilter", "IoOpsFilter"], "HostsBusy"),
        (["ComputeFilter", "Capacity"], "SeveralReasons"),
        (["AFilterOfLater"], "SeveralReasons"),
    ],
)
def test_filters_that_only_narrow_are_no_reason_beside_others(filters: list[str], reason: str) -> None:
    assert refusal_reason(filters) == reason
