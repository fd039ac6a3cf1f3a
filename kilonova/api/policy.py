"""Who may do what: Nova's rule names and their defaults (contract §0.6), each default a function of four facts.

A rule is looked up by name, so that an operator's own rules can stand in for the defaults.
"""

from collections.abc import Callable, Mapping
from typing import Final

from kilonova.domain.errors import Forbidden
from kilonova.identity.caller import Caller

Check = Callable[[Caller, str | None, str | None], bool]
"""Whether a caller may, given the project and the user that own the target (None: nobody in particular)."""


def admin(caller: Caller, project_id: str | None, user_id: str | None) -> bool:
    """The role ``admin`` on whichever project."""
    del project_id, user_id
    return caller.is_admin


def anybody(caller: Caller, project_id: str | None, user_id: str | None) -> bool:
    """Whoever is signed in."""
    del caller, project_id, user_id
    return True


def nobody(caller: Caller, project_id: str | None, user_id: str | None) -> bool:
    """Not even an administrator."""
    del caller, project_id, user_id
    return False


def service(caller: Caller, project_id: str | None, user_id: str | None) -> bool:
    """Another OpenStack service, or an administrator."""
    del project_id, user_id
    return caller.is_admin or "service" in caller.roles


def owner(caller: Caller, project_id: str | None, user_id: str | None) -> bool:
    """The user whom the target belongs to, or an administrator."""
    del project_id
    return caller.is_admin or caller.user_id == user_id


def _in_project(role: str) -> Check:
    def check(caller: Caller, project_id: str | None, user_id: str | None) -> bool:
        del user_id
        return caller.is_admin or (role in caller.roles and caller.project_id == project_id is not None)

    return check


manager: Final = _in_project("manager")
member: Final = _in_project("member")
reader: Final = _in_project("reader")

_PREFIX: Final = "os_compute_api:"
_BY_DEFAULT: Final[tuple[tuple[Check, str], ...]] = (
    (admin, "os-services:list os-services:update os-services:delete"),
    (admin, "os-hosts:list os-hosts:show os-hosts:update os-hosts:reboot os-hosts:shutdown os-hosts:start"),
    (anybody, "os-availability-zone:list"),
    (admin, "os-availability-zone:detail"),
    (admin, "os-aggregates:index os-aggregates:show os-aggregates:create os-aggregates:update"),
    (admin, "os-aggregates:delete os-aggregates:add_host os-aggregates:remove_host os-aggregates:set_metadata"),
    (admin, "os-hypervisors:list os-hypervisors:list-detail os-hypervisors:show os-hypervisors:statistics"),
    (admin, "os-hypervisors:uptime os-hypervisors:search os-hypervisors:servers"),
    (anybody, "limits"),
    (admin, "limits:other_project"),
    (reader, "os-quota-sets:show os-quota-sets:detail"),
    (anybody, "os-quota-sets:defaults"),
    (admin, "os-quota-sets:update os-quota-sets:delete os-quota-class-sets:show os-quota-class-sets:update"),
    (admin, "os-simple-tenant-usage:list"),
    (reader, "os-simple-tenant-usage:show"),
    (reader, "servers:index servers:detail servers:show servers:show:flavor-extra-specs"),
    (admin, "servers:index:get_all_tenants servers:detail:get_all_tenants servers:allow_all_filters"),
    (admin, "servers:show:host_status servers:show:host_status:unknown-only os-extended-server-attributes"),
    (member, "servers:create servers:delete servers:update servers:start servers:stop servers:reboot"),
    (member, "servers:rebuild servers:rebuild:trusted_certs servers:resize servers:confirm_resize"),
    (member, "servers:revert_resize servers:create_image servers:create_image:allow_volume_backed"),
    (member, "servers:trigger_crash_dump servers:create:attach_volume servers:create:attach_network"),
    (member, "servers:create:trusted_certs"),
    (admin, "servers:create:forced_host servers:create:zero_disk_flavor"),
    (admin, "os-admin-actions:reset_state os-admin-actions:inject_network_info os-evacuate"),
    (admin, "os-server-diagnostics"),
    (member, "os-admin-password os-console-output os-create-backup os-deferred-delete:restore"),
    (member, "os-deferred-delete:force os-pause-server:pause os-pause-server:unpause"),
    (member, "os-suspend-server:suspend os-suspend-server:resume os-rescue os-unrescue"),
    (member, "os-lock-server:lock os-lock-server:unlock os-shelve:shelve os-shelve:unshelve os-remote-consoles"),
    (admin, "os-lock-server:unlock:unlock_override os-shelve:shelve_offload os-shelve:unshelve_to_host"),
    (manager, "os-migrate-server:migrate os-migrate-server:migrate_live"),
    (admin, "os-migrate-server:migrate:host os-migrate-server:migrate_live:host"),
    (manager, "os-migrations:index"),
    (admin, "os-migrations:index:all_projects os-migrations:index:host"),
    (manager, "servers:migrations:index servers:migrations:force_complete servers:migrations:delete"),
    (admin, "servers:migrations:show servers:migrations:index:host"),
    (reader, "os-instance-actions:list os-instance-actions:show"),
    (admin, "os-instance-actions:events os-instance-actions:events:details"),
    (admin, "os-instance-usage-audit-log:list os-instance-usage-audit-log:show"),
    (service, "os-server-external-events:create os-assisted-volume-snapshots:create"),
    (service, "os-assisted-volume-snapshots:delete os-volumes-attachments:swap"),
    (reader, "os-server-groups:index os-server-groups:show"),
    (member, "os-server-groups:create os-server-groups:delete"),
    (admin, "os-server-groups:index:all_projects"),
    (reader, "os-server-tags:index os-server-tags:show"),
    (member, "os-server-tags:update os-server-tags:update_all os-server-tags:delete os-server-tags:delete_all"),
    (reader, "server-metadata:index server-metadata:show ips:index ips:show"),
    (member, "server-metadata:create server-metadata:update server-metadata:update_all server-metadata:delete"),
    (owner, "os-keypairs:index os-keypairs:show os-keypairs:create os-keypairs:delete"),
    (admin, "os-flavor-manage:create os-flavor-manage:update os-flavor-manage:delete os-flavor-access"),
    (admin, "os-flavor-access:add_tenant_access os-flavor-access:remove_tenant_access"),
    (admin, "os-flavor-extra-specs:create os-flavor-extra-specs:update os-flavor-extra-specs:delete"),
    (reader, "os-flavor-extra-specs:index os-flavor-extra-specs:show"),
    (admin, "os-console-auth-tokens os-baremetal-nodes:list os-baremetal-nodes:show"),
    (anybody, "extensions"),
    (reader, "os-server-shares:index os-server-shares:show os-volumes-attachments:index"),
    (reader, "os-volumes-attachments:show os-attach-interfaces:list os-attach-interfaces:show"),
    (member, "os-server-shares:create os-server-shares:delete os-volumes-attachments:create"),
    (member, "os-volumes-attachments:update os-volumes-attachments:delete"),
    (member, "os-attach-interfaces:create os-attach-interfaces:delete"),
    (reader, "os-server-password:show os-security-groups:list os-security-groups:get os-security-groups:show"),
    (member, "os-server-password:clear os-security-groups:create os-security-groups:update"),
    (member, "os-security-groups:delete os-security-groups:rule:create os-security-groups:rule:delete"),
    (member, "os-security-groups:add os-security-groups:remove os-multinic:add os-multinic:remove"),
    (reader, "os-networks:list os-networks:show os-tenant-networks:list os-tenant-networks:show"),
    (reader, "os-floating-ips:list os-floating-ips:show os-volumes:list os-volumes:detail os-volumes:show"),
    (reader, "os-volumes:snapshots:list os-volumes:snapshots:detail os-volumes:snapshots:show"),
    (member, "os-floating-ips:create os-floating-ips:delete os-floating-ips:add os-floating-ips:remove"),
    (member, "os-volumes:create os-volumes:delete os-volumes:snapshots:create os-volumes:snapshots:delete"),
    (anybody, "os-floating-ip-pools"),
)
_UNPREFIXED: Final[tuple[tuple[Check, str], ...]] = (
    (admin, "context_is_admin"),
    (admin, "compute:aggregates:images"),
    (admin, "compute:servers:create:requested_destination"),
    (admin, "network:attach_external_network"),
    (nobody, "compute:servers:resize:cross_cell"),
    (reader, "compute:server:topology:index"),
    (admin, "compute:server:topology:host:index"),
    # Our own surface, beside Nova's.
    (admin, "kilonova:decisions:list"),
    (reader, "kilonova:operations:show"),
    (reader, "kilonova:events:list"),
    (admin, "kilonova:events:list:all_projects"),
)

DEFAULTS: Final[Mapping[str, Check]] = {
    **{_PREFIX + name: check for check, names in _BY_DEFAULT for name in names.split()},
    **{name: check for check, names in _UNPREFIXED for name in names.split()},
}
"""The default of every rule."""


class Policy:
    """The rules in force: the defaults, and whatever an operator put in their place."""

    def __init__(self, overrides: Mapping[str, Check] | None = None) -> None:
        self._rules = {**DEFAULTS, **(overrides or {})}

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
