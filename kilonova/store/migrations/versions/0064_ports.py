"""Ports: addresses that do not follow from a server's number.

Revision ID: 0064
Revises: 0063
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0064"
down_revision: Final = "0063"


def upgrade() -> None:
    op.create_table(
        "ports",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("mac", sa.String(length=17), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=True),
        sa.Column("is_kept", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ports")),
        sa.UniqueConstraint("address", name=op.f("uq_ports_address")),
        sa.UniqueConstraint("mac", name=op.f("uq_ports_mac")),
    )
    op.create_index("ix_ports_device_id", "ports", ["device_id"], unique=False)
    op.create_index("ix_ports_project_id", "ports", ["project_id"], unique=False)
