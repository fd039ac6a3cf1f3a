"""Every address that is taken has a row of its own: also those of servers' numbers, and several of one port.

Revision ID: 0067
Revises: 0066
"""

import json
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import sqlalchemy as sa
from alembic import op

revision: Final = "0067"
down_revision: Final = "0066"

_UNIQUE: Final = "uq_ports_address"


def upgrade() -> None:
    """Finds where it was cut off: databases without transactions for tables keep what was done until then."""
    found = sa.inspect(op.get_bind())
    if all(column["name"] != "address" for column in found.get_columns("ports")):
        return
    if found.has_table("addresses"):
        op.drop_table("addresses")
    _note_addresses()
    has_constraint = any(each["name"] == _UNIQUE for each in found.get_unique_constraints("ports"))
    with op.batch_alter_table("ports") as ports:
        if has_constraint:
            ports.drop_constraint(_UNIQUE, type_="unique")
        ports.drop_column("address")


def _note_addresses() -> None:
    addresses = op.create_table(
        "addresses",
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("port_id", sa.String(length=36), nullable=False),
        sa.Column("taken_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_addresses")),
    )
    op.create_index("ix_addresses_port_id", "addresses", ["port_id"], unique=False)
    rows = _taken(op.get_bind())
    if rows:
        op.bulk_insert(addresses, rows)


def _taken(connection: sa.Connection) -> list[dict[str, Any]]:
    """A row for each address; one that two servers have, for the range went around, is the first one's."""
    found: dict[str, dict[str, Any]] = {}
    for port in connection.execute(sa.text("SELECT id, address, created_at FROM ports")):
        found[port.address] = {"address": port.address, "port_id": port.id, "taken_at": port.created_at}
    servers = sa.text("SELECT uuid, nics_json, created_at FROM instances WHERE deleted_at IS NULL ORDER BY id")
    for server in connection.execute(servers):
        for place, nic in enumerate(json.loads(server.nics_json)):
            if "address" in nic and nic["address"] not in found:
                port_id = nic.get("port_id") or str(uuid5(NAMESPACE_URL, f"kilonova:port:{server.uuid}:{place}"))
                found[nic["address"]] = {"address": nic["address"], "port_id": port_id, "taken_at": server.created_at}
    return list(found.values())
