"""What is told of those who asked: names, domains and roles.

Revision ID: 0062
Revises: 0061
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0062"
down_revision: Final = "0061"

_DOCUMENT: Final = sa.Text().with_variant(sa.Text(2**24 - 1), "mysql", "mariadb")


def upgrade() -> None:
    op.add_column("instance_actions", sa.Column("context_json", _DOCUMENT, nullable=True))
