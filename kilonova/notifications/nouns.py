"""What is told of all but servers: aggregates, key pairs, flavors, server groups, services, and libvirt that is gone.

Sources: contract §2.3, §10.4.2 and §10.6.1.

Nova tells most of them twice, before and after it is done. A row of the journal is a change that was made, so both are
made from it, one after the other; what was refused is told nowhere.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from kilonova.domain.changes import Phase
from kilonova.domain.conditions import HYPERVISOR_ANSWERS, Status
from kilonova.domain.journal import JournalRow
from kilonova.notifications import noun_payloads as payloads
from kilonova.notifications.message import Draft, Payload, Priority, Telling
from kilonova.notifications.options import NotificationOptions

_AGGREGATE_EVENTS: Final[Mapping[str, str]] = {
    "create": "create",
    "delete": "delete",
    "update_prop": "updateprop",
    "update_metadata": "updatemetadata",
    "add_host": "addhost",
    "remove_host": "removehost",
}
"""Legacy names of what is done to an aggregate."""
_SERVICE_CHANGES: Final = frozenset({"create", "update", "delete"})


def tell_aggregate(row: JournalRow, options: NotificationOptions) -> Iterator[Telling]:
    """``aggregate.*``, its start with the aggregate as it was before."""
    operation = str(row.operation)
    if operation == "cache_images":
        yield Telling(None, _caching(row, options))  # legacy has no words for it
        return
    name = _AGGREGATE_EVENTS.get(operation)
    if name is None:
        return
    snapshot, facts = row.snapshot, row.facts
    before = payloads.before(row)
    for phase, aggregate in (("start", before), ("end", snapshot)):
        is_unborn = operation == "create" and phase == "start"
        publisher = f"aggregate.{snapshot['name'] if is_unborn else snapshot['id']}"
        yield Telling(
            Draft(
                f"aggregate.{name}.{phase}",
                publisher,
                partial(payloads.legacy_aggregate, operation, phase, row, facts),
            ),
            Draft(
                f"aggregate.{operation}.{phase}",
                f"nova-api:{options.host}",
                partial(payloads.aggregate, aggregate, is_unborn=is_unborn),
            ),
        )


def _caching(row: JournalRow, options: NotificationOptions) -> Draft:
    """Images that an aggregate's hosts fetch: its begin, what became of it on each host, its end."""
    if row.phase is Phase.STEP:
        payload = partial(payloads.aggregate_cache, row.snapshot, row.facts)
        return Draft("aggregate.cache_images.progress", f"nova-conductor:{options.host}", payload)
    payload = partial(payloads.aggregate, row.snapshot)
    return Draft(f"aggregate.cache_images.{row.phase}", f"nova-api:{options.host}", payload)


def tell_keypair(row: JournalRow, options: NotificationOptions) -> Iterator[Telling]:
    """``keypair.*``; before a key pair is there it has no fingerprint."""
    snapshot = row.snapshot
    old = {"tenant_id": row.caller_project_id, "user_id": snapshot["user_id"], "key_name": snapshot["name"]}
    for phase in ("start", "end"):
        unknown = _UNKNOWN_AT_START.get(str(row.operation), ()) if phase == "start" else ()
        known = {**snapshot, **dict.fromkeys(unknown)}
        event = f"keypair.{row.operation}.{phase}"
        yield Telling(
            Draft(event, f"api.{options.host}", partial(_copied, old)),
            Draft(event, f"nova-api:{options.host}", partial(payloads.keypair, known)),
        )


_UNKNOWN_AT_START: Final[Mapping[str, tuple[str, ...]]] = {
    "import": ("fingerprint",),
    "create": ("fingerprint", "public_key"),
}


def tell_flavor(row: JournalRow, options: NotificationOptions) -> Iterator[Telling]:
    """``flavor.*``, which legacy has nothing of."""
    draft = Draft(
        f"flavor.{row.operation}",
        f"nova-api:{options.host}",
        partial(payloads.flavor, row.snapshot, str(row.operation)),
    )
    yield Telling(None, draft)


def tell_server_group(row: JournalRow, options: NotificationOptions) -> Iterator[Telling]:
    """``servergroup.*`` and ``server_group.*``."""
    operation, snapshot = str(row.operation), row.snapshot
    yield Telling(
        Draft(
            f"servergroup.{operation.replace('_', '')}",
            f"servergroup.{options.host}",
            partial(payloads.legacy_server_group, operation, snapshot, row.facts),
        ),
        Draft(
            f"server_group.{operation}",
            f"nova-api:{options.host}",
            partial(payloads.server_group, snapshot),
        ),
    )


def tell_service(row: JournalRow, _options: NotificationOptions) -> Iterator[Telling]:
    """``service.*``, in the name of the service itself; legacy has nothing of it (contract §1.7)."""
    if row.operation not in _SERVICE_CHANGES:
        return
    snapshot = row.snapshot
    publisher = f"{snapshot['binary']}:{snapshot['host']}"
    yield Telling(None, Draft(f"service.{row.operation}", publisher, partial(payloads.service, snapshot)))


def tell_condition(row: JournalRow, _options: NotificationOptions) -> Iterator[Telling]:
    """``libvirt.connect.error``, once for each time that a host's libvirt is gone; no other condition has a name."""
    snapshot = row.snapshot
    is_gone = snapshot["type"] == HYPERVISOR_ANSWERS and snapshot["status"] == Status.FALSE
    if is_gone and row.facts.get("driver") == "libvirt":
        publisher, payload = f"nova-compute:{row.facts['host']}", partial(payloads.libvirt_error, snapshot, row.facts)
        yield Telling(None, Draft("libvirt.connect.error", publisher, payload, Priority.ERROR))


def _copied(payload: Mapping[str, Any]) -> Payload:
    return dict(payload)


TELLERS: Final[Mapping[str, Callable[[JournalRow, NotificationOptions], Iterator[Telling]]]] = {
    "aggregate": tell_aggregate,
    "keypair": tell_keypair,
    "flavor": tell_flavor,
    "server_group": tell_server_group,
    "service": tell_service,
    "condition": tell_condition,
}
"""Who tells the rows of a kind."""
