"""What a caller wishes of the scheduler, checked before anything is written: a wish that nobody can read is refused."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from kilonova.domain import host_query
from kilonova.domain.errors import Invalid


def check_hints(hints: Mapping[str, Sequence[Any]]) -> None:
    """Invalid for a hint that makes no sense or contradicts another; those that nobody knows are let be, as in Nova."""
    _check_query(hints)
    _check_near(hints)
    both = sorted(set(hints.get("same_host", ())) & set(hints.get("different_host", ())))
    if both:
        raise Invalid(
            f"The scheduler hints same_host and different_host contradict each other: both name server {both[0]}."
        )


def _check_query(hints: Mapping[str, Sequence[Any]]) -> None:
    for query in hints.get("query", ()):
        try:
            host_query.parsed(query)
        except ValueError as error:
            raise Invalid(f"The scheduler hint query cannot be understood: {error}.") from error


def _check_near(hints: Mapping[str, Sequence[Any]]) -> None:
    (address, *_), (cidr, *_) = hints.get("build_near_host_ip") or [None], hints.get("cidr") or [None]
    if address is None:
        return
    try:
        ip_network(f"{address}{cidr or '/24'}", strict=False)
    except ValueError as error:
        raise Invalid(f"The scheduler hints build_near_host_ip and cidr make no network: {error}.") from error
