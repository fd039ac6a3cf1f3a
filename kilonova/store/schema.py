"""The tables of the control plane. What changes here changes in ``migrations/versions`` as well; a test compares them.

Instants are BIGINT microseconds. Documents are text, never a database's own JSON type: they are passed through, not
looked into (``docs/decisions``). Strings compare byte by byte on every database.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    true,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.compiler import DDLCompiler

REVISIONS: Final = (
    "0001",
    "0002",
    "0003",
    "0010",
    "0011",
    "0012",
    "0013",
    "0014",
    "0030",
    "0050",
    "0060",
    "0061",
    "0062",
    "0063",
    "0064",
    "0065",
    "0066",
    "0067",
    "0068",
    "0069",
    "0070",
)
"""Every schema revision that this code knows, oldest first; the last one is what the tables below are."""

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id: Final = BigInteger().with_variant(Integer(), "sqlite")
"""A number that the database assigns (SQLite only does so for INTEGER)."""
Name: Final = String(255)
Uuid: Final = String(36)
Instants: Final = BigInteger()
Document: Final = Text().with_variant(Text(2**24 - 1), "mysql", "mariadb")
"""Text of any length; MariaDB's own TEXT ends at 64 KiB, which 128 metadata items can pass. By its length,
as the name LONGTEXT would import MariaDB's dialect at every start."""


@compiles(CreateTable, "mysql")
@compiles(CreateTable, "mariadb")
def _create_table_on_mariadb(element: CreateTable, compiler: DDLCompiler, **options: Any) -> str:
    """Whatever the server's defaults are: transactions, all of Unicode, and names that differ in case are different."""
    made: str = compiler.visit_create_table(element, **options)  # type: ignore[no-untyped-call]
    return f"{made.rstrip()} ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"


def _text(name: str) -> Column[str]:
    return Column(name, Name, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


def _document(name: str) -> Column[str]:
    return Column(name, Document, nullable=False)


# Column order is the field order of domain.model.Instance: a row becomes a record by one call.
instances: Final = Table(
    "instances",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("uuid", Uuid, nullable=False, unique=True),
    Column("generation", BigInteger, nullable=False),
    _text("project_id"),
    _text("user_id"),
    _text("display_name"),
    _text("hostname"),
    Column("vm_state", String(32), nullable=False),
    Column("task_state", String(32)),
    _number("power_state"),
    Column("host", Name),
    Column("node", Name),
    Column("flavor_id", BigInteger, nullable=False),
    _text("flavorid"),
    _text("flavor_name"),
    _document("flavor_json"),
    _number("vcpus"),
    _number("memory_mb"),
    _number("root_gb"),
    _number("ephemeral_gb"),
    _number("swap_mb"),
    _text("image_ref"),
    _document("image_json"),
    _document("metadata_json"),
    _document("tags_json"),
    _document("addresses_json"),
    _document("security_groups_json"),
    _document("volumes_json"),
    Column("created_at", Instants, nullable=False),
    Column("updated_at", Instants),
    Column("launched_at", Instants),
    Column("terminated_at", Instants),
    Column("deleted_at", Instants),
    Column("display_description", Name),
    Column("availability_zone", Name),
    Column("key_name", Name),
    Column("user_data", Document),
    _text("config_drive"),
    _text("reservation_id"),
    _number("launch_index"),
    Column("root_device_name", Name),
    _text("kernel_id"),
    _text("ramdisk_id"),
    _text("disk_config"),
    _text("access_ip_v4"),
    _text("access_ip_v6"),
    _number("progress"),
    Column("locked_by", String(32)),
    Column("locked_reason", Name),
    _document("hints_json"),
    _document("nics_json"),
    Column("key_data", Document),
    Column("trusted_certs_json", Document),
    CheckConstraint(
        "deleted_at IS NULL OR (terminated_at IS NOT NULL AND task_state IS NULL AND vm_state = 'deleted')",
        name="deleted_is_final",
    ),
    CheckConstraint("generation > 0", name="generation_counts"),
    Index(None, "project_id", "deleted_at", "created_at", "id"),
    Index(None, "deleted_at", "created_at", "id"),
    Index(None, "host", "deleted_at"),
    Index(None, "updated_at"),
    Index(None, "project_id", "uuid"),
)

# PostgreSQL does not take the order of an index beyond IS NULL, and would sort every listing of living servers.
Index(
    "ix_instances_living_project_id_created_at_id",
    instances.c.project_id,
    instances.c.created_at,
    instances.c.id,
    postgresql_where=instances.c.deleted_at.is_(None),
).ddl_if(dialect="postgresql")
Index(
    "ix_instances_living_created_at_id",
    instances.c.created_at,
    instances.c.id,
    postgresql_where=instances.c.deleted_at.is_(None),
).ddl_if(dialect="postgresql")

instance_actions: Final = Table(
    "instance_actions",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("instance_uuid", Uuid, ForeignKey("instances.uuid"), nullable=False),
    _text("request_id"),
    _text("action"),
    _text("operation"),
    Column("user_id", Name),
    Column("project_id", Name),
    Column("started_at", Instants, nullable=False),
    Column("updated_at", Instants),
    Column("finished_at", Instants),
    Column("result", String(32)),
    Column("message", Name),
    Column("host", Name),
    Column("owner", Name),
    Column("lease_until", Instants),
    Column("deadline_at", Instants, nullable=False),
    _number("attempts"),
    Column("parameters_json", Document, nullable=False),
    Column("step", String(64)),
    Column("is_undoing", Boolean, nullable=False, server_default=false()),
    Column("course_json", Document, nullable=False, server_default="{}"),
    Column("context_json", Document),
    Column("cause", String(64)),
    CheckConstraint("(finished_at IS NULL) = (result IS NULL)", name="an_end_has_a_result"),
    CheckConstraint("finished_at IS NULL OR owner IS NULL", name="closed_is_nobodys"),
    CheckConstraint("(owner IS NULL) = (lease_until IS NULL)", name="an_owner_has_a_lease"),
    Index(None, "instance_uuid", "id"),
    Index(None, "finished_at", "host", "id"),
    Index(None, "request_id"),
)

instance_events: Final = Table(
    "instance_events",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("action_id", Id, ForeignKey("instance_actions.id"), nullable=False),
    _text("event"),
    Column("host", Name),
    Column("started_at", Instants, nullable=False),
    Column("finished_at", Instants),
    Column("result", String(32)),
    Column("traceback", Document),
    Column("details", Document),
    CheckConstraint("(finished_at IS NULL) = (result IS NULL)", name="an_end_has_a_result"),
    Index(None, "action_id", "id"),
)

instance_faults: Final = Table(
    "instance_faults",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("instance_uuid", Uuid, ForeignKey("instances.uuid"), nullable=False),
    _number("code"),
    Column("cause", String(64), nullable=False),
    _text("message"),
    Column("details", Document, nullable=False),
    Column("host", Name),
    Column("created_at", Instants, nullable=False),
    Column("action_id", BigInteger),
    Column("is_attempt", Boolean, nullable=False, server_default=false()),
    Index(None, "instance_uuid", "id"),
    Index(None, "action_id"),
)

usage_segments: Final = Table(
    "usage_segments",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("instance_uuid", Uuid, ForeignKey("instances.uuid"), nullable=False),
    _text("project_id"),
    _text("flavor_name"),
    _number("vcpus"),
    _number("memory_mb"),
    _number("disk_gb"),
    Column("vm_state", String(32), nullable=False),
    Column("host", Name),
    Column("started_at", Instants, nullable=False),
    Column("ended_at", Instants),
    Index(None, "instance_uuid", "id"),
    Index(None, "project_id", "started_at"),
    Index(None, "host", "started_at"),
)

services: Final = Table(
    "services",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("uuid", Uuid, nullable=False, unique=True),
    _text("binary"),
    _text("host"),
    Column("disabled", Boolean, nullable=False, server_default=false()),
    Column("disabled_reason", Name),
    Column("forced_down", Boolean, nullable=False, server_default=false()),
    Column("report_count", BigInteger, nullable=False),
    Column("last_seen_at", Instants),
    Column("created_at", Instants, nullable=False),
    Column("updated_at", Instants),
    _number("version"),
    Column("was_up", Boolean, nullable=False, server_default=true()),
    Column("turned_at", Instants),
    UniqueConstraint("binary", "host"),
    # A number that an agent still beats with must never become another service's.
    sqlite_autoincrement=True,
)

compute_nodes: Final = Table(
    "compute_nodes",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("uuid", Uuid, nullable=False, unique=True),
    _text("host"),
    _text("hypervisor_hostname"),
    _text("hypervisor_type"),
    Column("hypervisor_version", BigInteger, nullable=False),
    _text("host_ip"),
    _number("vcpus"),
    Column("memory_mb", BigInteger, nullable=False),
    Column("local_gb", BigInteger, nullable=False),
    _number("vcpus_used"),
    Column("memory_mb_used", BigInteger, nullable=False),
    Column("local_gb_used", BigInteger, nullable=False),
    _number("running_vms"),
    Column("cpu_allocation_ratio", Double, nullable=False),
    Column("ram_allocation_ratio", Double, nullable=False),
    Column("disk_allocation_ratio", Double, nullable=False),
    Column("reserved_memory_mb", BigInteger, nullable=False),
    Column("reserved_disk_gb", BigInteger, nullable=False),
    Column("disk_available_least", BigInteger),
    Column("cpu_info_json", Document, nullable=False),
    Column("uptime_text", Name),
    Column("created_at", Instants, nullable=False),
    Column("updated_at", Instants),
    CheckConstraint(
        "vcpus_used >= 0 AND memory_mb_used >= 0 AND local_gb_used >= 0 AND running_vms >= 0",
        name="nothing_used_below_zero",
    ),
    UniqueConstraint("host", "hypervisor_hostname"),
)

claims: Final = Table(
    "claims",
    metadata,
    Column("instance_uuid", Uuid, ForeignKey("instances.uuid"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("node_uuid", Uuid, ForeignKey("compute_nodes.uuid"), nullable=False, index=True),
    _number("vcpus"),
    Column("memory_mb", BigInteger, nullable=False),
    Column("local_gb", BigInteger, nullable=False),
)

migrations: Final = Table(
    "migrations",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("uuid", Uuid, nullable=False, unique=True),
    Column("instance_uuid", Uuid, ForeignKey("instances.uuid"), nullable=False),
    Column("action_id", Id, ForeignKey("instance_actions.id"), nullable=False),
    Column("migration_type", String(32), nullable=False),
    Column("status", String(32), nullable=False),
    Column("source_compute", Name),
    Column("source_node", Name),
    Column("dest_compute", Name),
    Column("dest_node", Name),
    Column("dest_host", Name),
    Column("old_flavor_json", Document),
    Column("new_flavor_json", Document),
    Column("hidden", Boolean, nullable=False, server_default=false()),
    Column("user_id", Name),
    Column("project_id", Name),
    Column("memory_total_bytes", BigInteger),
    Column("memory_processed_bytes", BigInteger),
    Column("memory_remaining_bytes", BigInteger),
    Column("disk_total_bytes", BigInteger),
    Column("disk_processed_bytes", BigInteger),
    Column("disk_remaining_bytes", BigInteger),
    Column("created_at", Instants, nullable=False),
    Column("updated_at", Instants),
    Index(None, "instance_uuid", "id"),
    Index(None, "created_at", "id"),
    Index(None, "status", "updated_at"),
)

flavors: Final = Table(
    "flavors",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("flavorid", Name, nullable=False, unique=True),
    Column("name", Name, nullable=False, unique=True),
    _number("vcpus"),
    _number("memory_mb"),
    _number("root_gb"),
    _number("ephemeral_gb"),
    _number("swap_mb"),
    Column("rxtx_factor", Double, nullable=False),
    Column("is_public", Boolean, nullable=False, server_default=true()),
    Column("disabled", Boolean, nullable=False, server_default=false()),
    Column("description", Document),
    _document("extra_specs_json"),
    Column("created_at", Instants, nullable=False),
)

decisions: Final = Table(
    "decisions",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("instance_uuid", Uuid, ForeignKey("instances.uuid"), nullable=False),
    _text("request_id"),
    Column("decided_at", Instants, nullable=False),
    _number("candidates"),
    Column("chosen_host", Name),
    Column("chosen_node", Name),
    Column("summary", Document, nullable=False),
    Column("document_json", Document, nullable=False),
    Index(None, "instance_uuid", "id"),
    Index(None, "decided_at"),
)

journal: Final = Table(
    "journal",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("seq", BigInteger, unique=True),
    Column("kind", String(64), nullable=False),
    _text("key"),
    Column("project_id", Name),
    Column("operation", String(64)),
    Column("phase", String(32)),
    Column("cause", String(32), nullable=False),
    Column("request_id", Name),
    Column("user_id", Name),
    Column("caller_project_id", Name),
    Column("received_at", Instants),
    Column("occurred_at", Instants, nullable=False),
    Column("snapshot_json", Document, nullable=False),
    Column("previous_json", Document),
    Column("facts_json", Document, nullable=False),
    Index(None, "kind", "key", "seq"),
    Index(None, "project_id", "seq"),
    Index(None, "occurred_at"),
    Index(None, "request_id"),
)

# A row a project, for nothing but to be locked: who counts and then adds does so alone.
project_locks: Final = Table(
    "project_locks",
    metadata,
    Column("project_id", Name, primary_key=True),
)

journal_head: Final = Table(
    "journal_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    # What is numbered and still there, counted as it comes and goes; and the newest that was forgotten.
    Column("row_count", BigInteger, nullable=False, server_default="0"),
    Column("byte_count", BigInteger, nullable=False, server_default="0"),
    Column("forgotten_seq", BigInteger, nullable=False, server_default="0"),
    Column("forgotten_at", Instants),
)

schema_version: Final = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
