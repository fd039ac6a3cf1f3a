"""Faults of attempts: what failed on one host and was tried on another.

Revision ID: 0069
Revises: 0068
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0069"
down_revision: Final = "0068"


def upgrade() -> None:
    if all(column["name"] != "is_attempt" for column in sa.inspect(op.get_bind()).get_columns("instance_faults")):
        is_attempt: sa.Column[bool] = sa.Column("is_attempt", sa.Boolean(), server_default=sa.false(), nullable=False)
        op.add_column("instance_faults", is_attempt)
