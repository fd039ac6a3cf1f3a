"""The rows of servers, and of everything below a server's path."""

from typing import Any, Final

from tests.compat.golden.row import Row, sends, shows

_ACTION: Final = "POST /servers/{other_server}/action"
_PAST, _FUTURE = "2001-01-01T00:00:00Z", "2101-01-01T00:00:00Z"
_REBUILD: Final[dict[str, Any]] = {"rebuild": {"imageRef": "{image}", "name": "foobar"}}
_NEW: Final[dict[str, Any]] = {"name": "new-server-test", "imageRef": "{image}", "flavorRef": "1"}
_GROUP: Final[dict[str, Any]] = {"server_group": {"name": "test", "policy": "affinity"}}

_SERVERS: Final = (
    shows("servers/server-get-resp", "GET /servers/{server}"),
    shows("servers/servers-list-resp", "GET /servers#{server}"),
    shows("servers/servers-details-resp", "GET /servers/detail#{server}"),
    shows("servers/servers-list-status-resp", "GET /servers?status=ACTIVE&status=ERROR#{server}"),
    shows("servers/servers-list-with-changes-before", f"GET /servers?changes-before={_FUTURE}&uuid={{server}}"),
    shows(
        "servers/servers-details-with-changes-before",
        f"GET /servers/detail?changes-before={_FUTURE}&uuid={{server}}",
    ),
    shows("servers-sort/server-sort-keys-list-resp", "GET /servers?sort_key=display_name&sort_dir=asc#{server}"),
    shows("servers/server-create-resp", "POST /servers", {"server": _NEW}),
    shows("servers/server-create-resp", "POST /servers", {"server": {**_NEW, "networks": "auto"}}, since="2.37"),
    shows("servers/server-update-resp", "PUT /servers/{other_server}", "server-update-req"),
    shows("servers/server-action-rebuild-resp", _ACTION, _REBUILD),
    shows("servers/server-action-create-image-resp", _ACTION, "server-action-create-image"),
    shows("servers/server-groups-post-resp", "POST /os-server-groups", _GROUP),
    sends("servers/server-create-req", "POST /servers"),
    sends("servers/server-create-req-v237", "POST /servers", version="2.37"),
    sends("servers/server-create-req-v257", "POST /servers", version="2.57"),
    sends("servers/server-create-req-with-host-and-node", "POST /servers"),
    sends("servers/server-create-req-with-only-host", "POST /servers"),
    sends("servers/server-create-req-with-only-node", "POST /servers"),
    sends("servers/server-update-req", "PUT /servers/{other_server}"),
    sends("servers/server-put-req", "PUT /servers/{other_server}"),
    sends("servers/server-action-create-image", _ACTION),
    sends("servers/server-action-reboot", _ACTION),
    sends("servers/server-action-rebuild", _ACTION),
    sends("servers/server-action-resize", _ACTION),
    sends("servers/server-action-revert-resize", "POST /servers/{resized_server}/action"),
    sends("servers/server-action-trigger-crash-dump", _ACTION),
    sends("servers/lock-server-with-reason", _ACTION),
    shows("os-multiple-create/multiple-create-no-resv-post-resp", "POST /servers", "multiple-create-no-resv-post-req"),
    sends("os-multiple-create/multiple-create-no-resv-post-req", "POST /servers"),
    sends("os-multiple-create/multiple-create-post-req", "POST /servers"),
)

_ACTIONS: Final = (
    sends("os-admin-actions/admin-actions-inject-network-info", _ACTION),
    sends("os-admin-actions/admin-actions-reset-network", _ACTION),
    sends("os-admin-actions/admin-actions-reset-server-state", _ACTION),
    sends("os-admin-password/admin-password-change-password", _ACTION),
    sends("os-create-backup/create-backup-req", _ACTION),
    shows("os-create-backup/create-backup-resp", _ACTION, "create-backup-req"),
    sends("os-deferred-delete/force-delete-post-req", _ACTION),
    sends("os-deferred-delete/restore-post-req", "POST /servers/{softly_deleted_server}/action"),
    sends("os-evacuate/server-evacuate-req", "POST /servers/{lost_server}/action"),
    sends("os-evacuate/server-evacuate-find-host-req", "POST /servers/{lost_server}/action"),
    shows(
        "os-evacuate/server-evacuate-find-host-resp",
        "POST /servers/{lost_server}/action",
        {"evacuate": {"onSharedStorage": "False"}},
    ),
    sends("os-lock-server/unlock-server", "POST /servers/{locked_server}/action"),
    sends("os-lock-server/lock-server-with-reason", _ACTION),
    sends("os-migrate-server/live-migrate-server", _ACTION),
    sends("os-migrate-server/migrate-server", _ACTION),
    sends("os-migrate-server/migrate-server-null", _ACTION),
    sends("os-pause-server/pause-server", _ACTION),
    sends("os-preserve-ephemeral-rebuild/server-action-rebuild-preserve-ephemeral", _ACTION),
    shows(
        "os-preserve-ephemeral-rebuild/server-action-rebuild-preserve-ephemeral-resp",
        _ACTION,
        "server-action-rebuild-preserve-ephemeral",
    ),
    sends("os-rescue/server-rescue-req", _ACTION),
    sends("os-rescue/server-rescue-req-with-image-ref", _ACTION),
    shows("os-rescue/server-rescue", _ACTION, "server-rescue-req"),
    sends("os-rescue/server-unrescue-req", "POST /servers/{rescued_server}/action"),
    shows("os-rescue/server-get-resp-rescue", "GET /servers/{rescued_server}"),
    shows("os-rescue/server-get-resp-unrescue", "GET /servers/{server}"),
    sends("os-shelve/os-shelve", _ACTION),
    sends("os-shelve/os-unshelve", "POST /servers/{shelved_server}/action"),
    sends("os-shelve/os-unshelve-az", "POST /servers/{shelved_server}/action"),
    sends("os-shelve/os-unshelve-az-host", "POST /servers/{shelved_server}/action"),
    sends("os-shelve/os-unshelve-host", "POST /servers/{shelved_server}/action"),
    sends("os-shelve/os-unshelve-host-and-unpin-az", "POST /servers/{shelved_server}/action"),
    sends("os-shelve/os-unshelve-unpin-az", "POST /servers/{shelved_server}/action"),
    sends("os-suspend-server/server-suspend", _ACTION),
    sends("os-suspend-server/server-resume", "POST /servers/{suspended_server}/action"),
    shows("os-console-output/console-output-post-resp", _ACTION, {"os-getConsoleOutput": {"length": 50}}),
    sends("os-remote-consoles/get-vnc-console-post-req", "POST /servers/{screened_server}/action"),
    sends("os-remote-consoles/get-spice-console-post-req", _ACTION),
    shows("os-remote-consoles/get-spice-console-post-resp", _ACTION, "get-spice-console-post-req"),
    shows("os-remote-consoles/get-rdp-console-post-resp", _ACTION, {"os-getRDPConsole": {"type": "rdp-html5"}}),
    sends("os-remote-consoles/create-rdp-console-req", "POST /servers/{other_server}/remote-consoles"),
    sends("os-remote-consoles/create-vnc-console-req", "POST /servers/{screened_server}/remote-consoles"),
    sends("os-remote-consoles/create-mks-console-req", "POST /servers/{other_server}/remote-consoles"),
    shows(
        "os-remote-consoles/create-vnc-console-resp",
        "POST /servers/{screened_server}/remote-consoles",
        "create-vnc-console-req",
    ),
    shows(
        "os-remote-consoles/create-mks-console-resp",
        "POST /servers/{other_server}/remote-consoles",
        "create-mks-console-req",
    ),
    sends("server-migrations/live-migrate-server", _ACTION),
)

_HISTORY: Final = "GET /servers/{acted_server}/os-instance-actions"
_PARTS: Final = (
    shows("os-instance-actions/instance-actions-list-resp", _HISTORY),
    shows("os-instance-actions/instance-actions-list-with-limit-resp", _HISTORY),
    shows("os-instance-actions/instance-actions-list-with-marker-resp", _HISTORY + "?marker={latest_request}"),
    shows("os-instance-actions/instance-actions-list-with-changes-since", _HISTORY + f"?changes-since={_PAST}"),
    shows("os-instance-actions/instance-actions-list-with-changes-before", _HISTORY + f"?changes-before={_FUTURE}"),
    shows("os-instance-actions/instance-action-get-resp", _HISTORY + "/{stop_request}"),
    shows("os-instance-actions/instance-action-get-non-admin-resp", _HISTORY + "/{stop_request}", is_admin=False),
    shows("os-server-diagnostics/server-diagnostics-get-resp", "GET /servers/{server}/diagnostics", is_free=True),
    shows("os-server-diagnostics/server-diagnostics-get-resp", "GET /servers/{server}/diagnostics", since="2.48"),
    shows("os-server-password/get-password-resp", "GET /servers/{server}/os-server-password"),
    shows("os-server-tags/server-tags-index-resp", "GET /servers/{tagged_server}/tags"),
    sends("os-server-tags/server-tags-put-all-req", "PUT /servers/{other_server}/tags"),
    shows("os-server-tags/server-tags-put-all-resp", "PUT /servers/{other_server}/tags", "server-tags-put-all-req"),
    shows("os-server-tags/server-tags-show-details-resp", "GET /servers/{tagged_server}"),
    shows("os-server-tags/servers-tags-details-resp", "GET /servers/detail?tags=tag1#{tagged_server}"),
    shows("os-server-topology/servers-topology-resp", "GET /servers/{server}/topology"),
    shows("os-server-topology/servers-topology-resp-user", "GET /servers/{server}/topology", is_admin=False),
    shows("server-ips/server-ips-resp", "GET /servers/{server}/ips"),
    sends("server-metadata/server-metadata-all-req", "PUT /servers/{other_server}/metadata"),
    sends("server-metadata/server-metadata-req", "PUT /servers/{other_server}/metadata/foo"),
    shows("server-migrations/migrations-index", "GET /servers/{migrating_server}/migrations"),
    shows("server-migrations/migrations-get", "GET /servers/{migrating_server}/migrations/{migration_number}"),
    sends(
        "server-migrations/force_complete",
        "POST /servers/{migrating_server}/migrations/{migration_number}/action",
    ),
    shows("consoles/consoles-get-resp", "GET /servers/{server}/consoles/1"),
    shows("os-attach-interfaces/attach-interfaces-list-resp", "GET /servers/{server}/os-interface"),
    shows("os-attach-interfaces/attach-interfaces-show-resp", "GET /servers/{server}/os-interface/{port}"),
    shows(
        "os-attach-interfaces/attach-interfaces-create-resp",
        "POST /servers/{other_server}/os-interface",
        {"interfaceAttachment": {"net_id": "{network}"}},
    ),
    sends("os-attach-interfaces/attach-interfaces-create-req", "POST /servers/{other_server}/os-interface"),
    sends("os-attach-interfaces/attach-interfaces-create-net_id-req", "POST /servers/{other_server}/os-interface"),
)

SERVER_ROWS: Final[tuple[Row, ...]] = (*_SERVERS, *_ACTIONS, *_PARTS)
