"""The journal by request.

Revision ID: 0070
Revises: 0069
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0070"
down_revision: Final = "0069"

_INDEX: Final = "ix_journal_request_id"


def upgrade() -> None:
    if all(index["name"] != _INDEX for index in sa.inspect(op.get_bind()).get_indexes("journal")):
        op.create_index(_INDEX, "journal", ["request_id"], unique=False)
