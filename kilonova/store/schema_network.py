"""The table of ports: what of the network is taken without following from a server's number."""

from typing import Final

from sqlalchemy import Boolean, Column, Index, String, Table, UniqueConstraint

from kilonova.store.schema import Instants, Name, metadata

ports: Final = Table(
    "ports",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("description", Name, nullable=False),
    Column("mac", String(17), nullable=False),
    Column("address", String(45), nullable=False),
    Column("device_id", String(36)),
    Column("is_kept", Boolean, nullable=False),
    Column("created_at", Instants, nullable=False),
    Column("updated_at", Instants),
    UniqueConstraint("mac"),
    UniqueConstraint("address"),
    Index(None, "project_id"),
    Index(None, "device_id"),
)
