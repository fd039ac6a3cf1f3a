"""Key pairs, server groups, and access to private flavors.

Revision ID: 0003
Revises: 0002
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"

_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DOCUMENT: Final = sa.Text().with_variant(sa.Text(2**24 - 1), "mysql", "mariadb")


def upgrade() -> None:
    _create_keypairs()
    _create_server_groups()
    _create_server_group_members()
    _create_flavor_access()
    op.add_column("instances", sa.Column("key_data", _DOCUMENT, nullable=True))


def _create_keypairs() -> None:
    op.create_table(
        "keypairs",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("public_key", _DOCUMENT, nullable=False),
        sa.Column("fingerprint", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keypairs")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_keypairs_user_id_name")),
    )


def _create_server_groups() -> None:
    op.create_table(
        "server_groups",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("policy", sa.String(length=32), nullable=False),
        sa.Column("max_server_per_host", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "max_server_per_host IS NULL OR max_server_per_host > 0",
            name=op.f("ck_server_groups_a_host_has_room_for_one"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server_groups")),
        sa.UniqueConstraint("uuid", name=op.f("uq_server_groups_uuid")),
    )
    op.create_index("ix_server_groups_project_id_id", "server_groups", ["project_id", "id"], unique=False)


def _create_server_group_members() -> None:
    op.create_table(
        "server_group_members",
        sa.Column("instance_uuid", sa.String(length=36), nullable=False),
        sa.Column("group_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["server_groups.id"], name=op.f("fk_server_group_members_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["instance_uuid"], ["instances.uuid"], name=op.f("fk_server_group_members_instance_uuid")
        ),
        sa.PrimaryKeyConstraint("instance_uuid", name=op.f("pk_server_group_members")),
    )
    op.create_index(op.f("ix_server_group_members_group_id"), "server_group_members", ["group_id"], unique=False)


def _create_flavor_access() -> None:
    op.create_table(
        "flavor_access",
        sa.Column("flavor_id", _ID, nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["flavor_id"], ["flavors.id"], name=op.f("fk_flavor_access_flavor_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("flavor_id", "project_id", name=op.f("pk_flavor_access")),
    )
    op.create_index(op.f("ix_flavor_access_project_id"), "flavor_access", ["project_id"], unique=False)
