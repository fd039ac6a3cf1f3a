"""Limits of projects, users and classes; servers in the order of usage reports.

Revision ID: 0014
Revises: 0013
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0014"
down_revision: Final = "0013"


def upgrade() -> None:
    op.create_table(
        "quota_limits",
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("resource", sa.String(length=64), nullable=False),
        sa.Column("hard_limit", sa.Integer(), nullable=False),
        sa.CheckConstraint("hard_limit >= -1", name=op.f("ck_quota_limits_a_limit_or_none")),
        sa.PrimaryKeyConstraint("project_id", "user_id", "resource", name=op.f("pk_quota_limits")),
    )
    op.create_table(
        "quota_class_limits",
        sa.Column("class_name", sa.String(length=255), nullable=False),
        sa.Column("resource", sa.String(length=64), nullable=False),
        sa.Column("hard_limit", sa.Integer(), nullable=False),
        sa.CheckConstraint("hard_limit >= -1", name=op.f("ck_quota_class_limits_a_limit_or_none")),
        sa.PrimaryKeyConstraint("class_name", "resource", name=op.f("pk_quota_class_limits")),
    )
    op.create_index("ix_instances_project_id_uuid", "instances", ["project_id", "uuid"], unique=False)
