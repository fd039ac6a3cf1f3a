"""Tokens that lead to remote consoles: their digests, for as long as they are good for anything."""

from dataclasses import asdict

from sqlalchemy import select

from kilonova.domain.model import Instance, Instant
from kilonova.domain.remote_consoles import ConsoleKind, ConsoleToken
from kilonova.store.database import Connection, Transaction
from kilonova.store.schema_consoles import console_tokens


def add_console_token(tx: Transaction, token: ConsoleToken, *, most: int) -> None:
    """Keep a new token, and of its server's others those ``most`` - 1 that expire last."""
    theirs = select(console_tokens.c.digest).where(console_tokens.c.instance_uuid == token.instance_uuid)
    oldest = tx.connection.scalars(
        theirs.order_by(console_tokens.c.expires_at.desc()).offset(most - 1).limit(1000)
    ).all()
    if oldest:
        tx.connection.execute(console_tokens.delete().where(console_tokens.c.digest.in_(oldest)))
    tx.connection.execute(console_tokens.insert().values(asdict(token) | {"kind": str(token.kind)}))


def find_console_token(connection: Connection, digest: str, *, now: Instant) -> ConsoleToken | None:
    """The token of this digest, unless it has expired."""
    good = (console_tokens.c.digest == digest, console_tokens.c.expires_at > now)
    row = connection.execute(select(console_tokens).where(*good)).mappings().first()
    return None if row is None else ConsoleToken(**{**row, "kind": ConsoleKind(row["kind"])})


def follow(tx: Transaction, before: Instance | None, after: Instance) -> None:
    """Forget the tokens of a server that is deleted, or that is on another host now."""
    was_on = None if before is None else before.host
    if was_on is not None and (after.is_deleted or after.host != was_on):
        tx.connection.execute(console_tokens.delete().where(console_tokens.c.instance_uuid == after.uuid))


def purge_console_tokens(tx: Transaction, now: Instant) -> int:
    """Drop the tokens that have expired; how many those were."""
    return tx.connection.execute(console_tokens.delete().where(console_tokens.c.expires_at <= now)).rowcount
