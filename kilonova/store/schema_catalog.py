"""The tables of what servers are ordered with: key pairs, server groups, and who may use which private flavor."""

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from kilonova.store.schema import Document, Id, Instants, Name, Uuid, metadata

keypairs: Final = Table(
    "keypairs",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("user_id", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("type", String(32), nullable=False),
    Column("public_key", Document, nullable=False),
    Column("fingerprint", Name, nullable=False),
    Column("created_at", Instants, nullable=False),
    UniqueConstraint("user_id", "name"),
)

server_groups: Final = Table(
    "server_groups",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("uuid", Uuid, nullable=False, unique=True),
    Column("name", Name, nullable=False),
    Column("project_id", Name, nullable=False),
    Column("user_id", Name, nullable=False),
    Column("policy", String(32), nullable=False),
    Column("max_server_per_host", Integer),
    Column("created_at", Instants, nullable=False),
    CheckConstraint("max_server_per_host IS NULL OR max_server_per_host > 0", name="a_host_has_room_for_one"),
    Index(None, "project_id", "id"),
)

server_group_members: Final = Table(
    "server_group_members",
    metadata,
    Column("instance_uuid", Uuid, ForeignKey("instances.uuid"), primary_key=True),
    Column("group_id", Id, ForeignKey("server_groups.id", ondelete="CASCADE"), nullable=False, index=True),
)

flavor_access: Final = Table(
    "flavor_access",
    metadata,
    Column("flavor_id", Id, ForeignKey("flavors.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", Name, primary_key=True, index=True),
    Column("created_at", BigInteger, nullable=False),
)
