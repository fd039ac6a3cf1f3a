"""The embedded identity and image services.

Revision ID: 0002
Revises: 0001
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"


def upgrade() -> None:
    _create_id_domains()
    _create_id_roles()
    _create_images()
    _create_id_projects()
    _create_id_users()
    _create_id_assignments()
    _create_id_tokens()


def _create_id_domains() -> None:
    op.create_table(
        "id_domains",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_id_domains")),
        sa.UniqueConstraint("name", name=op.f("uq_id_domains_name")),
    )


def _create_id_roles() -> None:
    op.create_table(
        "id_roles",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_id_roles")),
        sa.UniqueConstraint("name", name=op.f("uq_id_roles_name")),
    )


def _create_images() -> None:
    op.create_table(
        "images",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("visibility", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("disk_format", sa.String(length=32), nullable=True),
        sa.Column("container_format", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("virtual_size", sa.BigInteger(), nullable=True),
        sa.Column("checksum", sa.String(length=32), nullable=True),
        sa.Column("os_hash_algo", sa.String(length=64), nullable=True),
        sa.Column("os_hash_value", sa.String(length=128), nullable=True),
        sa.Column("min_disk", sa.Integer(), nullable=False),
        sa.Column("min_ram", sa.Integer(), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("os_hidden", sa.Boolean(), nullable=False),
        sa.Column("properties_json", sa.Text(), nullable=False),
        sa.Column("tags_json", sa.Text(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
    )
    op.create_index("ix_images_owner_deleted_at", "images", ["owner", "deleted_at"], unique=False)
    op.create_index("ix_images_visibility_deleted_at", "images", ["visibility", "deleted_at"], unique=False)


def _create_id_projects() -> None:
    op.create_table(
        "id_projects",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["id_domains.id"], name=op.f("fk_id_projects_domain_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_id_projects")),
        sa.UniqueConstraint("domain_id", "name", name=op.f("uq_id_projects_domain_id_name")),
    )


def _create_id_users() -> None:
    op.create_table(
        "id_users",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("default_project_id", sa.String(length=64), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["id_domains.id"], name=op.f("fk_id_users_domain_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_id_users")),
        sa.UniqueConstraint("domain_id", "name", name=op.f("uq_id_users_domain_id_name")),
    )


def _create_id_assignments() -> None:
    op.create_table(
        "id_assignments",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("role_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["id_projects.id"], name=op.f("fk_id_assignments_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["role_id"], ["id_roles.id"], name=op.f("fk_id_assignments_role_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["id_users.id"], name=op.f("fk_id_assignments_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "project_id", "role_id", name=op.f("pk_id_assignments")),
    )
    op.create_index("ix_id_assignments_project_id", "id_assignments", ["project_id"], unique=False)
    op.create_index("ix_id_assignments_role_id", "id_assignments", ["role_id"], unique=False)


def _create_id_tokens() -> None:
    op.create_table(
        "id_tokens",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("methods", sa.String(length=255), nullable=False),
        sa.Column("audit_ids", sa.String(length=255), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["id_projects.id"], name=op.f("fk_id_tokens_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["id_users.id"], name=op.f("fk_id_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_id_tokens")),
    )
    op.create_index(op.f("ix_id_tokens_expires_at"), "id_tokens", ["expires_at"], unique=False)
    op.create_index(op.f("ix_id_tokens_project_id"), "id_tokens", ["project_id"], unique=False)
    op.create_index(op.f("ix_id_tokens_user_id"), "id_tokens", ["user_id"], unique=False)
