"""The tables of aggregates. Their numbers are never given twice, so that an old one names nothing new."""

from typing import Final

from sqlalchemy import Column, ForeignKey, Table, UniqueConstraint

from kilonova.store.schema import Document, Id, Instants, Name, Uuid, metadata

aggregates: Final = Table(
    "aggregates",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("uuid", Uuid, nullable=False, unique=True),
    Column("name", Name, nullable=False, unique=True),
    Column("availability_zone", Name),
    Column("metadata_json", Document, nullable=False),
    Column("created_at", Instants, nullable=False),
    Column("updated_at", Instants),
    sqlite_autoincrement=True,
)

aggregate_hosts: Final = Table(
    "aggregate_hosts",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("aggregate_id", Id, ForeignKey("aggregates.id", ondelete="CASCADE"), nullable=False),
    Column("host", Name, nullable=False, index=True),
    UniqueConstraint("aggregate_id", "host"),
)
