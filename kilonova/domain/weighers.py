"""Weighers: which of the hosts that can take an instance is the best one. By Nova's names and arithmetic.

What a weigher finds is brought to 0 … 1 over the hosts that are left, and multiplied with its setting; a host's weight
is the sum. Where all hosts are alike to a weigher, it gives nothing to any.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from kilonova.domain.candidates import Ask, Candidate

Weigher = Callable[[Ask, Candidate], float]
"""How good the candidate is, in a unit of the weigher's own."""


def _of_host(value: Callable[[Candidate], int]) -> Weigher:
    return lambda _, candidate: float(value(candidate))


def _attraction(ask: Ask, candidate: Candidate) -> float:
    return 0.0 if ask.company is None else float(ask.company.attraction(candidate.host))


WEIGHERS: Final[Mapping[str, Weigher]] = {
    "ram": _of_host(lambda candidate: candidate.memory_mb_free),
    "cpu": _of_host(lambda candidate: candidate.vcpus_free),
    "disk": _of_host(lambda candidate: candidate.disk_gb_free),
    "io_ops": _of_host(lambda candidate: candidate.io_ops),
    "num_instances": _of_host(lambda candidate: candidate.instances),
    "hypervisor_version": _of_host(lambda candidate: candidate.hypervisor_version),
    "soft_affinity": lambda ask, candidate: max(_attraction(ask, candidate), 0.0),
    "soft_anti_affinity": lambda ask, candidate: min(_attraction(ask, candidate), 0.0),
}
"""By the name that its setting begins with, such as ``ram_weight_multiplier``."""

MULTIPLIERS: Final[Mapping[str, float]] = {
    "ram": 1.0,
    "cpu": 1.0,
    "disk": 1.0,
    "io_ops": -1.0,
    "num_instances": 0.0,
    "hypervisor_version": 0.0,
    "soft_affinity": 1000.0,
    "soft_anti_affinity": 1000.0,
}
"""Nova's defaults, save for the last three: a group's wish counts for more than all the others together, and the
version of a hypervisor for nothing."""


def weigh(ask: Ask, candidates: Sequence[Candidate], multipliers: Mapping[str, float]) -> list[dict[str, float]]:
    """What each weigher gives to each candidate; those that give nothing to anybody are left out."""
    found: list[dict[str, float]] = [{} for _ in candidates]
    for name, multiplier in multipliers.items():
        values = [WEIGHERS[name](ask, candidate) for candidate in candidates] if multiplier else []
        least, most = min(values, default=0.0), max(values, default=0.0)
        if most > least:
            for weights, value in zip(found, values, strict=True):
                weights[name] = multiplier * (value - least) / (most - least)
    return found
