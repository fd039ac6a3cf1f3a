"""Tokens that lead to remote consoles.

Revision ID: 0066
Revises: 0065
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0066"
down_revision: Final = "0065"


def upgrade() -> None:
    if sa.inspect(op.get_bind()).has_table("console_tokens"):  # of an attempt that was cut off
        op.drop_table("console_tokens")
    op.create_table(
        "console_tokens",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("instance_uuid", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_console_tokens")),
    )
    op.create_index("ix_console_tokens_expires_at", "console_tokens", ["expires_at"], unique=False)
    op.create_index("ix_console_tokens_instance_uuid", "console_tokens", ["instance_uuid"], unique=False)
