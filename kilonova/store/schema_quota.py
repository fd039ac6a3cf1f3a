"""The tables of limits that differ from the settings: those of projects, of users in them, and of classes."""

from typing import Final

from sqlalchemy import CheckConstraint, Column, Integer, String, Table

from kilonova.store.schema import Name, metadata

# A user_id of '' is the project's own limit: a primary key has no NULL.
quota_limits: Final = Table(
    "quota_limits",
    metadata,
    Column("project_id", Name, primary_key=True),
    Column("user_id", Name, primary_key=True),
    Column("resource", String(64), primary_key=True),
    Column("hard_limit", Integer, nullable=False),
    CheckConstraint("hard_limit >= -1", name="a_limit_or_none"),
)

quota_class_limits: Final = Table(
    "quota_class_limits",
    metadata,
    Column("class_name", Name, primary_key=True),
    Column("resource", String(64), primary_key=True),
    Column("hard_limit", Integer, nullable=False),
    CheckConstraint("hard_limit >= -1", name="a_limit_or_none"),
)
