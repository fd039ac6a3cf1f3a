"""Sinks of the feed, what they missed and what was delivered; how much the journal holds, and what it forgot.

Revision ID: 0030
Revises: 0014
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0030"
down_revision: Final = "0014"

_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DOCUMENT: Final = sa.Text().with_variant(sa.Text(2**24 - 1), "mysql", "mariadb")


def upgrade() -> None:
    _count_the_journal()
    _create_sinks()
    _create_sink_gaps()
    _create_deliveries()


def _count_the_journal() -> None:
    for name in ("row_count", "byte_count", "forgotten_seq"):
        op.add_column("journal_head", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("journal_head", sa.Column("forgotten_at", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE journal_head SET"
        " row_count = (SELECT COUNT(*) FROM journal WHERE seq IS NOT NULL),"
        " byte_count = (SELECT COALESCE(SUM(LENGTH(snapshot_json) + LENGTH(COALESCE(previous_json, ''))"
        " + LENGTH(facts_json)), 0) FROM journal WHERE seq IS NOT NULL)"
    )
    # What was forgotten so far is not known: all that is no longer there up to the oldest row that is.
    op.execute("UPDATE journal_head SET forgotten_seq = COALESCE((SELECT MIN(seq) FROM journal), 1) - 1")


def _create_sinks() -> None:
    op.create_table(
        "sinks",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("settings_json", _DOCUMENT, nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("cursor_seq", sa.BigInteger(), nullable=False),
        sa.Column("is_paused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_error", _DOCUMENT, nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("retry_at", sa.BigInteger(), nullable=True),
        sa.Column("delivered", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("lease_owner", sa.String(length=255), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("cursor_seq >= 0", name=op.f("ck_sinks_a_cursor_is_a_seq")),
        sa.CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name=op.f("ck_sinks_an_owner_has_a_lease")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sinks")),
        sa.UniqueConstraint("name", name=op.f("uq_sinks_name")),
    )


def _create_sink_gaps() -> None:
    op.create_table(
        "sink_gaps",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("sink_id", _ID, nullable=False),
        sa.Column("after_seq", sa.BigInteger(), nullable=False),
        sa.Column("to_seq", sa.BigInteger(), nullable=False),
        sa.Column("missing", sa.BigInteger(), nullable=False),
        sa.Column("reason", _DOCUMENT, nullable=False),
        sa.Column("noted_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["sink_id"], ["sinks.id"], name=op.f("fk_sink_gaps_sink_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sink_gaps")),
    )
    op.create_index("ix_sink_gaps_sink_id_id", "sink_gaps", ["sink_id", "id"], unique=False)


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("sink_id", _ID, nullable=False),
        sa.Column("after_seq", sa.BigInteger(), nullable=False),
        sa.Column("to_seq", sa.BigInteger(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("is_again", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("answer", _DOCUMENT, nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("attempted_at", sa.BigInteger(), nullable=True),
        sa.Column("took_micros", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["sink_id"], ["sinks.id"], name=op.f("fk_deliveries_sink_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    op.create_index("ix_deliveries_sink_id_id", "deliveries", ["sink_id", "id"], unique=False)
    op.create_index("ix_deliveries_sink_id_state_id", "deliveries", ["sink_id", "state", "id"], unique=False)
