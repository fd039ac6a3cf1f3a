"""What was last announced of a service; conditions that are kept; numbers of services that never come again.

Revision ID: 0060
Revises: 0050
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0060"
down_revision: Final = "0050"


def upgrade() -> None:
    was_up: sa.Column[bool] = sa.Column("was_up", sa.Boolean(), server_default=sa.true(), nullable=False)
    # SQLite gives the highest number again unless the table says otherwise, which it can only do from the start.
    with op.batch_alter_table(
        "services",
        recreate="always" if op.get_bind().dialect.name == "sqlite" else "auto",
        table_kwargs={"sqlite_autoincrement": True},
    ) as services:
        services.add_column(was_up)
        services.add_column(sa.Column("turned_at", sa.BigInteger(), nullable=True))
    document = sa.Text().with_variant(sa.Text(length=16777215), "mysql", "mariadb")
    op.create_table(
        "conditions",
        sa.Column("about", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("message", document, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("about", "key", "type", name=op.f("pk_conditions")),
    )
