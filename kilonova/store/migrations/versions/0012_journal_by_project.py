"""The journal by project, and what is old in it.

Revision ID: 0012
Revises: 0011
"""

from typing import Final

from alembic import op

revision: Final = "0012"
down_revision: Final = "0011"


def upgrade() -> None:
    op.create_index("ix_journal_project_id_seq", "journal", ["project_id", "seq"], unique=False)
    op.create_index("ix_journal_occurred_at", "journal", ["occurred_at"], unique=False)
    op.create_index("ix_decisions_decided_at", "decisions", ["decided_at"], unique=False)
