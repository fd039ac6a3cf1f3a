"""The table of tokens that lead to remote consoles."""

from typing import Final

from sqlalchemy import Column, Index, String, Table

from kilonova.store.schema import Instants, Name, metadata

console_tokens: Final = Table(
    "console_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("instance_uuid", String(36), nullable=False),
    Column("host", Name, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("expires_at", Instants, nullable=False),
    Index(None, "instance_uuid"),
    Index(None, "expires_at"),
)
