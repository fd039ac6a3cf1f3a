"""What each kind of sample is asked for: one row a kind, for all the microversions that it has samples of.

Words in braces are methods of the ``Estate``. A row of ``shows`` compares the answer with the sample; a row of
``sends`` sends the sample, fitted to the estate, and expects that it is accepted.
"""

from typing import Final

from tests.compat.golden.golden_data import Sample, number
from tests.compat.golden.row import Row, sends, shows
from tests.compat.golden.rows_of_servers import SERVER_ROWS

_COMPUTE: Final = {"host": "host1", "binary": "nova-compute"}
_CHANGES: Final = {
    "disable": _COMPUTE,
    "disable-log": {**_COMPUTE, "disabled_reason": "test2"},
    "enable": _COMPUTE,
    "force-down": {**_COMPUTE, "forced_down": True},
}
_FLAVOR: Final = {"flavor": {"name": "test_flavor", "ram": 1024, "vcpus": 2, "disk": 10}}

_FRAME: Final = (
    shows("versions/versions-get-resp", "GET //compute/"),
    shows("versions/v21-version-get-resp", "GET //compute/v2.1/"),
    shows("extension-info/extensions-list-resp", "GET /extensions", exact=True),
    shows("extension-info/extensions-list-resp-v21-compatible", "GET //compute/v2/extensions", exact=True),
)

_FLAVORS: Final = (
    shows("flavors/flavors-list-resp", "GET /flavors"),
    shows("flavors/flavors-detail-resp", "GET /flavors/detail"),
    shows("flavors/flavor-get-resp", "GET /flavors/{specified_flavor}"),
    sends("flavor-manage/flavor-create-post-req", "POST /flavors"),
    shows("flavor-manage/flavor-create-post-resp", "POST /flavors", _FLAVOR),
    sends("flavor-manage/flavor-update-req", "PUT /flavors/{flavor}"),
    shows("flavor-manage/flavor-update-resp", "PUT /flavors/{flavor}", {"flavor": {"description": "updated"}}),
    sends("flavor-access/flavor-create-req", "POST /flavors"),
    sends("flavor-access/flavor-access-add-tenant-req", "POST /flavors/{private_flavor}/action"),
    shows("flavor-access/flavor-access-list-resp", "GET /flavors/{granted_flavor}/os-flavor-access"),
    shows(
        "flavor-access/flavor-access-remove-tenant-resp",
        "POST /flavors/{granted_flavor}/action",
        {"removeTenantAccess": {"tenant": "{spare_project}"}},
    ),
    shows(
        "flavor-extra-specs/flavor-extra-specs-create-resp",
        "POST /flavors/{flavor}/os-extra_specs",
        {"extra_specs": {"hw:cpu_policy": "shared", "hw:numa_nodes": "1"}},
    ),
    shows(
        "flavor-extra-specs/flavor-extra-specs-get-resp", "GET /flavors/{specified_flavor}/os-extra_specs/hw:numa_nodes"
    ),
    shows(
        "flavor-extra-specs/flavor-extra-specs-update-resp",
        "PUT /flavors/{specified_flavor}/os-extra_specs/hw:numa_nodes",
        {"hw:numa_nodes": "2"},
    ),
)

_IMAGES: Final = (
    shows("images/image-get-resp", "GET /images/{dressed_image}"),
    shows("images/images-list-get-resp", "GET /images#{dressed_image}"),
    shows("images/image-meta-key-get", "GET /images/{dressed_image}/metadata/kernel_id"),
    sends("images/image-meta-key-put-req", "PUT /images/{dressed_image}/metadata/auto_disk_config"),
    shows(
        "images/image-meta-key-put-resp",
        "PUT /images/{dressed_image}/metadata/auto_disk_config",
        "image-meta-key-put-req",
    ),
    shows("images/image-metadata-get-resp", "GET /images/{dressed_image}/metadata"),
    sends("images/image-metadata-post-req", "POST /images/{dressed_image}/metadata"),
    shows("images/image-metadata-post-resp", "POST /images/{dressed_image}/metadata", "image-metadata-post-req"),
    sends("images/image-metadata-put-req", "PUT /images/{dressed_image}/metadata"),
)

_LIMITS: Final = (
    shows("limits/limit-get-resp", "GET /limits"),
    shows("os-quota-class-sets/quota-classes-show-get-resp", "GET /os-quota-class-sets/test_class"),
    sends("os-quota-class-sets/quota-classes-update-post-req", "PUT /os-quota-class-sets/test_class"),
    shows(
        "os-quota-class-sets/quota-classes-update-post-resp",
        "PUT /os-quota-class-sets/test_class",
        "quota-classes-update-post-req",
    ),
    *(
        row
        for api in ("os-quota-sets", "os-quota-sets-noop")
        for row in (
            shows(f"{api}/quotas-show-get-resp", "GET /os-quota-sets/{spare_project}"),
            shows(f"{api}/quotas-show-defaults-get-resp", "GET /os-quota-sets/{spare_project}/defaults"),
            sends(f"{api}/quotas-update-post-req", "PUT /os-quota-sets/{spare_project}"),
            sends(f"{api}/quotas-update-force-post-req", "PUT /os-quota-sets/{spare_project}"),
            shows(
                f"{api}/quotas-update-force-post-resp",
                "PUT /os-quota-sets/{spare_project}",
                "quotas-update-force-post-req",
            ),
            shows(f"{api}/user-quotas-show-get-resp", "GET /os-quota-sets/{spare_project}?user_id={user}"),
            sends(f"{api}/user-quotas-update-post-req", "PUT /os-quota-sets/{spare_project}?user_id={user}"),
            shows(
                f"{api}/user-quotas-update-post-resp",
                "PUT /os-quota-sets/{spare_project}?user_id={user}",
                {"quota_set": {"force": "True", "instances": 9}},
            ),
        )
    ),
    shows("os-simple-tenant-usage/simple-tenant-usage-get", "GET /os-simple-tenant-usage?{usage_window}"),
    shows(
        "os-simple-tenant-usage/simple-tenant-usage-get-all",
        "GET /os-simple-tenant-usage?detailed=1&{usage_window}",
    ),
    shows(
        "os-simple-tenant-usage/simple-tenant-usage-get-detail", "GET /os-simple-tenant-usage?detailed=1&{usage_window}"
    ),
    shows(
        "os-simple-tenant-usage/simple-tenant-usage-get-specific",
        "GET /os-simple-tenant-usage/{project}?{usage_window}",
    ),
    shows(
        "os-instance-usage-audit-log/inst-usage-audit-log-index-get-resp", "GET /os-instance_usage_audit_log#{audited}"
    ),
    shows(
        "os-instance-usage-audit-log/inst-usage-audit-log-show-get-resp",
        "GET /os-instance_usage_audit_log/{end_of_audited}",
    ),
)

_KEYPAIRS: Final = (
    shows("os-keypairs/keypairs-list-resp", "GET /os-keypairs#{keypair}"),
    shows("os-keypairs/keypairs-list-user1-resp", "GET /os-keypairs?user_id={user}#{keypair}"),
    shows("os-keypairs/keypairs-get-resp", "GET /os-keypairs/{keypair}"),
    sends("os-keypairs/keypairs-post-req", "POST /os-keypairs"),
    shows("os-keypairs/keypairs-post-resp", "POST /os-keypairs", "keypairs-post-req"),
    sends("os-keypairs/keypairs-import-post-req", "POST /os-keypairs"),
    shows("os-keypairs/keypairs-import-post-resp", "POST /os-keypairs", "keypairs-import-post-req"),
)

_GROUPS: Final = (
    shows("os-server-groups/server-groups-list-resp", "GET /os-server-groups#{group}"),
    sends("os-server-groups/server-groups-post-req", "POST /os-server-groups"),
    shows("os-server-groups/server-groups-post-resp", "POST /os-server-groups", "server-groups-post-req"),
)

_AGGREGATES: Final = (
    shows("os-aggregates/aggregates-list-get-resp", "GET /os-aggregates#{peopled_aggregate}"),
    shows("os-aggregates/aggregates-get-resp", "GET /os-aggregates/{aggregate}"),
    sends("os-aggregates/aggregate-post-req", "POST /os-aggregates"),
    shows("os-aggregates/aggregate-post-resp", "POST /os-aggregates", "aggregate-post-req"),
    sends("os-aggregates/aggregate-update-post-req", "PUT /os-aggregates/{aggregate}"),
    shows("os-aggregates/aggregate-update-post-resp", "PUT /os-aggregates/{aggregate}", "aggregate-update-post-req"),
    sends("os-aggregates/aggregate-metadata-post-req", "POST /os-aggregates/{aggregate}/action"),
    shows(
        "os-aggregates/aggregates-metadata-post-resp",
        "POST /os-aggregates/{aggregate}/action",
        "aggregate-metadata-post-req",
    ),
    sends("os-aggregates/aggregate-add-host-post-req", "POST /os-aggregates/{aggregate}/action"),
    shows(
        "os-aggregates/aggregates-add-host-post-resp",
        "POST /os-aggregates/{aggregate}/action",
        {"add_host": {"host": "{host}"}},
    ),
    sends("os-aggregates/aggregate-remove-host-post-req", "POST /os-aggregates/{peopled_aggregate}/action"),
    shows(
        "os-aggregates/aggregates-remove-host-post-resp",
        "POST /os-aggregates/{peopled_aggregate}/action",
        {"remove_host": {"host": "{host}"}},
    ),
)

_HYPERVISORS: Final = (
    shows("os-hypervisors/hypervisors-list-resp", "GET /os-hypervisors#{server}"),
    shows("os-hypervisors/hypervisors-detail-resp", "GET /os-hypervisors/detail"),
    shows(
        "os-hypervisors/hypervisors-detail-with-servers-resp",
        "GET /os-hypervisors/detail?with_servers=1&{its_hypervisor}",
    ),
    shows(
        "os-hypervisors/hypervisors-search-resp",
        "GET /os-hypervisors?hypervisor_hostname_pattern={hypervisor_name}",
    ),
    shows("os-hypervisors/hypervisors-show-resp", "GET /os-hypervisors/{hypervisor_number}"),
    shows("os-hypervisors/hypervisors-show-resp", "GET /os-hypervisors/{hypervisor}", since="2.53"),
    shows("os-hypervisors/hypervisors-show-with-servers-resp", "GET /os-hypervisors/{hypervisor}?with_servers=1"),
    shows("os-hypervisors/hypervisors-statistics-resp", "GET /os-hypervisors/statistics"),
    shows("os-hypervisors/hypervisors-uptime-resp", "GET /os-hypervisors/{hypervisor}/uptime"),
    shows("os-hypervisors/hypervisors-with-servers-resp", "GET /os-hypervisors/{hypervisor_name}/servers"),
    shows(
        "os-hypervisors/hypervisors-with-servers-resp",
        "GET /os-hypervisors?with_servers=1&{its_hypervisor}",
        since="2.53",
    ),
    shows("os-hypervisors/hypervisors-without-servers-resp", "GET /os-hypervisors/{empty_hypervisor_name}/servers"),
    shows(
        "os-hypervisors/hypervisors-without-servers-resp",
        "GET /os-hypervisors?with_servers=1&hypervisor_hostname_pattern={empty_hypervisor_name}",
        since="2.53",
    ),
)

_FLEET: Final = (
    shows("os-availability-zone/availability-zone-list-resp", "GET /os-availability-zone"),
    shows("os-availability-zone/availability-zone-detail-resp", "GET /os-availability-zone/detail"),
    shows("os-hosts/host-get-reboot", "GET /os-hosts/{host}/reboot"),
    shows("os-hosts/host-get-startup", "GET /os-hosts/{host}/startup"),
    shows(
        "os-hosts/host-put-maintenance-resp",
        "PUT /os-hosts/{host}",
        {"status": "enable", "maintenance_mode": "disable"},
    ),
    shows("os-services/services-list-get-resp", "GET /os-services"),
    *(
        row
        for name, word, changes in (
            ("disable", "disable", {"status": "disabled"}),
            ("disable-log", "disable-log-reason", {"status": "disabled", "disabled_reason": "test2"}),
            ("enable", "enable", {"status": "enabled"}),
            ("force-down", "force-down", {"forced_down": True}),
        )
        for row in (
            sends(f"os-services/service-{name}-put-req", f"PUT /os-services/{word}"),
            sends(f"os-services/service-{name}-put-req", "PUT /os-services/{service}", since="2.53"),
            shows(f"os-services/service-{name}-put-resp", f"PUT /os-services/{word}", _CHANGES[name]),
            shows(f"os-services/service-{name}-put-resp", "PUT /os-services/{service}", changes, since="2.53"),
        )
    ),
    sends("os-server-external-events/event-create-req", "POST /os-server-external-events"),
    shows("os-server-external-events/event-create-resp", "POST /os-server-external-events", "event-create-req"),
    shows(
        "os-console-auth-tokens/get-console-connect-info-get-resp",
        "GET /os-console-auth-tokens/{console_token}",
    ),
    shows("os-migrations/migrations-get", "GET /os-migrations#{migrated_server}"),
    shows("os-migrations/migrations-get-with-limit", "GET /os-migrations#{migrated_server}"),
    shows("os-migrations/migrations-get-with-marker", "GET /os-migrations?marker={newer_migration}&status=running"),
    shows(
        "os-migrations/migrations-get-with-changes-since",
        "GET /os-migrations?changes-since=2001-01-01T00:00:00Z#{migrated_server}",
    ),
    shows(
        "os-migrations/migrations-get-with-changes-before",
        "GET /os-migrations?changes-before=2101-01-01T00:00:00Z&status=running#{migrating_server}",
    ),
    shows(
        "os-migrations/migrations-get-with-user-or-project-id",
        "GET /os-migrations?user_id={user}&project_id={project}#{migrated_server}",
    ),
)

_ROWS: Final[tuple[Row, ...]] = (
    *_FRAME,
    *_FLAVORS,
    *_IMAGES,
    *_LIMITS,
    *_KEYPAIRS,
    *_GROUPS,
    *_AGGREGATES,
    *_HYPERVISORS,
    *_FLEET,
    *SERVER_ROWS,
)
KINDS: Final = frozenset(row.kind for row in _ROWS)
"""Every kind of sample that something is asked for."""


def find_row(sample: Sample) -> Row | None:
    """How the sample is asked for, None where no row has its kind."""
    rows = [row for row in _ROWS if row.kind == sample.kind and number(row.since) <= number(sample.version)]
    return max(rows, key=lambda row: number(row.since), default=None)
