"""The tables of the feed: who is told what is in the journal, how far they are, and what they missed."""

from typing import Final

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, false

from kilonova.store.schema import Document, Id, Instants, Name, metadata

sinks: Final = Table(
    "sinks",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("name", Name, nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("settings_json", Document, nullable=False),
    Column("origin", String(16), nullable=False),
    Column("cursor_seq", BigInteger, nullable=False),
    Column("is_paused", Boolean, nullable=False, server_default=false()),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("last_error", Document),
    Column("failed_at", Instants),
    Column("retry_at", Instants),
    Column("delivered", BigInteger, nullable=False, server_default="0"),
    Column("delivered_at", Instants),
    Column("lease_owner", Name),
    Column("lease_until", Instants),
    Column("created_at", Instants, nullable=False),
    CheckConstraint("cursor_seq >= 0", name="a_cursor_is_a_seq"),
    CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name="an_owner_has_a_lease"),
)

# What a sink was not told: rows that were forgotten before it came to them, or that could not be put into words.
sink_gaps: Final = Table(
    "sink_gaps",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("sink_id", Id, ForeignKey("sinks.id"), nullable=False),
    Column("after_seq", BigInteger, nullable=False),
    Column("to_seq", BigInteger, nullable=False),
    Column("missing", BigInteger, nullable=False),
    Column("reason", Document, nullable=False),
    Column("noted_at", Instants, nullable=False),
    Index(None, "sink_id", "id"),
)

# Attempts at delivery of sinks that keep a log of them, and what operators want to have delivered once more.
deliveries: Final = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("sink_id", Id, ForeignKey("sinks.id"), nullable=False),
    Column("after_seq", BigInteger, nullable=False),
    Column("to_seq", BigInteger, nullable=False),
    Column("messages", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("is_again", Boolean, nullable=False, server_default=false()),
    Column("attempts", Integer, nullable=False),
    Column("answer", Document),
    Column("made_at", Instants, nullable=False),
    Column("attempted_at", Instants),
    Column("took_micros", BigInteger),
    Index(None, "sink_id", "id"),
    Index(None, "sink_id", "state", "id"),
)
