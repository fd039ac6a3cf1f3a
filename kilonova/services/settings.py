"""The settings of the services, by Nova's groups and names where Nova has them."""

from collections.abc import Mapping
from dataclasses import dataclass

from kilonova.domain.errors import SettingsUnusable
from kilonova.domain.options import option
from kilonova.domain.quota import RESOURCES, UNLIMITED


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """``[DEFAULT]``: the service group, the hosts and their capacity."""

    host: str = option("", "Name of this host in services and hypervisors; empty for the machine's own.")
    report_interval: int = option(10, "Seconds between the heartbeats of a service.", least=1)
    service_down_time: int = option(60, "Seconds without a heartbeat after which a service counts as down.", least=1)
    default_availability_zone: str = option("nova", "Zone of compute hosts that are in no zone of their own.")
    internal_service_availability_zone: str = option("internal", "Zone of all services but nova-compute.")
    cpu_allocation_ratio: float = option(4.0, "Virtual CPUs promised for each CPU of a host.", least=0)
    ram_allocation_ratio: float = option(1.0, "Memory promised for each MiB of a host.", least=0)
    disk_allocation_ratio: float = option(1.0, "Disk promised for each GiB of a host.", least=0)
    reserved_host_memory_mb: int = option(512, "MiB of a host's memory that are kept for the host itself.", least=0)
    reserved_host_disk_mb: int = option(0, "MiB of a host's disk that are kept for the host itself.", least=0)
    shutdown_timeout: int = option(
        60, "Seconds that a guest has to shut down by itself before it is switched off.", least=0
    )
    sync_power_state_interval: int = option(600, "Seconds between comparisons of all power states; negative for never.")
    max_concurrent_builds: int = option(10, "Operations that an agent carries out at the same time.", least=1)
    instance_lease: int = option(
        60, "Seconds for which an agent that took an operation may stay silent about it.", least=1
    )
    network_label: str = option("private", "Name of the built-in network, as servers' addresses show it.")
    network_cidr: str = option("10.77.0.0/16", "IPv4 range of the built-in network.")


def check_leases(settings: ServiceSettings) -> None:
    """SettingsUnusable where a lease would run out between two heartbeats, which renew it."""
    least = 3 * settings.report_interval
    if settings.instance_lease < least:
        raise SettingsUnusable(
            f"The setting instance_lease in [DEFAULT] is {settings.instance_lease}; with a report_interval of "
            f"{settings.report_interval} it must be at least {least}."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerSettings:
    """``[scheduler]``."""

    max_attempts: int = option(3, "Hosts on which a build is tried before the server goes to ERROR.", least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaSettings:
    """``[quota]``: what a project may have; -1 for no limit (contract §4.2)."""

    instances: int = option(10, "Servers of a project.", least=-1)
    cores: int = option(20, "Virtual CPUs of a project.", least=-1)
    ram: int = option(51200, "MiB of memory of a project.", least=-1)
    metadata_items: int = option(128, "Metadata items of a server.", least=-1)
    injected_files: int = option(5, "Files injected into a server.", least=-1)
    injected_file_content_bytes: int = option(10240, "Bytes of an injected file.", least=-1)
    injected_file_path_length: int = option(255, "Bytes of the path of an injected file.", least=-1)
    key_pairs: int = option(100, "Key pairs of a user.", least=-1)
    server_groups: int = option(10, "Server groups of a project.", least=-1)
    server_group_members: int = option(10, "Servers of a server group.", least=-1)

    @property
    def limits(self) -> dict[str, int]:
        """The default of every limit, by the name of its resource; -1 for none."""
        return {name: UNLIMITED if option is None else getattr(self, option) for name, option in RESOURCES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneSettings:
    """What of the settings the API shows or enforces, gathered by ``bootstrap``.

    ``limits`` maps resources to their default limits, -1 for none; ``compute_link_prefix`` is None for the request's
    own.
    """

    limits: Mapping[str, int]
    max_limit: int = 1000
    default_availability_zone: str = "nova"
    internal_service_availability_zone: str = "internal"
    service_down_seconds: float = 60.0
    enable_instance_password: bool = True
    compute_link_prefix: str | None = None
    network_label: str = "private"
