"""Groups, grants on anything, application credentials, and images that are shared with single projects.

Tokens are dropped: they live for an hour, and whoever has one signs in again.

Revision ID: 0010
Revises: 0003
"""

import hashlib
from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0010"
down_revision: Final = "0003"

_CHAIN: Final = (("admin", "manager"), ("manager", "member"), ("member", "reader"))


def upgrade() -> None:
    for table in ("id_domains", "id_projects", "id_users"):
        if table == "id_projects":
            op.add_column(table, sa.Column("tags_json", sa.Text(), nullable=True))
        op.add_column(table, sa.Column("extra_json", sa.Text(), nullable=True))
    _create_id_groups()
    _create_id_role_inferences()
    _create_id_grants()
    _move_grants()
    _create_id_application_credentials()
    op.drop_table("id_tokens")
    _create_id_tokens()
    _create_image_members()


def _create_id_groups() -> None:
    op.create_table(
        "id_groups",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["id_domains.id"], name=op.f("fk_id_groups_domain_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_id_groups")),
        sa.UniqueConstraint("domain_id", "name", name=op.f("uq_id_groups_domain_id_name")),
    )
    op.create_table(
        "id_memberships",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=False),
        _reference("id_memberships", "user_id", "id_users"),
        _reference("id_memberships", "group_id", "id_groups"),
        sa.PrimaryKeyConstraint("user_id", "group_id", name=op.f("pk_id_memberships")),
    )
    op.create_index("ix_id_memberships_group_id", "id_memberships", ["group_id"], unique=False)


def _create_id_role_inferences() -> None:
    op.create_table(
        "id_role_inferences",
        sa.Column("prior_role_id", sa.String(length=64), nullable=False),
        sa.Column("implied_role_id", sa.String(length=64), nullable=False),
        _reference("id_role_inferences", "prior_role_id", "id_roles"),
        _reference("id_role_inferences", "implied_role_id", "id_roles"),
        sa.PrimaryKeyConstraint("prior_role_id", "implied_role_id", name=op.f("pk_id_role_inferences")),
    )
    op.create_index("ix_id_role_inferences_implied_role_id", "id_role_inferences", ["implied_role_id"], unique=False)
    roles = {row.name: row.id for row in op.get_bind().execute(sa.text("SELECT id, name FROM id_roles"))}
    inferences = sa.table("id_role_inferences", sa.column("prior_role_id"), sa.column("implied_role_id"))
    for prior, implied in _CHAIN:
        if prior in roles and implied in roles:
            op.execute(inferences.insert().values(prior_role_id=roles[prior], implied_role_id=roles[implied]))


def _create_id_grants() -> None:
    op.create_table(
        "id_grants",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("role_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("group_id", sa.String(length=64), nullable=True),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("domain_id", sa.String(length=64), nullable=True),
        sa.Column("is_system", sa.Boolean(), nullable=False),
        _reference("id_grants", "role_id", "id_roles"),
        _reference("id_grants", "user_id", "id_users"),
        _reference("id_grants", "group_id", "id_groups"),
        _reference("id_grants", "project_id", "id_projects"),
        _reference("id_grants", "domain_id", "id_domains"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_id_grants")),
    )
    for column in ("role_id", "user_id", "group_id", "project_id", "domain_id"):
        op.create_index(op.f(f"ix_id_grants_{column}"), "id_grants", [column], unique=False)


def _move_grants() -> None:
    old = op.get_bind().execute(sa.text("SELECT user_id, project_id, role_id FROM id_assignments")).mappings().all()
    grants = sa.table("id_grants", *(sa.column(name) for name in ("key", "role_id", "user_id", "project_id")),
                      sa.column("is_system", sa.Boolean()))  # fmt: skip
    for row in old:
        op.execute(grants.insert().values(**row, key=_key(row), is_system=False))
    op.drop_table("id_assignments")


def _key(row: sa.RowMapping) -> str:
    """What ``store/grants.py`` makes of a grant to a user on a project."""
    return hashlib.sha256(
        "|".join((row["role_id"], row["user_id"], "", row["project_id"], "", "")).encode()
    ).hexdigest()


def _create_id_application_credentials() -> None:
    table = "id_application_credentials"
    op.create_table(
        table,
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("secret_hash", sa.String(length=255), nullable=False),
        sa.Column("role_ids", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("unrestricted", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        _reference(table, "user_id", "id_users"),
        _reference(table, "project_id", "id_projects"),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.UniqueConstraint("user_id", "name", name=op.f(f"uq_{table}_user_id_name")),
    )
    op.create_index(op.f(f"ix_{table}_project_id"), table, ["project_id"], unique=False)


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
        sa.Column("domain_id", sa.String(length=64), nullable=True),
        sa.Column("is_system", sa.Boolean(), nullable=False),
        sa.Column("application_credential_id", sa.String(length=64), nullable=True),
        _reference("id_tokens", "user_id", "id_users"),
        _reference("id_tokens", "project_id", "id_projects"),
        _reference("id_tokens", "domain_id", "id_domains"),
        _reference("id_tokens", "application_credential_id", "id_application_credentials"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_id_tokens")),
    )
    for column in ("expires_at", "project_id", "user_id", "domain_id", "application_credential_id"):
        op.create_index(op.f(f"ix_id_tokens_{column}"), "id_tokens", [column], unique=False)


def _create_image_members() -> None:
    op.create_table(
        "image_members",
        sa.Column("image_id", sa.String(length=64), nullable=False),
        sa.Column("member_id", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        _reference("image_members", "image_id", "images"),
        sa.PrimaryKeyConstraint("image_id", "member_id", name=op.f("pk_image_members")),
    )
    op.create_index("ix_image_members_member_id", "image_members", ["member_id"], unique=False)


def _reference(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}"), ondelete="CASCADE")
