"""One arithmetic of capacity: what there is, what is kept, what is promised, what is left."""

from hypothesis import given
from hypothesis import strategies as st

from kilonova.domain.capacity import Capacity, Resource

_NUMBERS = st.integers(0, 10**6)
_RESOURCES = st.builds(
    Resource,
    name=st.just("memory_mb"),
    total=_NUMBERS,
    reserved=_NUMBERS,
    allocated=_NUMBERS,
    ratio=st.sampled_from([0.5, 1.0, 1.5, 4.0, 16.0]),
)


def _memory(**different: float) -> Resource:
    values = {"total": 1000, "reserved": 100, "allocated": 0, "ratio": 1.5, **different}
    return Resource(name="memory_mb", **values)  # type: ignore[arg-type]


def test_overcommit_multiplies_what_the_host_does_not_keep() -> None:
    assert _memory().capacity == 1350


def test_used_is_what_is_promised_or_kept() -> None:
    assert _memory(allocated=300).used == 400


def test_who_asks_for_nothing_fits_however_full_it_is() -> None:
    assert _memory(allocated=5000).fits(0)
    assert not _memory(allocated=5000).fits(1)


@given(_RESOURCES, st.integers(1, 10**6))
def test_what_fits_never_passes_the_capacity(resource: Resource, amount: int) -> None:
    assert resource.fits(amount) is (resource.allocated + amount <= resource.capacity)
    assert resource.free == resource.capacity - resource.allocated


def test_a_node_that_shrank_under_its_claims_is_overcommitted() -> None:
    small = Capacity(vcpus=_memory(), memory_mb=_memory(allocated=1351), local_gb=_memory())
    fine = Capacity(vcpus=_memory(), memory_mb=_memory(allocated=1350), local_gb=_memory())
    assert (small.is_overcommitted, fine.is_overcommitted) == (True, False)
