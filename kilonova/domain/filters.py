"""Filters: which hosts cannot take an instance, and why. Each by Nova's name where Nova has it, pure, and alone.

A filter first looks at what is asked. Where that is nothing to it, it is left out; otherwise it gives a check of one
candidate, which says what the candidate lacks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Final

from kilonova.domain import host_query
from kilonova.domain.candidates import Ask, Candidate, Lack
from kilonova.domain.spec_match import satisfies

Lacks = tuple[Lack, ...]
Check = Callable[[Candidate], Lacks]
"""What the candidate lacks; nothing where it passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What settings demand of hosts, whatever is asked."""

    max_instances_per_host: int = 50
    max_io_ops_per_host: int = 8
    isolated_images: frozenset[str] = frozenset()
    isolated_hosts: frozenset[str] = frozenset()
    isolated_hosts_are_for_isolated_images: bool = True
    default_architecture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An ask, under these limits."""

    ask: Ask
    limits: Limits = field(default_factory=Limits)


Filter = Callable[[Question], Check | None]


def _lack(dimension: str, reason: str, *, when: bool) -> Lacks:
    return (Lack(dimension=dimension, reason=reason),) if when else ()


def compute_filter(question: Question) -> Check:
    """Hosts that are down or disabled, or whose hypervisor does not answer, take nothing new."""
    del question

    def check(candidate: Candidate) -> Lacks:
        if not candidate.is_up:
            return (Lack(dimension="state", reason="down"),)
        if not candidate.is_enabled:
            return (Lack(dimension="state", reason="disabled", detail=candidate.disabled_reason),)
        if candidate.trouble is not None:
            return (Lack(dimension="state", reason="hypervisor not answering", detail=candidate.trouble),)
        return ()

    return check


def retry_filter(question: Question) -> Check | None:
    """A host that already failed with this instance is not asked again, nor the one that it has to leave."""
    tried, leaves = question.ask.tried, question.ask.leaves
    if not tried and leaves is None:
        return None

    def check(candidate: Candidate) -> Lacks:
        own = _lack("tried", "the server's own host", when=candidate.host == leaves)
        return own or _lack("tried", "tried before", when=candidate.host in tried)

    return check


def availability_zone_filter(question: Question) -> Check | None:
    """The zone that was named, if one was."""
    zone = question.ask.availability_zone
    if not zone:
        return None
    return lambda candidate: _lack("zone", f"outside zone {zone}", when=candidate.availability_zone != zone)


def destination_filter(question: Question) -> Check | None:
    """The host and the node that an administrator named, if any."""
    host, node = question.ask.host, question.ask.node
    if not host and not node:
        return None

    def check(candidate: Candidate) -> Lacks:
        if host and candidate.host != host:
            return (Lack(dimension="host", reason="not the host that was named"),)
        return _lack("node", "not the node that was named", when=bool(node) and candidate.node != node)

    return check


def server_group_filter(question: Question) -> Check | None:
    """Members of a server group lie together, or apart, where its policy is a hard one."""
    company = question.ask.company
    if company is None:
        return None

    def check(candidate: Candidate) -> Lacks:
        reason = company.refusal(candidate.host)
        return (Lack(dimension="group", reason=reason),) if reason else ()

    return check


def same_host_filter(question: Question) -> Check | None:
    """The hint ``same_host``: where one of these servers is."""
    hosts = question.ask.same_hosts
    if hosts is None:
        return None
    return lambda candidate: _lack("hint", "apart from the servers to be near", when=candidate.host not in hosts)


def different_host_filter(question: Question) -> Check | None:
    """The hint ``different_host``: where none of these servers is."""
    hosts = question.ask.different_hosts
    if hosts is None:
        return None
    return lambda candidate: _lack("hint", "taken by a server to keep away from", when=candidate.host in hosts)


def cidr_affinity_filter(question: Question) -> Check | None:
    """The hints ``build_near_host_ip`` and ``cidr``: in one network with an address, ``/24`` where none is said."""
    address = question.ask.hint("build_near_host_ip")
    if not address:
        return None
    network = ip_network(f"{address}{question.ask.hint('cidr') or '/24'}", strict=False)

    def check(candidate: Candidate) -> Lacks:
        try:
            is_near = ip_address(candidate.host_ip) in network
        except ValueError:
            is_near = False
        return _lack("hint", "outside the network to be near", when=not is_near)

    return check


def json_filter(question: Question) -> Check | None:
    """The hint ``query``: a condition that the caller wrote (``host_query``)."""
    text = question.ask.hint("query")
    if not text:
        return None
    query = host_query.parsed(text)
    return lambda candidate: _lack(
        "hint", "not what the query asks for", when=not host_query.holds(query, _variables(candidate))
    )


def _variables(candidate: Candidate) -> Mapping[str, Any]:
    return {
        "free_ram_mb": candidate.memory_mb_free,
        "free_disk_mb": candidate.disk_gb_free * 1024,
        "total_usable_ram_mb": candidate.memory_mb,
        "vcpus_total": candidate.vcpus,
        "vcpus_used": candidate.vcpus - candidate.vcpus_free,
        "host": candidate.host,
        "nodename": candidate.node,
        "hypervisor_hostname": candidate.node,
        "hypervisor_type": candidate.hypervisor_type,
        "hypervisor_version": candidate.hypervisor_version,
        "host_ip": candidate.host_ip,
        "num_instances": candidate.instances,
        "num_io_ops": candidate.io_ops,
    }


def _scoped(extra_specs: Mapping[str, str], scope: str) -> dict[str, str]:
    prefix = f"{scope}:"
    return {name.removeprefix(prefix): value for name, value in extra_specs.items() if name.startswith(prefix)}


def aggregate_extra_specs_filter(question: Question) -> Check | None:
    """Extra specs ``aggregate_instance_extra_specs:key``: an aggregate of the host has the key with such a value."""
    wanted = _scoped(question.ask.extra_specs, "aggregate_instance_extra_specs")
    if not wanted:
        return None

    def check(candidate: Candidate) -> Lacks:
        missing = [
            key
            for key, demand in sorted(wanted.items())
            if not any(satisfies(value, demand) for value in candidate.aggregates.get(key, ()))
        ]
        return tuple(Lack(dimension="aggregate", reason=f"in no aggregate with the wanted {key}") for key in missing)

    return check


def compute_capabilities_filter(question: Question) -> Check | None:
    """Extra specs ``capabilities:name``: what the host says of itself, by the names that ``query`` knows."""
    wanted = _scoped(question.ask.extra_specs, "capabilities")
    if not wanted:
        return None

    def check(candidate: Candidate) -> Lacks:
        has = _variables(candidate)
        missing = [
            name
            for name, demand in sorted(wanted.items())
            if has.get(name) is None or not satisfies(str(has[name]), demand)
        ]
        return tuple(Lack(dimension="capability", reason=f"without the wanted {name}") for name in missing)

    return check


def multi_tenancy_filter(question: Question) -> Check | None:
    """Aggregates with ``filter_tenant_id…`` keep their hosts for these projects."""
    project = question.ask.project_id

    def check(candidate: Candidate) -> Lacks:
        named = [values for key, values in candidate.aggregates.items() if key.startswith("filter_tenant_id")]
        mine = {each.strip() for values in named for value in values for each in value.split(",")}
        return _lack("project", "kept for other projects", when=bool(mine) and project not in mine)

    return check


def aggregate_image_filter(question: Question) -> Check | None:
    """An aggregate's metadata that is named like a property of the image keeps its hosts for such images."""
    image = question.ask.image
    if not image:
        return None

    def check(candidate: Candidate) -> Lacks:
        off = [key for key, values in candidate.aggregates.items() if key in image and image[key] not in values]
        return tuple(Lack(dimension="image", reason=f"kept for images with another {key}") for key in sorted(off))

    return check


def isolated_hosts_filter(question: Question) -> Check | None:
    """Isolated images go to isolated hosts only, and, unless the settings say else, nothing else goes there."""
    limits = question.limits
    if not limits.isolated_hosts and not limits.isolated_images:
        return None
    is_isolated = question.ask.image_id in limits.isolated_images

    def check(candidate: Candidate) -> Lacks:
        on_isolated = candidate.host in limits.isolated_hosts
        if is_isolated:
            return _lack("image", "not for isolated images", when=not on_isolated)
        kept = on_isolated and limits.isolated_hosts_are_for_isolated_images
        return _lack("image", "kept for isolated images", when=kept)

    return check


_SAME_ARCHITECTURE: Final = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64", "i386": "i686", "i586": "i686"}
_SAME_HYPERVISOR: Final = {"kvm": "qemu"}
_EVERYTHING: Final = "simulated"
"""A simulated hypervisor stands for any other one."""


def image_properties_filter(question: Question) -> Check | None:
    """What the image says of where it runs: ``hw_architecture``, ``img_hv_type``, ``hw_vm_mode``, or older names."""
    image = question.ask.image
    architecture = image.get("hw_architecture") or image.get("architecture") or question.limits.default_architecture
    hypervisor = image.get("img_hv_type") or image.get("hypervisor_type")
    mode = image.get("hw_vm_mode") or image.get("vm_mode")
    if not architecture and not hypervisor and not mode:
        return None
    wanted = (_same(_SAME_ARCHITECTURE, architecture), _same(_SAME_HYPERVISOR, hypervisor), (mode or "").lower())
    return lambda candidate: _unlike(candidate, *wanted)


def _same(names: Mapping[str, str], name: str | None) -> str:
    plain = (name or "").lower()
    return names.get(plain, plain)


def _unlike(candidate: Candidate, architecture: str, hypervisor: str, mode: str) -> Lacks:
    has = _same(_SAME_HYPERVISOR, candidate.hypervisor_type)
    is_any = has == _EVERYTHING
    return (
        *_lack(
            "image",
            "of another architecture than the image",
            when=bool(architecture and candidate.architecture)
            and _same(_SAME_ARCHITECTURE, candidate.architecture) != architecture,
        ),
        *_lack(
            "image", "of another hypervisor than the image", when=bool(hypervisor) and not is_any and has != hypervisor
        ),
        *_lack("image", "of another mode than the image", when=bool(mode) and not is_any and mode != "hvm"),
    )


def num_instances_filter(question: Question) -> Check:
    """At most so many servers a host."""
    most = question.limits.max_instances_per_host
    return lambda candidate: _lack("servers", "full of servers", when=candidate.instances >= most)


def io_ops_filter(question: Question) -> Check:
    """At most so many operations at the same time on a host."""
    most = question.limits.max_io_ops_per_host
    return lambda candidate: _lack("operations", "too busy", when=candidate.io_ops >= most)


def capacity_filter(question: Question) -> Check:
    """Virtual CPUs, memory and disk that are still free; what Nova's placement service finds out."""
    ask = question.ask

    def check(candidate: Candidate) -> Lacks:
        wanted = (
            ("vcpus", ask.vcpus, candidate.vcpus_free),
            ("memory", ask.memory_mb, candidate.memory_mb_free),
            ("disk", ask.disk_gb, candidate.disk_gb_free),
        )
        return tuple(
            Lack(dimension=dimension, reason=f"short of {dimension}", asked=asked, free=max(free, 0))
            for dimension, asked, free in wanted
            if asked > max(free, 0)
        )

    return check


FILTERS: Final[Mapping[str, Filter]] = {
    "ComputeFilter": compute_filter,
    "RetryFilter": retry_filter,
    "AvailabilityZoneFilter": availability_zone_filter,
    "RequestedDestination": destination_filter,
    "AggregateMultiTenancyIsolation": multi_tenancy_filter,
    "AggregateInstanceExtraSpecsFilter": aggregate_extra_specs_filter,
    "AggregateImagePropertiesIsolation": aggregate_image_filter,
    "ComputeCapabilitiesFilter": compute_capabilities_filter,
    "ImagePropertiesFilter": image_properties_filter,
    "IsolatedHostsFilter": isolated_hosts_filter,
    "SameHostFilter": same_host_filter,
    "DifferentHostFilter": different_host_filter,
    "SimpleCIDRAffinityFilter": cidr_affinity_filter,
    "JsonFilter": json_filter,
    "NumInstancesFilter": num_instances_filter,
    "IoOpsFilter": io_ops_filter,
    "ServerGroupFilter": server_group_filter,
    "Capacity": capacity_filter,
}
"""Every filter in the order in which they are asked: the later one fell out, the nearer it came."""

ALWAYS: Final = frozenset(
    {"ComputeFilter", "RetryFilter", "AvailabilityZoneFilter", "RequestedDestination", "ServerGroupFilter", "Capacity"}
)
"""Those that no setting switches off: without them a placement would be wrong, not just unwise."""

USUAL: Final = tuple(
    name
    for name in FILTERS
    if name not in ALWAYS | {"NumInstancesFilter", "IoOpsFilter", "AggregateImagePropertiesIsolation"}
)
"""Those that are switched on unless the settings say else; they matter only where somebody asks for what they do."""
