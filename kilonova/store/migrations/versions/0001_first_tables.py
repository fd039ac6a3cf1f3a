"""Servers, their ledger and journal, the fleet, and flavors.

Revision ID: 0001
Revises:
"""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None

_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DOCUMENT: Final = sa.Text().with_variant(sa.Text(2**24 - 1), "mysql", "mariadb")


def upgrade() -> None:
    _create_compute_nodes()
    _create_flavors()
    _create_instances()
    _create_journal()
    _create_journal_head()
    _create_services()
    _create_claims()
    _create_decisions()
    _create_instance_actions()
    _create_instance_faults()
    _create_usage_segments()
    _create_instance_events()
    op.execute(sa.text("INSERT INTO journal_head (id, seq) VALUES (1, 0)"))


def _create_compute_nodes() -> None:
    op.create_table(
        "compute_nodes",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("hypervisor_hostname", sa.String(length=255), nullable=False),
        sa.Column("hypervisor_type", sa.String(length=255), nullable=False),
        sa.Column("hypervisor_version", sa.BigInteger(), nullable=False),
        sa.Column("host_ip", sa.String(length=255), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.BigInteger(), nullable=False),
        sa.Column("local_gb", sa.BigInteger(), nullable=False),
        sa.Column("vcpus_used", sa.Integer(), nullable=False),
        sa.Column("memory_mb_used", sa.BigInteger(), nullable=False),
        sa.Column("local_gb_used", sa.BigInteger(), nullable=False),
        sa.Column("running_vms", sa.Integer(), nullable=False),
        sa.Column("cpu_allocation_ratio", sa.Double(), nullable=False),
        sa.Column("ram_allocation_ratio", sa.Double(), nullable=False),
        sa.Column("disk_allocation_ratio", sa.Double(), nullable=False),
        sa.Column("reserved_memory_mb", sa.BigInteger(), nullable=False),
        sa.Column("reserved_disk_gb", sa.BigInteger(), nullable=False),
        sa.Column("disk_available_least", sa.BigInteger(), nullable=True),
        sa.Column("cpu_info_json", _DOCUMENT, nullable=False),
        sa.Column("uptime_text", sa.String(length=255), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "vcpus_used >= 0 AND memory_mb_used >= 0 AND local_gb_used >= 0 AND running_vms >= 0",
            name=op.f("ck_compute_nodes_nothing_used_below_zero"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compute_nodes")),
        sa.UniqueConstraint("host", "hypervisor_hostname", name=op.f("uq_compute_nodes_host_hypervisor_hostname")),
        sa.UniqueConstraint("uuid", name=op.f("uq_compute_nodes_uuid")),
    )


def _create_flavors() -> None:
    op.create_table(
        "flavors",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("flavorid", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("root_gb", sa.Integer(), nullable=False),
        sa.Column("ephemeral_gb", sa.Integer(), nullable=False),
        sa.Column("swap_mb", sa.Integer(), nullable=False),
        sa.Column("rxtx_factor", sa.Double(), nullable=False),
        sa.Column("is_public", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("disabled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("description", _DOCUMENT, nullable=True),
        sa.Column("extra_specs_json", _DOCUMENT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flavors")),
        sa.UniqueConstraint("flavorid", name=op.f("uq_flavors_flavorid")),
        sa.UniqueConstraint("name", name=op.f("uq_flavors_name")),
    )


def _create_instances() -> None:
    op.create_table(
        "instances",
        *_instance_settings(),
        *_instance_circumstances(),
        sa.CheckConstraint(
            "deleted_at IS NULL OR (terminated_at IS NOT NULL AND task_state IS NULL AND vm_state = 'deleted')",
            name=op.f("ck_instances_deleted_is_final"),
        ),
        sa.CheckConstraint("generation > 0", name=op.f("ck_instances_generation_counts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
        sa.UniqueConstraint("uuid", name=op.f("uq_instances_uuid")),
    )
    op.create_index(
        op.f("ix_instances_deleted_at_created_at_id"), "instances", ["deleted_at", "created_at", "id"], unique=False
    )
    op.create_index(op.f("ix_instances_host_deleted_at"), "instances", ["host", "deleted_at"], unique=False)
    op.create_index(
        op.f("ix_instances_project_id_deleted_at_created_at_id"),
        "instances",
        ["project_id", "deleted_at", "created_at", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_instances_updated_at"), "instances", ["updated_at"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        living = sa.text("deleted_at IS NULL")
        op.create_index(
            "ix_instances_living_project_id_created_at_id",
            "instances",
            ["project_id", "created_at", "id"],
            postgresql_where=living,
        )
        op.create_index("ix_instances_living_created_at_id", "instances", ["created_at", "id"], postgresql_where=living)


def _instance_settings() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("display_name", sa.String(length=255), nullable=False),
        sa.Column("hostname", sa.String(length=255), nullable=False),
        sa.Column("vm_state", sa.String(length=32), nullable=False),
        sa.Column("task_state", sa.String(length=32), nullable=True),
        sa.Column("power_state", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("node", sa.String(length=255), nullable=True),
        sa.Column("flavor_id", sa.BigInteger(), nullable=False),
        sa.Column("flavorid", sa.String(length=255), nullable=False),
        sa.Column("flavor_name", sa.String(length=255), nullable=False),
        sa.Column("flavor_json", _DOCUMENT, nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("root_gb", sa.Integer(), nullable=False),
        sa.Column("ephemeral_gb", sa.Integer(), nullable=False),
        sa.Column("swap_mb", sa.Integer(), nullable=False),
        sa.Column("image_ref", sa.String(length=255), nullable=False),
        sa.Column("image_json", _DOCUMENT, nullable=False),
        sa.Column("metadata_json", _DOCUMENT, nullable=False),
        sa.Column("tags_json", _DOCUMENT, nullable=False),
        sa.Column("addresses_json", _DOCUMENT, nullable=False),
        sa.Column("security_groups_json", _DOCUMENT, nullable=False),
        sa.Column("volumes_json", _DOCUMENT, nullable=False),
    ]


def _instance_circumstances() -> list[sa.Column[Any]]:
    return [
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.Column("launched_at", sa.BigInteger(), nullable=True),
        sa.Column("terminated_at", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.Column("display_description", sa.String(length=255), nullable=True),
        sa.Column("availability_zone", sa.String(length=255), nullable=True),
        sa.Column("key_name", sa.String(length=255), nullable=True),
        sa.Column("user_data", _DOCUMENT, nullable=True),
        sa.Column("config_drive", sa.String(length=255), nullable=False),
        sa.Column("reservation_id", sa.String(length=255), nullable=False),
        sa.Column("launch_index", sa.Integer(), nullable=False),
        sa.Column("root_device_name", sa.String(length=255), nullable=True),
        sa.Column("kernel_id", sa.String(length=255), nullable=False),
        sa.Column("ramdisk_id", sa.String(length=255), nullable=False),
        sa.Column("disk_config", sa.String(length=255), nullable=False),
        sa.Column("access_ip_v4", sa.String(length=255), nullable=False),
        sa.Column("access_ip_v6", sa.String(length=255), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("locked_by", sa.String(length=32), nullable=True),
        sa.Column("locked_reason", sa.String(length=255), nullable=True),
        sa.Column("hints_json", _DOCUMENT, nullable=False),
        sa.Column("nics_json", _DOCUMENT, nullable=False),
    ]


def _create_journal() -> None:
    op.create_table(
        "journal",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=True),
        sa.Column("operation", sa.String(length=64), nullable=True),
        sa.Column("phase", sa.String(length=32), nullable=True),
        sa.Column("cause", sa.String(length=32), nullable=False),
        sa.Column("request_id", sa.String(length=255), nullable=True),
        sa.Column("user_id", sa.String(length=255), nullable=True),
        sa.Column("caller_project_id", sa.String(length=255), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=True),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("snapshot_json", _DOCUMENT, nullable=False),
        sa.Column("previous_json", _DOCUMENT, nullable=True),
        sa.Column("facts_json", _DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
        sa.UniqueConstraint("seq", name=op.f("uq_journal_seq")),
    )
    op.create_index(op.f("ix_journal_kind_key_seq"), "journal", ["kind", "key", "seq"], unique=False)


def _create_journal_head() -> None:
    op.create_table(
        "journal_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_head")),
    )


def _create_services() -> None:
    op.create_table(
        "services",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("binary", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("disabled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("disabled_reason", sa.String(length=255), nullable=True),
        sa.Column("forced_down", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("report_count", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_services")),
        sa.UniqueConstraint("binary", "host", name=op.f("uq_services_binary_host")),
        sa.UniqueConstraint("uuid", name=op.f("uq_services_uuid")),
    )


def _create_claims() -> None:
    op.create_table(
        "claims",
        sa.Column("instance_uuid", sa.String(length=36), nullable=False),
        sa.Column("node_uuid", sa.String(length=36), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.BigInteger(), nullable=False),
        sa.Column("local_gb", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["instance_uuid"], ["instances.uuid"], name=op.f("fk_claims_instance_uuid")),
        sa.ForeignKeyConstraint(["node_uuid"], ["compute_nodes.uuid"], name=op.f("fk_claims_node_uuid")),
        sa.PrimaryKeyConstraint("instance_uuid", name=op.f("pk_claims")),
    )
    op.create_index(op.f("ix_claims_node_uuid"), "claims", ["node_uuid"], unique=False)


def _create_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("instance_uuid", sa.String(length=36), nullable=False),
        sa.Column("request_id", sa.String(length=255), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("candidates", sa.Integer(), nullable=False),
        sa.Column("chosen_host", sa.String(length=255), nullable=True),
        sa.Column("chosen_node", sa.String(length=255), nullable=True),
        sa.Column("summary", _DOCUMENT, nullable=False),
        sa.Column("document_json", _DOCUMENT, nullable=False),
        sa.ForeignKeyConstraint(["instance_uuid"], ["instances.uuid"], name=op.f("fk_decisions_instance_uuid")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_instance_uuid_id"), "decisions", ["instance_uuid", "id"], unique=False)


def _create_instance_actions() -> None:
    op.create_table(
        "instance_actions",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("instance_uuid", sa.String(length=36), nullable=False),
        sa.Column("request_id", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=255), nullable=False),
        sa.Column("operation", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=True),
        sa.Column("project_id", sa.String(length=255), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.String(length=32), nullable=True),
        sa.Column("message", sa.String(length=255), nullable=True),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("owner", sa.String(length=255), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("deadline_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("parameters_json", _DOCUMENT, nullable=False),
        sa.CheckConstraint(
            "(finished_at IS NULL) = (result IS NULL)", name=op.f("ck_instance_actions_an_end_has_a_result")
        ),
        sa.CheckConstraint(
            "(owner IS NULL) = (lease_until IS NULL)", name=op.f("ck_instance_actions_an_owner_has_a_lease")
        ),
        sa.CheckConstraint("finished_at IS NULL OR owner IS NULL", name=op.f("ck_instance_actions_closed_is_nobodys")),
        sa.ForeignKeyConstraint(["instance_uuid"], ["instances.uuid"], name=op.f("fk_instance_actions_instance_uuid")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance_actions")),
    )
    op.create_index(
        op.f("ix_instance_actions_finished_at_host_id"), "instance_actions", ["finished_at", "host", "id"], unique=False
    )
    op.create_index(
        op.f("ix_instance_actions_instance_uuid_id"), "instance_actions", ["instance_uuid", "id"], unique=False
    )


def _create_instance_faults() -> None:
    op.create_table(
        "instance_faults",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("instance_uuid", sa.String(length=36), nullable=False),
        sa.Column("code", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(length=64), nullable=False),
        sa.Column("message", sa.String(length=255), nullable=False),
        sa.Column("details", _DOCUMENT, nullable=False),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["instance_uuid"], ["instances.uuid"], name=op.f("fk_instance_faults_instance_uuid")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance_faults")),
    )
    op.create_index(
        op.f("ix_instance_faults_instance_uuid_id"), "instance_faults", ["instance_uuid", "id"], unique=False
    )


def _create_usage_segments() -> None:
    op.create_table(
        "usage_segments",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("instance_uuid", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("flavor_name", sa.String(length=255), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("disk_gb", sa.Integer(), nullable=False),
        sa.Column("vm_state", sa.String(length=32), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["instance_uuid"], ["instances.uuid"], name=op.f("fk_usage_segments_instance_uuid")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_segments")),
    )
    op.create_index(op.f("ix_usage_segments_instance_uuid_id"), "usage_segments", ["instance_uuid", "id"], unique=False)
    op.create_index(
        op.f("ix_usage_segments_project_id_started_at"), "usage_segments", ["project_id", "started_at"], unique=False
    )


def _create_instance_events() -> None:
    op.create_table(
        "instance_events",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("action_id", _ID, nullable=False),
        sa.Column("event", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.String(length=32), nullable=True),
        sa.Column("traceback", _DOCUMENT, nullable=True),
        sa.Column("details", _DOCUMENT, nullable=True),
        sa.CheckConstraint(
            "(finished_at IS NULL) = (result IS NULL)", name=op.f("ck_instance_events_an_end_has_a_result")
        ),
        sa.ForeignKeyConstraint(["action_id"], ["instance_actions.id"], name=op.f("fk_instance_events_action_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance_events")),
    )
    op.create_index(op.f("ix_instance_events_action_id_id"), "instance_events", ["action_id", "id"], unique=False)
