"""The table of conditions that nothing else that is kept tells (``domain/conditions.py``)."""

from typing import Final

from sqlalchemy import Column, String, Table

from kilonova.store.schema import Document, Instants, Name, metadata

conditions: Final = Table(
    "conditions",
    metadata,
    Column("about", String(32), primary_key=True),
    Column("key", Name, primary_key=True),
    Column("type", String(64), primary_key=True),
    Column("status", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("message", Document, nullable=False),
    Column("since", Instants, nullable=False),
)
