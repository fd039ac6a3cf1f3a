"""An index of usage by host: what was taken of one over time is asked for by its page.

Revision ID: 0065
Revises: 0064
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0065"
down_revision: Final = "0064"


_INDEX: Final = "ix_usage_segments_host_started_at"


def upgrade() -> None:
    if all(index["name"] != _INDEX for index in sa.inspect(op.get_bind()).get_indexes("usage_segments")):
        op.create_index(_INDEX, "usage_segments", ["host", "started_at"], unique=False)
