"""What the conditions of servers are derived from, gathered; and the loop that tells when one turns."""

import logging

from kilonova.domain.conditions import Condition, Status, Watch, service_conditions
from kilonova.domain.errors import StaleRecord
from kilonova.domain.model import Clock, Instance, Instant
from kilonova.domain.server_conditions import PLACED, TURNING, ServerFacts, server_conditions
from kilonova.domain.states import VmState
from kilonova.services.settings import ServiceSettings
from kilonova.store import conditions, decisions, fleet, instances, ledger
from kilonova.store.database import Connection, Database
from kilonova.store.failures import Contention
from kilonova.store.instances import InstanceQuery

_log = logging.getLogger(__name__)

_ABOUT = "server"
_MOST = 1000
"""Servers that are looked at in one step."""


def facts_of(connection: Connection, instance: Instance, watch: Watch, *, now: Instant) -> ServerFacts:
    """What is known of a server now."""
    is_lost = instance.host is None and instance.vm_state is VmState.ERROR
    newest = decisions.find_newest(connection, instance.uuid) if is_lost else None
    refused = None
    if newest is not None and newest.chosen_host is None:
        refused = (newest.summary, newest.decided_at)
    return ServerFacts(
        instance=instance,
        host=_host(connection, instance.host, watch, now),
        actions=ledger.list_open_actions(connection, instance.uuid),
        fault=ledger.latest_faults(connection, [instance.uuid]).get(instance.uuid),
        refused=refused,
    )


def _host(connection: Connection, host: str | None, watch: Watch, now: Instant) -> tuple[Condition, ...] | None:
    service = fleet.find_service(connection, "nova-compute", host) if host else None
    return None if service is None else service_conditions(service, watch, now=now)


class Turning:
    """Looks at servers with something under way or amiss, keeps the conditions that turned, and tells of them."""

    def __init__(self, database: Database, clock: Clock, *, settings: ServiceSettings) -> None:
        self._database = database
        self._clock = clock
        self._watch = settings.watch

    def step(self) -> bool:
        """Look once. Always False: what turns next turns later."""
        with self._database.read() as connection:
            amiss = conditions.list_conditions(connection, _ABOUT)
            uuids = {action.instance_uuid for action in ledger.list_unfinished_actions(connection, limit=_MOST)}
            uuids |= {uuid for uuid, found in amiss.items() if any(_is_amiss(each) for each in found)}
            lost = InstanceQuery(vm_states=frozenset({VmState.ERROR}), limit=_MOST)
            uuids |= {server.uuid for server in instances.list_instances(connection, lost)}
        for uuid in sorted(uuids):
            self._look(uuid, {each.type for each in amiss.get(uuid, ())})
        return False

    def _look(self, uuid: str, kept: set[str]) -> None:
        now = self._clock()
        with self._database.read() as connection:
            instance = instances.find_instance(connection, uuid)
            facts = facts_of(connection, instance, self._watch, now=now) if instance else None
        if instance is None or facts is None:
            self._forget(uuid)
            return
        found = [each for each in server_conditions(facts, now=now) if each.type in TURNING]
        told = [each for each in found if _is_amiss(each) or each.type in kept]
        if told:
            self._keep(instance, told, now)

    def _keep(self, instance: Instance, told: list[Condition], now: Instant) -> None:
        try:
            with self._database.transaction() as tx:
                conditions.keep(tx, _ABOUT, instance.uuid, told, now=now, project_id=instance.project_id)
        except (StaleRecord, Contention):
            _log.info("The conditions of instance %s are told at the next look", instance.uuid)

    def _forget(self, uuid: str) -> None:
        with self._database.transaction() as tx:
            conditions.forget(tx, _ABOUT, uuid)


def _is_amiss(condition: Condition) -> bool:
    """Whether somebody should hear of it: a server without room, or anything of the others that is so."""
    if condition.type == PLACED:
        return condition.reason == "NoCapacity"
    return condition.status is Status.TRUE
