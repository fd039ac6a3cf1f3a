"""Who may do what: Nova's rule names and their defaults (contract §0.6).

Defaults are texts in the language of ``rules.py``, and refer to a few base rules, as Nova's do: an operator's file may
replace either. Everything is compiled once, so that asking takes well under a microsecond.
"""

from collections.abc import Mapping
from typing import Final

from kilonova.api.audited import AUDITED, AUDITOR
from kilonova.api.rules import Node, RuleUnreadable, Text, compile_rules, read_rule, words_of
from kilonova.domain.errors import Forbidden
from kilonova.identity.caller import Caller

ADMIN: Final = "rule:context_is_admin"
MANAGER: Final = "rule:project_manager_or_admin"
MEMBER: Final = "rule:project_member_or_admin"
READER: Final = "rule:project_reader_or_admin"
SERVICE: Final = "rule:service_or_admin"
OWNER: Final = "rule:context_is_admin or user_id:%(user_id)s"
ANYBODY: Final = "@"
NOBODY: Final = "!"

BASE: Final[Mapping[str, str]] = {
    "context_is_admin": "role:admin",
    "admin_api": "is_admin:True",
    "admin_or_owner": "is_admin:True or project_id:%(project_id)s",
    "project_manager_api": "role:manager and project_id:%(project_id)s",
    "project_member_api": "role:member and project_id:%(project_id)s",
    "project_reader_api": "role:reader and project_id:%(project_id)s",
    "service_api": "role:service",
    "project_manager_or_admin": "rule:project_manager_api or rule:context_is_admin",
    "project_member_or_admin": "rule:project_member_api or rule:context_is_admin",
    "project_reader_or_admin": "rule:project_reader_api or rule:context_is_admin",
    "service_or_admin": "rule:service_api or rule:context_is_admin",
    "auditor_api": f"role:{AUDITOR}",
}
"""What other rules are made of; the last one is ours. A project of nobody in particular is nobody's own."""

_PREFIX: Final = "os_compute_api:"
_BY_DEFAULT: Final[tuple[tuple[str, str], ...]] = (
    (ADMIN, "os-services:list os-services:update os-services:delete"),
    (ADMIN, "os-hosts:list os-hosts:show os-hosts:update os-hosts:reboot os-hosts:shutdown os-hosts:start"),
    (ANYBODY, "os-availability-zone:list"),
    (ADMIN, "os-availability-zone:detail"),
    (ADMIN, "os-aggregates:index os-aggregates:show os-aggregates:create os-aggregates:update"),
    (ADMIN, "os-aggregates:delete os-aggregates:add_host os-aggregates:remove_host os-aggregates:set_metadata"),
    (ADMIN, "os-hypervisors:list os-hypervisors:list-detail os-hypervisors:show os-hypervisors:statistics"),
    (ADMIN, "os-hypervisors:uptime os-hypervisors:search os-hypervisors:servers"),
    (ANYBODY, "limits"),
    (ADMIN, "limits:other_project"),
    (READER, "os-quota-sets:show os-quota-sets:detail"),
    (ANYBODY, "os-quota-sets:defaults"),
    (ADMIN, "os-quota-sets:update os-quota-sets:delete os-quota-class-sets:show os-quota-class-sets:update"),
    (ADMIN, "os-simple-tenant-usage:list"),
    (READER, "os-simple-tenant-usage:show"),
    (READER, "servers:index servers:detail servers:show servers:show:flavor-extra-specs"),
    (ADMIN, "servers:index:get_all_tenants servers:detail:get_all_tenants servers:allow_all_filters"),
    (ADMIN, "servers:show:host_status servers:show:host_status:unknown-only os-extended-server-attributes"),
    (MEMBER, "servers:create servers:delete servers:update servers:start servers:stop servers:reboot"),
    (MEMBER, "servers:rebuild servers:rebuild:trusted_certs servers:resize servers:confirm_resize"),
    (MEMBER, "servers:revert_resize servers:create_image servers:create_image:allow_volume_backed"),
    (MEMBER, "servers:trigger_crash_dump servers:create:attach_volume servers:create:attach_network"),
    (MEMBER, "servers:create:trusted_certs"),
    (ADMIN, "servers:create:forced_host servers:create:zero_disk_flavor"),
    (ADMIN, "os-admin-actions:reset_state os-admin-actions:inject_network_info os-evacuate"),
    (ADMIN, "os-server-diagnostics"),
    (MEMBER, "os-admin-password os-console-output os-create-backup os-deferred-delete:restore"),
    (MEMBER, "os-deferred-delete:force os-pause-server:pause os-pause-server:unpause"),
    (MEMBER, "os-suspend-server:suspend os-suspend-server:resume os-rescue os-unrescue"),
    (MEMBER, "os-lock-server:lock os-lock-server:unlock os-shelve:shelve os-shelve:unshelve os-remote-consoles"),
    (ADMIN, "os-lock-server:unlock:unlock_override os-shelve:shelve_offload os-shelve:unshelve_to_host"),
    (MANAGER, "os-migrate-server:migrate os-migrate-server:migrate_live"),
    (ADMIN, "os-migrate-server:migrate:host os-migrate-server:migrate_live:host"),
    (MANAGER, "os-migrations:index"),
    (ADMIN, "os-migrations:index:all_projects os-migrations:index:host"),
    (MANAGER, "servers:migrations:index servers:migrations:force_complete servers:migrations:delete"),
    (ADMIN, "servers:migrations:show servers:migrations:index:host"),
    (READER, "os-instance-actions:list os-instance-actions:show"),
    (ADMIN, "os-instance-actions:events os-instance-actions:events:details"),
    (ADMIN, "os-instance-usage-audit-log:list os-instance-usage-audit-log:show"),
    (SERVICE, "os-server-external-events:create os-assisted-volume-snapshots:create"),
    (SERVICE, "os-assisted-volume-snapshots:delete os-volumes-attachments:swap"),
    (READER, "os-server-groups:index os-server-groups:show"),
    (MEMBER, "os-server-groups:create os-server-groups:delete"),
    (ADMIN, "os-server-groups:index:all_projects"),
    (READER, "os-server-tags:index os-server-tags:show"),
    (MEMBER, "os-server-tags:update os-server-tags:update_all os-server-tags:delete os-server-tags:delete_all"),
    (READER, "server-metadata:index server-metadata:show ips:index ips:show"),
    (MEMBER, "server-metadata:create server-metadata:update server-metadata:update_all server-metadata:delete"),
    (OWNER, "os-keypairs:index os-keypairs:show os-keypairs:create os-keypairs:delete"),
    (ADMIN, "os-flavor-manage:create os-flavor-manage:update os-flavor-manage:delete os-flavor-access"),
    (ADMIN, "os-flavor-access:add_tenant_access os-flavor-access:remove_tenant_access"),
    (ADMIN, "os-flavor-extra-specs:create os-flavor-extra-specs:update os-flavor-extra-specs:delete"),
    (READER, "os-flavor-extra-specs:index os-flavor-extra-specs:show"),
    (ADMIN, "os-console-auth-tokens os-baremetal-nodes:list os-baremetal-nodes:show"),
    (ANYBODY, "extensions"),
    (READER, "os-server-shares:index os-server-shares:show os-volumes-attachments:index"),
    (READER, "os-volumes-attachments:show os-attach-interfaces:list os-attach-interfaces:show"),
    (MEMBER, "os-server-shares:create os-server-shares:delete os-volumes-attachments:create"),
    (MEMBER, "os-volumes-attachments:update os-volumes-attachments:delete"),
    (MEMBER, "os-attach-interfaces:create os-attach-interfaces:delete"),
    (READER, "os-server-password:show os-security-groups:list os-security-groups:get os-security-groups:show"),
    (MEMBER, "os-server-password:clear os-security-groups:create os-security-groups:update"),
    (MEMBER, "os-security-groups:delete os-security-groups:rule:create os-security-groups:rule:delete"),
    (MEMBER, "os-security-groups:add os-security-groups:remove os-multinic:add os-multinic:remove"),
    (READER, "os-networks:list os-networks:show os-tenant-networks:list os-tenant-networks:show"),
    (READER, "os-floating-ips:list os-floating-ips:show os-volumes:list os-volumes:detail os-volumes:show"),
    (READER, "os-volumes:snapshots:list os-volumes:snapshots:detail os-volumes:snapshots:show"),
    (MEMBER, "os-floating-ips:create os-floating-ips:delete os-floating-ips:add os-floating-ips:remove"),
    (MEMBER, "os-volumes:create os-volumes:delete os-volumes:snapshots:create os-volumes:snapshots:delete"),
    (ANYBODY, "os-floating-ip-pools"),
)
_UNPREFIXED: Final[tuple[tuple[str, str], ...]] = (
    (ADMIN, "compute:aggregates:images"),
    (ADMIN, "compute:servers:create:requested_destination"),
    (ADMIN, "network:attach_external_network"),
    (NOBODY, "compute:servers:resize:cross_cell"),
    (READER, "compute:server:topology:index"),
    (ADMIN, "compute:server:topology:host:index"),
    # Our own surface, beside Nova's.
    (ADMIN, "kilonova:decisions:list"),
    (READER, "kilonova:operations:show kilonova:decisions:dry_run kilonova:faults:list kilonova:conditions:show"),
    (ADMIN, "kilonova:stuck:list"),
    (READER, "kilonova:events:list"),
    (READER, "kilonova:usage:show"),
    (ADMIN, "kilonova:usage:show:all_projects kilonova:books:show kilonova:audits:list kilonova:audits:run"),
    (ADMIN, "kilonova:events:list:all_projects"),
    (ADMIN, "kilonova:read:all_projects kilonova:fleet:show kilonova:counts:show:all_projects kilonova:metrics:show"),
    (READER, "kilonova:counts:show kilonova:stats:show"),
    (READER, "kilonova:past:servers kilonova:past:diff"),
    (ADMIN, "kilonova:past:all_projects kilonova:journal:show"),
    (ADMIN, "kilonova:sinks:list kilonova:sinks:add kilonova:sinks:update kilonova:sinks:delete"),
)

BESIDE_AUDITORS: Final[Mapping[str, str]] = {
    "context_is_admin": BASE["context_is_admin"],
    **{_PREFIX + name: text for text, names in _BY_DEFAULT for name in names.split()},
    **{name: text for text, names in _UNPREFIXED for name in names.split()},
}
"""Who passes every rule that is asked for by name, auditors apart: Nova's own defaults."""

DEFAULTS: Final[Mapping[str, str]] = {
    name: f"{text} or rule:auditor_api" if name in AUDITED else text for name, text in BESIDE_AUDITORS.items()
}
"""The default of every rule that is asked for by name."""


class Policy:
    """The rules in force: the defaults, and whatever an operator put in their place.

    ``texts`` are they as they are written, ``unasked`` those of the operator's that nothing asks for. RuleUnreadable,
    with a sentence that begins with the rule's name, for one that makes no sense.
    """

    def __init__(self, own: Mapping[str, Text] | None = None) -> None:
        self.texts: Mapping[str, Text] = {**BASE, **DEFAULTS, **(own or {})}
        nodes = {name: _read(name, text) for name, text in self.texts.items()}
        self._rules = compile_rules(nodes)
        asked = {word.match for node in nodes.values() for word in words_of(node) if word.kind == "rule"}
        self.unasked: tuple[str, ...] = tuple(name for name in own or () if name not in asked | {*BASE, *DEFAULTS})

    def passes(self, rule: str, caller: Caller, *, project_id: str | None = None, user_id: str | None = None) -> bool:
        """Whether the caller passes a rule for a target of this project and user. KeyError for an unknown rule."""
        return self._rules[rule](caller, project_id, user_id)

    def check(self, rule: str, caller: Caller, *, project_id: str | None = None, user_id: str | None = None) -> None:
        """Forbidden, in Nova's words, where the caller does not pass."""
        if not self.passes(rule, caller, project_id=project_id, user_id=user_id):
            raise Forbidden(f"Policy doesn't allow {rule} to be performed.")

    def granted(self, rules: frozenset[str], caller: Caller, *, project_id: str | None) -> frozenset[str]:
        """Those of the rules that the caller passes."""
        return frozenset(
            rule for rule in rules if self.passes(rule, caller, project_id=project_id, user_id=caller.user_id)
        )


def _read(name: str, text: Text) -> Node:
    try:
        return read_rule(text)
    except RuleUnreadable as error:
        raise RuleUnreadable(f"{name} {error}", name) from error
