"""Choosing: what a server asks for and what the fleet has, brought before the filters and weighers of the domain."""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from kilonova.domain.conditions import HYPERVISOR_ANSWERS, Status
from kilonova.domain.errors import SettingsUnusable
from kilonova.domain.filters import FILTERS, Limits
from kilonova.domain.model import Clock, ComputeNode, Instance, Service
from kilonova.domain.placement import Ask, Candidate, Decision, Rules, decide
from kilonova.domain.weighers import MULTIPLIERS
from kilonova.services.settings import FilterSettings, ServiceSettings
from kilonova.store import aggregates, conditions, fleet, instances, ledger, server_groups
from kilonova.store.database import Connection


def rules_of(settings: FilterSettings) -> Rules:
    """The settings as the domain knows them. SettingsUnusable for a filter that is not there."""
    wanted = _names(settings.enabled_filters)
    unknown = sorted(wanted - FILTERS.keys() - _OTHER_NAMES)
    if unknown:
        raise SettingsUnusable(
            f"There is no filter {unknown[0]} for enabled_filters in [filter_scheduler]; "
            f"there are {', '.join(FILTERS)}."
        )
    return Rules(
        filters=frozenset(wanted & FILTERS.keys()),
        limits=Limits(
            max_instances_per_host=settings.max_instances_per_host,
            max_io_ops_per_host=settings.max_io_ops_per_host,
            isolated_images=frozenset(_names(settings.isolated_images)),
            isolated_hosts=frozenset(_names(settings.isolated_hosts)),
            isolated_hosts_are_for_isolated_images=settings.restrict_isolated_hosts_to_isolated_images,
            default_architecture=settings.image_properties_default_architecture,
        ),
        multipliers={name: getattr(settings, f"{name}_weight_multiplier") for name in MULTIPLIERS},
    )


_OTHER_NAMES = frozenset({"ServerGroupAffinityFilter", "ServerGroupAntiAffinityFilter", "AllHostsFilter"})
"""Names that a list made for Nova may have: the first two are one here and always on, the last does nothing."""


def _names(text: str) -> set[str]:
    return {name.strip() for name in text.split(",") if name.strip()}


class Chooser:
    """Makes decisions from the store as it is; writes nothing."""

    def __init__(self, clock: Clock, *, settings: ServiceSettings, rules: Rules | None = None) -> None:
        self._clock = clock
        self._settings = settings
        self._rules = rules or Rules()

    def decide(self, connection: Connection, ask: Ask) -> Decision:
        """Bring an ask before the fleet as it stands."""
        counts_servers = self._counts_servers or bool(ask.hint("query"))
        return decide(ask, self.candidates(connection, counts_servers=counts_servers), self._rules)

    def decide_among(self, ask: Ask, candidates: Sequence[Candidate]) -> Decision:
        """Bring an ask before these candidates."""
        return decide(ask, candidates, self._rules)

    def ask_of(
        self,
        connection: Connection,
        instance: Instance,
        *,
        tried: frozenset[str] = frozenset(),
        host: str | None = None,
        node: str | None = None,
    ) -> Ask:
        """What a server asks of its host, by its record, its group and its hints."""
        hints: Mapping[str, list[Any]] = json.loads(instance.hints_json)
        return Ask(
            vcpus=instance.vcpus,
            memory_mb=instance.memory_mb,
            disk_gb=instance.disk_gb,
            availability_zone=instance.availability_zone,
            host=host,
            node=node,
            tried=tried,
            company=server_groups.find_company(connection, instance.uuid),
            project_id=instance.project_id,
            extra_specs=json.loads(instance.flavor_json).get("extra_specs", {}),
            image_id=instance.image_ref or None,
            image=instance.image.get("properties", {}),
            hints=hints,
            same_hosts=hosts_of(connection, hints.get("same_host")),
            different_hosts=hosts_of(connection, hints.get("different_host")),
        )

    def candidates(self, connection: Connection, *, counts_servers: bool = False) -> list[Candidate]:
        """Every compute node whose service is registered, as it stands now.

        Servers are counted only where it is wanted: that is a look at every living one.
        """
        services = {service.host: service for service in fleet.list_services(connection, binary="nova-compute")}
        zones = aggregates.zones_by_host(connection)
        metadata = aggregates.metadata_by_host(connection)
        busy = ledger.open_actions_by_host(connection)
        servers = instances.count_by_host(connection) if counts_servers else {}
        default_zone = self._settings.default_availability_zone
        troubles = _troubles(connection)
        return [
            self._candidate(
                node,
                services[node.host],
                zone=zones.get(node.host, default_zone),
                metadata=metadata.get(node.host, {}),
                counts=(servers.get(node.host, 0), busy.get(node.host, 0)),
                trouble=troubles.get(services[node.host].uuid),
            )
            for node in fleet.list_nodes(connection)
            if node.host in services
        ]

    @property
    def _counts_servers(self) -> bool:
        rules = self._rules
        return bool("NumInstancesFilter" in rules.filters or rules.multipliers.get("num_instances"))

    def _candidate(
        self,
        node: ComputeNode,
        service: Service,
        *,
        zone: str,
        metadata: Mapping[str, frozenset[str]],
        counts: tuple[int, int],
        trouble: str | None,
    ) -> Candidate:
        down = self._settings.service_down_time
        return Candidate(
            node_uuid=node.uuid,
            host=node.host,
            node=node.hypervisor_hostname,
            availability_zone=zone,
            is_enabled=not service.disabled,
            is_up=service.is_up(self._clock(), service_down_seconds=down),
            disabled_reason=service.disabled_reason,
            vcpus_free=node.vcpus_free,
            memory_mb_free=node.memory_mb_free,
            disk_gb_free=node.local_gb_free,
            vcpus=node.vcpus,
            memory_mb=node.memory_mb,
            hypervisor_type=node.hypervisor_type,
            hypervisor_version=node.hypervisor_version,
            host_ip=node.host_ip,
            architecture=_architecture(node.cpu_info_json),
            aggregates=metadata,
            instances=counts[0],
            io_ops=counts[1],
            trouble=trouble,
        )


def _troubles(connection: Connection) -> dict[str, str]:
    """Why hypervisors do not answer their agents, by the uuids of those agents' services."""
    return {
        uuid: each.message
        for uuid, kept in conditions.list_conditions(connection, "service").items()
        for each in kept
        if each.type == HYPERVISOR_ANSWERS and each.status is Status.FALSE
    }


def hosts_of(connection: Connection, uuids: Collection[str] | None) -> frozenset[str] | None:
    """The hosts of these servers; None where no server is named."""
    if not uuids:
        return None
    found = instances.list_instances(connection, instances.InstanceQuery(equals={"uuid": frozenset(uuids)}))
    return frozenset(instance.host for instance in found if instance.host)


@lru_cache(maxsize=1024)
def _architecture(cpu_info_json: str) -> str:
    """What the node says of its processors; most nodes of a fleet say the same."""
    said = json.loads(cpu_info_json or "{}")
    return str(said.get("arch", "")) if isinstance(said, dict) else ""
