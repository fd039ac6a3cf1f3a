"""Addresses of servers that come and go by themselves, until microversion 2.43 (``addFixedIp``, ``removeFixedIp``).

Neither a guest nor the ledger is told of them (contract §7.5); legacy notifications tell of both (§10.4.2).
"""

from collections.abc import Callable

from kilonova.domain.changes import Change
from kilonova.domain.errors import Conflict
from kilonova.domain.model import Clock, Instance, Request
from kilonova.services.latest import on_latest
from kilonova.services.ports import Ports
from kilonova.store import changes
from kilonova.store.database import Database, Transaction

_Readdress = Callable[[Transaction, Instance], Instance]


class Addresses:
    """The use cases. Conflict, in Nova's words, where a server is locked and the caller may not override that."""

    def __init__(self, database: Database, clock: Clock, ports: Ports) -> None:
        self._database = database
        self._clock = clock
        self._ports = ports

    def add(self, request: Request, instance: Instance, network_id: str, *, may_override_lock: bool) -> Instance:
        """Give the server another address in the network. See ``Ports.add_address``."""
        _check_lock(instance, may_override_lock=may_override_lock)
        add = self._ports.add_address
        return self._readdress(request, instance, "create_ip", lambda tx, current: add(tx, current, network_id))

    def remove(self, request: Request, instance: Instance, address: str, *, may_override_lock: bool) -> Instance:
        """Take the address from the server. See ``Ports.remove_address``."""
        _check_lock(instance, may_override_lock=may_override_lock)
        remove = self._ports.remove_address
        return self._readdress(request, instance, "delete_ip", lambda _, current: remove(current, address))

    def _readdress(self, request: Request, instance: Instance, notice: str, readdress: _Readdress) -> Instance:
        def attempt(current: Instance) -> Instance:
            return self._database.run(lambda tx: work(tx, current))

        def work(tx: Transaction, before: Instance) -> Instance:
            now = self._clock()
            begun = before._replace(updated_at=now)
            start = Change(before=before, after=begun, request=request, occurred_at=now, notices=(f"{notice}.start",))
            begun = changes.save(tx, start).instance
            after = readdress(tx, begun)
            told = ("update", f"{notice}.end")
            end = Change(before=begun, after=after, request=request, occurred_at=now, notices=told)
            return changes.save(tx, end).instance

        return on_latest(self._database, instance, attempt)


def _check_lock(instance: Instance, *, may_override_lock: bool) -> None:
    if instance.locked_by and not may_override_lock:
        raise Conflict(f"Instance {instance.uuid} is locked")
