"""What the role ``auditor`` may: see all projects and the whole fleet, and change nothing.

Nova has no such role: who watches a cloud is its administrator there. Every rule here is one of reading, so that an
auditor's token is worth little to whoever steals it. Not among them are rules that show secrets (passwords, consoles,
key pairs).
"""

from typing import Final

AUDITOR: Final = "auditor"
"""The role's name; a new cloud has it beside ``admin`` and ``reader``."""

_PREFIXED: Final = (
    "os-services:list os-hosts:list os-hosts:show os-availability-zone:detail os-aggregates:index os-aggregates:show "
    "os-hypervisors:list os-hypervisors:list-detail os-hypervisors:show os-hypervisors:statistics "
    "os-hypervisors:uptime os-hypervisors:search os-hypervisors:servers "
    "limits:other_project os-quota-sets:show os-quota-sets:detail os-quota-class-sets:show "
    "os-simple-tenant-usage:list os-simple-tenant-usage:show "
    "servers:index servers:detail servers:show servers:show:flavor-extra-specs servers:index:get_all_tenants "
    "servers:detail:get_all_tenants servers:allow_all_filters servers:show:host_status "
    "servers:show:host_status:unknown-only os-extended-server-attributes os-server-diagnostics "
    "os-migrations:index os-migrations:index:all_projects os-migrations:index:host "
    "servers:migrations:index servers:migrations:show servers:migrations:index:host "
    "os-instance-actions:list os-instance-actions:show os-instance-actions:events "
    "os-instance-actions:events:details os-instance-usage-audit-log:list os-instance-usage-audit-log:show "
    "os-server-groups:index os-server-groups:show os-server-groups:index:all_projects "
    "os-server-tags:index os-server-tags:show server-metadata:index server-metadata:show ips:index ips:show "
    "os-flavor-access os-flavor-extra-specs:index os-flavor-extra-specs:show "
    "os-volumes-attachments:index os-volumes-attachments:show os-attach-interfaces:list os-attach-interfaces:show "
    "os-security-groups:list os-security-groups:get os-security-groups:show os-networks:list os-networks:show"
)
_UNPREFIXED: Final = (
    "compute:server:topology:index compute:server:topology:host:index kilonova:read:all_projects "
    "kilonova:decisions:list kilonova:operations:show kilonova:events:list kilonova:events:list:all_projects "
    "kilonova:usage:show kilonova:usage:show:all_projects kilonova:books:show kilonova:audits:list "
    "kilonova:fleet:show kilonova:counts:show kilonova:counts:show:all_projects kilonova:metrics:show "
    "kilonova:stuck:list kilonova:faults:list kilonova:conditions:show "
    "kilonova:past:servers kilonova:past:diff kilonova:past:all_projects kilonova:journal:show kilonova:sinks:list"
)
AUDITED: Final = frozenset({f"os_compute_api:{name}" for name in _PREFIXED.split()} | set(_UNPREFIXED.split()))
"""The rules that an auditor passes, whatever project they are signed in to."""
