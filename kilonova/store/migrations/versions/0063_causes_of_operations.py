"""Why operations failed: the cause in the ledger, and which operation a fault belongs to. Operations by their request.

Revision ID: 0063
Revises: 0062
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0063"
down_revision: Final = "0062"


def upgrade() -> None:
    op.add_column("instance_actions", sa.Column("cause", sa.String(length=64), nullable=True))
    op.add_column("instance_faults", sa.Column("action_id", sa.BigInteger(), nullable=True))
    op.create_index("ix_instance_faults_action_id", "instance_faults", ["action_id"], unique=False)
    op.create_index("ix_instance_actions_request_id", "instance_actions", ["request_id"], unique=False)
