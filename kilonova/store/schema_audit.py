"""The tables of the usage audit: which periods were told, and of which servers."""

from typing import Final

from sqlalchemy import Column, ForeignKey, Index, Integer, PrimaryKeyConstraint, String, Table, UniqueConstraint

from kilonova.store.schema import Id, Instants, Name, Uuid, metadata

audit_runs: Final = Table(
    "audit_runs",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("period_begin", Instants, nullable=False),
    Column("period_end", Instants, nullable=False),
    # The uuid up to which servers were told; where a run that was cut off goes on.
    Column("reached", Uuid, nullable=False),
    Column("started_at", Instants, nullable=False),
    Column("finished_at", Instants),
    Column("servers", Integer, nullable=False),
    Column("digest", String(64)),
    UniqueConstraint("period_begin", "period_end"),
    Index(None, "period_end"),
)

audit_records: Final = Table(
    "audit_records",
    metadata,
    Column("run_id", Id, ForeignKey("audit_runs.id"), nullable=False),
    Column("instance_uuid", Uuid, nullable=False),
    Column("host", Name),
    Column("told_at", Instants, nullable=False),
    PrimaryKeyConstraint("run_id", "instance_uuid"),
)
