"""The certificates that a server's image was asked to be signed by.

Revision ID: 0068
Revises: 0067
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0068"
down_revision: Final = "0067"

_DOCUMENT: Final = sa.Text().with_variant(sa.Text(2**24 - 1), "mysql", "mariadb")


def upgrade() -> None:
    if all(column["name"] != "trusted_certs_json" for column in sa.inspect(op.get_bind()).get_columns("instances")):
        op.add_column("instances", sa.Column("trusted_certs_json", _DOCUMENT, nullable=True))
