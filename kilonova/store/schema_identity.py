"""The tables of the embedded identity and image services."""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from kilonova.store.schema import metadata

_ID: Final = String(64)
_NAME: Final = String(255)

id_domains: Final = Table(
    "id_domains",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", _NAME, nullable=False, unique=True),
    Column("description", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
)

id_projects: Final = Table(
    "id_projects",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("domain_id", _ID, ForeignKey("id_domains.id"), nullable=False),
    Column("name", _NAME, nullable=False),
    Column("description", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    UniqueConstraint("domain_id", "name"),
)

id_users: Final = Table(
    "id_users",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("domain_id", _ID, ForeignKey("id_domains.id"), nullable=False),
    Column("name", _NAME, nullable=False),
    Column("password_hash", _NAME),
    Column("default_project_id", _ID),
    Column("email", _NAME),
    Column("description", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    UniqueConstraint("domain_id", "name"),
)

id_roles: Final = Table(
    "id_roles",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", _NAME, nullable=False, unique=True),
    Column("description", Text, nullable=False),
)

id_assignments: Final = Table(
    "id_assignments",
    metadata,
    Column("user_id", _ID, ForeignKey("id_users.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", _ID, ForeignKey("id_projects.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", _ID, ForeignKey("id_roles.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_id_assignments_project_id", "project_id"),
    Index("ix_id_assignments_role_id", "role_id"),
)

id_tokens: Final = Table(
    "id_tokens",
    metadata,
    Column("digest", _ID, primary_key=True),
    Column("user_id", _ID, ForeignKey("id_users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("project_id", _ID, ForeignKey("id_projects.id", ondelete="CASCADE"), index=True),
    Column("methods", _NAME, nullable=False),
    Column("audit_ids", _NAME, nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("revoked_at", BigInteger),
)

images: Final = Table(
    "images",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", _NAME),
    Column("status", String(32), nullable=False),
    Column("visibility", String(32), nullable=False),
    Column("owner", _ID),
    Column("disk_format", String(32)),
    Column("container_format", String(32)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("size", BigInteger),
    Column("virtual_size", BigInteger),
    Column("checksum", String(32)),
    Column("os_hash_algo", String(64)),
    Column("os_hash_value", String(128)),
    Column("min_disk", Integer, nullable=False),
    Column("min_ram", Integer, nullable=False),
    Column("protected", Boolean, nullable=False),
    Column("os_hidden", Boolean, nullable=False),
    Column("properties_json", Text, nullable=False),
    Column("tags_json", Text, nullable=False),
    Column("deleted_at", BigInteger),
    Index("ix_images_owner_deleted_at", "owner", "deleted_at"),
    Index("ix_images_visibility_deleted_at", "visibility", "deleted_at"),
)
