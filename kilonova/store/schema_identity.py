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
    Column("extra_json", Text),
)

id_projects: Final = Table(
    "id_projects",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("domain_id", _ID, ForeignKey("id_domains.id"), nullable=False),
    Column("name", _NAME, nullable=False),
    Column("description", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("tags_json", Text),
    Column("extra_json", Text),
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
    Column("extra_json", Text),
    UniqueConstraint("domain_id", "name"),
)

id_groups: Final = Table(
    "id_groups",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("domain_id", _ID, ForeignKey("id_domains.id"), nullable=False),
    Column("name", _NAME, nullable=False),
    Column("description", Text, nullable=False),
    UniqueConstraint("domain_id", "name"),
)

id_memberships: Final = Table(
    "id_memberships",
    metadata,
    Column("user_id", _ID, ForeignKey("id_users.id", ondelete="CASCADE"), primary_key=True),
    Column("group_id", _ID, ForeignKey("id_groups.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_id_memberships_group_id", "group_id"),
)

id_roles: Final = Table(
    "id_roles",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", _NAME, nullable=False, unique=True),
    Column("description", Text, nullable=False),
)

id_role_inferences: Final = Table(
    "id_role_inferences",
    metadata,
    Column("prior_role_id", _ID, ForeignKey("id_roles.id", ondelete="CASCADE"), primary_key=True),
    Column("implied_role_id", _ID, ForeignKey("id_roles.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_id_role_inferences_implied_role_id", "implied_role_id"),
)

# Who has a role on what. ``key`` is a digest of all the rest: a row is there once although most columns may be empty.
id_grants: Final = Table(
    "id_grants",
    metadata,
    Column("key", _ID, primary_key=True),
    Column("role_id", _ID, ForeignKey("id_roles.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("user_id", _ID, ForeignKey("id_users.id", ondelete="CASCADE"), index=True),
    Column("group_id", _ID, ForeignKey("id_groups.id", ondelete="CASCADE"), index=True),
    Column("project_id", _ID, ForeignKey("id_projects.id", ondelete="CASCADE"), index=True),
    Column("domain_id", _ID, ForeignKey("id_domains.id", ondelete="CASCADE"), index=True),
    Column("is_system", Boolean, nullable=False),
)

id_application_credentials: Final = Table(
    "id_application_credentials",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("user_id", _ID, ForeignKey("id_users.id", ondelete="CASCADE"), nullable=False),
    Column("project_id", _ID, ForeignKey("id_projects.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", _NAME, nullable=False),
    Column("secret_hash", _NAME, nullable=False),
    Column("role_ids", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("unrestricted", Boolean, nullable=False),
    Column("expires_at", BigInteger),
    UniqueConstraint("user_id", "name"),
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
    Column("domain_id", _ID, ForeignKey("id_domains.id", ondelete="CASCADE"), index=True),
    Column("is_system", Boolean, nullable=False),
    Column(
        "application_credential_id",
        _ID,
        ForeignKey("id_application_credentials.id", ondelete="CASCADE"),
        index=True,
    ),
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

image_members: Final = Table(
    "image_members",
    metadata,
    Column("image_id", _ID, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("member_id", _ID, primary_key=True),
    Column("status", String(32), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_image_members_member_id", "member_id"),
)
