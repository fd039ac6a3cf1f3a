"""The usage audit: periods, and the servers that were told in each.

Revision ID: 0050
Revises: 0030
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0050"
down_revision: Final = "0030"

_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit_runs",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("period_begin", sa.BigInteger(), nullable=False),
        sa.Column("period_end", sa.BigInteger(), nullable=False),
        sa.Column("reached", sa.String(length=36), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("servers", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_runs")),
        sa.UniqueConstraint("period_begin", "period_end", name=op.f("uq_audit_runs_period_begin_period_end")),
    )
    op.create_index("ix_audit_runs_period_end", "audit_runs", ["period_end"], unique=False)
    op.create_table(
        "audit_records",
        sa.Column("run_id", _ID, nullable=False),
        sa.Column("instance_uuid", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["audit_runs.id"], name=op.f("fk_audit_records_run_id")),
        sa.PrimaryKeyConstraint("run_id", "instance_uuid", name=op.f("pk_audit_records")),
    )
