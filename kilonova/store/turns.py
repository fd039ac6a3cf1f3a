"""Services that turned down or up: found by one query over the fleet, and announced once, whoever finds them first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, select

from kilonova.domain.changes import Cause
from kilonova.domain.conditions import HOST_REACHABLE, Watch, of_type, service_conditions, shown
from kilonova.domain.model import SECOND, Instant, Service
from kilonova.store import journal
from kilonova.store.database import Transaction
from kilonova.store.rows import many
from kilonova.store.schema import instances, services

MOST_TOLD: Final = 100
"""Servers that an announcement names; their number is always told."""

_SEEN: Final = func.coalesce(services.c.last_seen_at, services.c.created_at)
_SILENT: Final = func.abs(bindparam("now") - _SEEN) > bindparam("window")
_HEARD_OUT: Final = bindparam("now") - bindparam("listening_since") > bindparam("window")
_TURNED: Final = (
    select(services)
    .where(
        (services.c.was_up & (services.c.forced_down | (_SILENT & _HEARD_OUT)))
        | (~services.c.was_up & ~services.c.forced_down & ~_SILENT)
    )
    .order_by(services.c.id)
    .limit(bindparam("most"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One look at the fleet: when, and since when its beats were heard without a break."""

    now: Instant
    listening_since: Instant
    watch: Watch


def list_turned(connection: Connection, look: Looked, *, limit: int) -> list[Service]:
    """Services of which something else was announced than is so, by ``Service.is_up``; at most ``limit``.

    Silence counts only where somebody listened: none is down before the whole window was heard out.
    """
    window = round(look.watch.down_seconds * SECOND)
    asked = {"now": look.now, "listening_since": look.listening_since, "window": window, "most": limit}
    return many(connection, Service, _TURNED.params(asked))


def announce(tx: Transaction, turned: Sequence[Service], look: Looked) -> int:
    """Tell of each service that it is down or up now; returns how many were not told by somebody else before.

    The row says how long the service was silent, and which servers are on its host.
    """
    told = [service for service in turned if _claimed(tx.connection, service, look.now)]
    on_hosts = _servers(tx.connection, {service.host for service in told if service.binary == "nova-compute"})
    for service in told:
        _announce(tx, service, look, on_hosts.get(service.host, []))
    return len(told)


def _claimed(connection: Connection, service: Service, now: Instant) -> bool:
    mine = (services.c.id == service.id, services.c.was_up == service.was_up)
    changed = services.update().where(*mine).values(was_up=not service.was_up, turned_at=now)
    return connection.execute(changed).rowcount == 1


def _announce(tx: Transaction, service: Service, look: Looked, servers: Sequence[str]) -> None:
    row: dict[str, Any] = {name: getattr(service, name) for name in services.c.keys()}  # noqa: SIM118  not a dictionary
    reachable = of_type(service_conditions(service, look.watch, now=look.now), HOST_REACHABLE)
    seen = service.created_at if service.last_seen_at is None else service.last_seen_at
    journal.append(
        tx,
        kind="service",
        key=service.uuid,
        operation="down" if service.was_up else "up",
        cause=Cause.OBSERVED,
        occurred_at=look.now,
        snapshot={**row, "was_up": not service.was_up, "turned_at": look.now},
        previous={"was_up": service.was_up, "turned_at": service.turned_at},
        facts={
            "host": service.host,
            "age_seconds": round((look.now - seen) / SECOND, 3),
            "down_seconds": _down_seconds(service, look.now),
            "condition": reachable and shown(reachable, moment=int),
            "servers": len(servers),
            "server_ids": list(servers[:MOST_TOLD]),
        },
    )


def _down_seconds(service: Service, now: Instant) -> float | None:
    """For how long a service that is back was announced as down; None for one that turns down."""
    if service.was_up or service.turned_at is None:
        return None
    return round((now - service.turned_at) / SECOND, 3)


def _servers(connection: Connection, hosts: Iterable[str]) -> dict[str, list[str]]:
    """The living servers on each of these hosts, oldest first."""
    columns = instances.c
    living = select(columns.host, columns.uuid).where(columns.host.in_(sorted(hosts)), columns.deleted_at.is_(None))
    found: dict[str, list[str]] = {}
    for host, uuid in connection.execute(living.order_by(columns.id)):
        found.setdefault(host, []).append(uuid)
    return found
