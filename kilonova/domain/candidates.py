"""What is asked of a host, what hosts have, and what they lack: the records that filters and weighers look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kilonova.domain.groups import Company


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What one instance needs of a host. Memory in MiB, disk in GiB; zone, host and node None for any.

    ``leaves`` is the host that it is on and must leave, ``company`` what its server group demands, None where it is in
    none. ``image`` are the image's properties and ``hints`` what the caller wishes of the scheduler, each a list;
    ``same_hosts`` and ``different_hosts`` are where the servers are that hints name, None where no hint names any.
    """

    vcpus: int
    memory_mb: int
    disk_gb: int
    availability_zone: str | None = None
    host: str | None = None
    node: str | None = None
    tried: frozenset[str] = frozenset()
    leaves: str | None = None
    company: Company | None = None
    project_id: str | None = None
    extra_specs: Mapping[str, str] = field(default_factory=dict)
    image_id: str | None = None
    image: Mapping[str, str] = field(default_factory=dict)
    hints: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    same_hosts: frozenset[str] | None = None
    different_hosts: frozenset[str] | None = None

    def hint(self, name: str) -> Any:
        """The one value of a hint, None without it."""
        return next(iter(self.hints.get(name, ())), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A compute node as it stands, with what is still free after overcommit and reservation.

    ``aggregates`` are all values that the metadata of its host's aggregates has for a key. ``instances`` and
    ``io_ops`` count the servers on its host and the operations under way there. ``trouble`` is why the hypervisor does
    not answer its agent, None where it does.
    """

    node_uuid: str
    host: str
    node: str
    availability_zone: str
    is_enabled: bool
    is_up: bool
    disabled_reason: str | None
    vcpus_free: int
    memory_mb_free: int
    disk_gb_free: int
    vcpus: int = 0
    memory_mb: int = 0
    hypervisor_type: str = ""
    hypervisor_version: int = 0
    host_ip: str = ""
    architecture: str = ""
    aggregates: Mapping[str, frozenset[str]] = field(default_factory=dict)
    instances: int = 0
    io_ops: int = 0
    trouble: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """One thing that a candidate lacks.

    ``dimension`` names what was looked at. For capacities ``asked`` and ``free`` are numbers in its unit; for the
    others ``reason`` says it in words. ``reason`` is for the owner and never names the host; ``detail`` is for the
    operator, in an operator's own words.
    """

    dimension: str
    reason: str
    asked: int | None = None
    free: int | None = None
    detail: str | None = None

    @property
    def short(self) -> int:
        """How much is missing, 0 where that has no meaning."""
        return 0 if self.asked is None or self.free is None else self.asked - self.free


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A candidate that a filter took off the list, and everything it lacked there."""

    host: str
    node: str
    filter: str
    lacks: tuple[Lack, ...]

    @property
    def distance(self) -> float:
        """How far it is from fitting: the shares of what was asked that are missing, together."""
        return sum(lack.short / lack.asked if lack.asked else 1.0 for lack in self.lacks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A candidate that passed every filter, with its weight (more is better) and what each weigher gave to it."""

    node_uuid: str
    host: str
    node: str
    weight: float
    weights: Mapping[str, float] = field(default_factory=dict)
