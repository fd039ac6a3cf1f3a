"""Workflows resumed from the ledger, two claims of a server on the move, and the record of every migration.

Revision ID: 0061
Revises: 0060
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0061"
down_revision: Final = "0060"

_Document: Final = sa.Text().with_variant(sa.Text(2**24 - 1), "mysql", "mariadb")
_Id: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("instance_actions", sa.Column("step", sa.String(length=64), nullable=True))
    op.add_column("instance_actions", sa.Column("is_undoing", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("instance_actions", sa.Column("course_json", _Document, nullable=False, server_default="{}"))
    _key_claims_by_kind()
    _create_migrations()


def _key_claims_by_kind() -> None:
    """Made anew with its rows, as a primary key cannot be changed in the same way everywhere."""
    amounts = (
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.BigInteger(), nullable=False),
        sa.Column("local_gb", sa.BigInteger(), nullable=False),
    )
    names = ("instance_uuid", "node_uuid", *(column.name for column in amounts))
    rows = op.get_bind().execute(sa.text(f"SELECT {', '.join(names)} FROM claims")).mappings().all()  # noqa: S608
    op.drop_table("claims")
    made = op.create_table(
        "claims",
        sa.Column("instance_uuid", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("node_uuid", sa.String(length=36), nullable=False),
        *amounts,
        sa.ForeignKeyConstraint(["instance_uuid"], ["instances.uuid"], name=op.f("fk_claims_instance_uuid")),
        sa.ForeignKeyConstraint(["node_uuid"], ["compute_nodes.uuid"], name=op.f("fk_claims_node_uuid")),
        sa.PrimaryKeyConstraint("instance_uuid", "kind", name=op.f("pk_claims")),
    )
    op.create_index(op.f("ix_claims_node_uuid"), "claims", ["node_uuid"], unique=False)
    if rows:
        op.bulk_insert(made, [{**row, "kind": "home"} for row in rows])


def _create_migrations() -> None:
    names = ("source_compute", "source_node", "dest_compute", "dest_node", "dest_host")
    counts = [f"{what}_{how}_bytes" for what in ("memory", "disk") for how in ("total", "processed", "remaining")]
    op.create_table(
        "migrations",
        sa.Column("id", _Id, autoincrement=True, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("instance_uuid", sa.String(length=36), nullable=False),
        sa.Column("action_id", _Id, nullable=False),
        sa.Column("migration_type", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        *(sa.Column(name, sa.String(length=255), nullable=True) for name in names),
        sa.Column("old_flavor_json", _Document, nullable=True),
        sa.Column("new_flavor_json", _Document, nullable=True),
        sa.Column("hidden", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("user_id", sa.String(length=255), nullable=True),
        sa.Column("project_id", sa.String(length=255), nullable=True),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in counts),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["action_id"], ["instance_actions.id"], name=op.f("fk_migrations_action_id")),
        sa.ForeignKeyConstraint(["instance_uuid"], ["instances.uuid"], name=op.f("fk_migrations_instance_uuid")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_migrations")),
        sa.UniqueConstraint("uuid", name=op.f("uq_migrations_uuid")),
    )
    op.create_index("ix_migrations_instance_uuid_id", "migrations", ["instance_uuid", "id"], unique=False)
    op.create_index("ix_migrations_created_at_id", "migrations", ["created_at", "id"], unique=False)
    op.create_index("ix_migrations_status_updated_at", "migrations", ["status", "updated_at"], unique=False)
