"""The settings of the services, by Nova's groups and names where Nova has them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from kilonova.domain.audit import MONTHS, Cycle
from kilonova.domain.conditions import Watch
from kilonova.domain.errors import SettingsUnusable
from kilonova.domain.filters import USUAL
from kilonova.domain.options import option
from kilonova.domain.quota import RESOURCES, UNLIMITED
from kilonova.domain.weighers import MULTIPLIERS
from kilonova.services.console_settings import RemoteConsoleSettings

_log = logging.getLogger(__name__)

_LATE_BEATS: Final = 2.5
"""Intervals of silence after which a service is late."""
_FLUSH_SECONDS: Final = 5.0
_LEAST_FLUSH_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """``[DEFAULT]``: the service group, the hosts and their capacity."""

    host: str = option("", "Name of this host in services and hypervisors; empty for the machine's own.")
    report_interval: int = option(10, "Seconds between the heartbeats of a service.", least=1)
    service_down_time: int = option(60, "Seconds without a heartbeat after which a service counts as down.", least=1)
    enable_new_services: bool = option(
        True, "Whether a new nova-compute service is enabled; other services always are (contract §1.5)."
    )
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
    shelved_offload_time: int = option(
        0, "Seconds for which a shelved server stays on its host; 0 for not at all, -1 for good.", least=-1
    )
    shelved_poll_interval: int = option(
        3600, "Seconds between looks for shelved servers that have been on their host long enough.", least=1
    )
    instance_build_timeout: int = option(
        0, "Seconds after which a build is given up, whatever operation_deadlines says; 0 for that alone.", least=0
    )
    rescue_timeout: int = option(
        0, "Seconds after which a rescued server is brought back to its own disk; 0 for never.", least=0
    )
    reboot_timeout: int = option(
        0, "Seconds after which a soft reboot that does not end is followed by a hard one; 0 for never.", least=0
    )
    reclaim_instance_interval: int = option(
        0, "Seconds for which a deleted server can be restored; 0 deletes at once.", least=0
    )
    max_concurrent_builds: int = option(10, "Operations that an agent carries out at the same time.", least=1)
    instance_lease: int = option(
        60, "Seconds for which an agent that took an operation may stay silent about it.", least=1
    )
    instance_usage_audit: bool = option(
        True, "Whether every server is told of (`exists`) for each period in which it lived; Nova's own default is no."
    )
    instance_usage_audit_period: str = option(
        "month", "Period of usage audits: hour, day, month or year, with an offset where wanted, as in day@6."
    )
    allow_resize_to_same_host: bool = option(False, "Whether a resize may leave a server on the host that it is on.")
    resize_confirm_window: int = option(
        0, "Seconds after which a resize that nobody confirmed confirms itself; 0 for never.", least=0
    )
    graceful_shutdown_timeout: int = option(
        60, "Seconds that a stop waits for operations in hand; what does not end is handed back.", least=0
    )
    max_faults_per_instance: int = option(10, "Faults of a server that are kept, the newest of them.", least=1)
    operation_deadlines: str = option(
        "", "Seconds after which operations are given up, such as 'create=600, reboot=120'; the table's for all others."
    )
    transport_url: str = option(
        "", "RabbitMQ, as in Nova: rabbit://user:password@host:5672/virtual_host. Empty for none."
    )
    control_exchange: str = option("nova", "Exchange that notifications are published to.")
    web: str = option("", "Directory of noVNC; empty for where Debian's package, or `make up`, puts it.")
    network_label: str = option("private", "Name of the built-in network, as servers' addresses show it.")
    network_cidr: str = option("10.77.0.0/16", "IPv4 range of the built-in network.")

    @property
    def watch(self) -> Watch:
        """How long a service may be silent."""
        down = self.service_down_time
        return Watch(late_seconds=min(_LATE_BEATS * self.report_interval, down), down_seconds=down)

    @property
    def flush_seconds(self) -> float:
        """How often beats are written: in time for the shortest silence that anybody would notice."""
        return max(min(_FLUSH_SECONDS, (self.service_down_time - self.report_interval) / 3), _LEAST_FLUSH_SECONDS)


def check_heartbeats(settings: ServiceSettings) -> ServiceSettings:
    """The settings with a time after which services are down that is longer than what lies between two beats.

    One that is not is replaced by two and a half intervals, with a warning, as in Nova (contract §1.5).
    """
    if settings.service_down_time > settings.report_interval:
        return settings
    longer = int(settings.report_interval * _LATE_BEATS)
    _log.warning(
        "service_down_time %d is no longer than report_interval %d: %d is used for it",
        settings.service_down_time,
        settings.report_interval,
        longer,
    )
    return replace(settings, service_down_time=longer)


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
class FilterSettings:
    """``[filter_scheduler]``: which hosts may take a server, and which of them is the best.

    Whatever is said here, hosts that are down, disabled, full, tried before, or outside of the zone, host or group
    that was asked for take nothing.
    """

    enabled_filters: str = option(",".join(USUAL), "Filters that are asked, with commas between.")
    max_instances_per_host: int = option(50, "Servers of a host (NumInstancesFilter).", least=1)
    max_io_ops_per_host: int = option(8, "Operations under way on a host (IoOpsFilter).", least=1)
    isolated_images: str = option("", "Ids of images that go to isolated hosts only, with commas between.")
    isolated_hosts: str = option("", "Names of isolated hosts, with commas between.")
    restrict_isolated_hosts_to_isolated_images: bool = option(True, "Whether isolated hosts take isolated images only.")
    image_properties_default_architecture: str = option("", "Architecture of images that say none; empty for any.")
    ram_weight_multiplier: float = option(MULTIPLIERS["ram"], "What free memory counts; below 0 it packs.")
    cpu_weight_multiplier: float = option(MULTIPLIERS["cpu"], "What free virtual CPUs count; below 0 it packs.")
    disk_weight_multiplier: float = option(MULTIPLIERS["disk"], "What free disk counts; below 0 it packs.")
    io_ops_weight_multiplier: float = option(MULTIPLIERS["io_ops"], "What operations under way on a host count.")
    num_instances_weight_multiplier: float = option(MULTIPLIERS["num_instances"], "What servers on a host count.")
    hypervisor_version_weight_multiplier: float = option(
        MULTIPLIERS["hypervisor_version"], "What a newer version of the hypervisor counts."
    )
    soft_affinity_weight_multiplier: float = option(
        MULTIPLIERS["soft_affinity"], "What members of a group with soft affinity count."
    )
    soft_anti_affinity_weight_multiplier: float = option(
        MULTIPLIERS["soft_anti_affinity"], "What members of a group with soft anti-affinity count."
    )


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
class StatisticsSettings:
    """``[statistics]``: what is counted of servers that run, and for how long it is kept, in memory."""

    interval: int = option(10, "Seconds between two counts of all servers of a host; 0 for never.", least=0, most=3600)
    points: int = option(120, "Counts that are kept of a server, the newest of them.", least=2, most=10_000)
    servers: int = option(2000, "Servers of which counts are kept; those that come later find no room.", least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSettings:
    """``[feed]``: who is told of what is in the journal, and the stream of events over HTTP."""

    relay: bool = option(True, "Whether this process carries the journal to the sinks; else kilonova relay does.")
    lease_seconds: float = option(
        30.0, "Seconds for which a relay has a sink to itself; after a crash another one waits so long.", least=1
    )
    file: bool = option(True, "Whether notifications are written to files below the state directory.")
    file_max_mb: int = option(50, "Megabytes after which a new file is begun.", least=1)
    file_keep: int = option(5, "Full files that are kept.", least=1)
    declare_queues: bool = option(
        False, "Whether queues are made in RabbitMQ for each topic and priority, so that nothing waits for a consumer."
    )
    queue_length: int = option(
        100_000, "Messages that may wait in such a queue; beyond that the journal holds them.", least=1
    )

    max_streams: int = option(200, "Streams of events that are open at the same time.", least=1)
    max_streams_per_project: int = option(
        20, "Of these, those that one project may have open, administrators aside.", least=1
    )
    heartbeat_seconds: float = option(15.0, "Seconds after which a stream without events says so.", least=0.1)
    stream_seconds: int = option(
        3600, "Seconds after which a stream ends, to be taken up again by its reader.", least=1
    )
    slow_reader_seconds: float = option(
        30.0, "Seconds after which a reader that takes nothing is disconnected.", least=0.1
    )
    longest_wait_seconds: int = option(60, "Seconds that a long poll waits at most.", least=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagingSettings:
    """``[oslo_messaging_notifications]``: RabbitMQ as the notifications' way out (contract §10.1)."""

    driver: str = option(
        "messagingv2", "How: messagingv2, messaging for messages without an envelope, noop for no RabbitMQ at all."
    )
    topics: str = option("notifications", "Topics of unversioned notifications, separated by commas.")
    transport_url: str = option("", "Brokers of the notifications; empty for transport_url in [DEFAULT].")


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitSettings:
    """``[oslo_messaging_rabbit]``."""

    amqp_durable_queues: bool = option(False, "Whether an exchange or queue that is not there yet is made durable.")
    ssl: bool = option(False, "Whether to connect to RabbitMQ by TLS.")
    ssl_ca_file: str = option("", "Certificates that RabbitMQ's must be signed by; empty for the system's.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneSettings:
    """What of the settings the API shows or enforces, gathered by ``bootstrap``.

    ``limits`` maps resources to their default limits, -1 for none; the prefixes of links are None for the request's
    own address. Past ``stuck_after_seconds`` whatever was lost must have been noticed.
    """

    limits: Mapping[str, int]
    max_limit: int = 1000
    default_availability_zone: str = "nova"
    internal_service_availability_zone: str = "internal"
    service_down_seconds: float = 60.0
    service_late_seconds: float = 25.0
    enable_instance_password: bool = True
    compute_link_prefix: str | None = None
    glance_link_prefix: str | None = None
    network_label: str = "private"
    audit_cycle: Cycle = MONTHS
    stuck_after_seconds: float = 180.0
    feed: FeedSettings = field(default_factory=FeedSettings)
    statistics: StatisticsSettings = field(default_factory=StatisticsSettings)
    consoles: RemoteConsoleSettings = field(default_factory=RemoteConsoleSettings)
