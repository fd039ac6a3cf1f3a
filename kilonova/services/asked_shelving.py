"""What is checked of an ``unshelve`` before it is accepted: a zone to be pinned to, a host (contract §6.6.2)."""

from collections.abc import Mapping
from typing import Any, Final

from kilonova.domain.errors import Conflict, Invalid
from kilonova.domain.model import Instance
from kilonova.domain.states import VmState
from kilonova.services.asked_moves import check_host
from kilonova.store import aggregates
from kilonova.store.database import Connection

_ZONE: Final = "availability_zone"


def unshelve(
    connection: Connection, instance: Instance, asked: Mapping[str, Any], *, default_zone: str
) -> tuple[Instance, Mapping[str, Any]]:
    """``asked`` may have a ``host``, and an ``availability_zone``: None lets the server out of the one it is pinned to.

    Conflict where the server is still on its host, or the host in another zone; Invalid for what is not there.
    """
    host, wanted = asked.get("host"), _ZONE in asked
    if not wanted and host is None:
        return instance, {}
    if instance.vm_state is not VmState.SHELVED_OFFLOADED:
        raise Conflict(
            f'Specifying an availability zone or a host when unshelving server "{instance.uuid}" with status '
            f'"{instance.vm_state}" is not supported. The server status must be SHELVED_OFFLOADED.'
        )
    zones = aggregates.zones_by_host(connection)
    zone = asked[_ZONE] if wanted else instance.availability_zone
    if wanted and zone is not None and zone not in {default_zone, *zones.values()}:
        raise Invalid("The requested availability zone is not available")
    if host is not None:
        check_host(connection, host)
        if zone is not None and zones.get(host, default_zone) != zone:
            raise Conflict(f'Host "{host}" is not in the availability zone "{zone}".')
    return instance._replace(availability_zone=zone), {} if host is None else {"host": host}
