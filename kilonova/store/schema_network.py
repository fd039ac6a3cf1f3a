"""The tables of ports and of addresses: what of the network is taken."""

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
    Column("device_id", String(36)),
    Column("is_kept", Boolean, nullable=False),
    Column("created_at", Instants, nullable=False),
    Column("updated_at", Instants),
    UniqueConstraint("mac"),
    Index(None, "project_id"),
    Index(None, "device_id"),
)
"""Those that were made by hand, and those of NICs that do not follow from their server's number."""

addresses: Final = Table(
    "addresses",
    metadata,
    Column("address", String(45), primary_key=True),
    Column("port_id", String(36), nullable=False),
    Column("taken_at", Instants, nullable=False),
    Index(None, "port_id"),
)
"""Every address that a port has, be it one with a record or one that follows from a server: so none is given twice."""
