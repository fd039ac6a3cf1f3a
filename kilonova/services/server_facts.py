"""What the conditions of servers are derived from, gathered; and the loop that tells when one turns."""

import logging
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from kilonova.domain.conditions import Condition, Status, Watch, service_conditions, turns
from kilonova.domain.errors import StaleRecord
from kilonova.domain.model import Clock, Instance, Instant
from kilonova.domain.refusals import REASONS, Refusal
from kilonova.domain.server_conditions import PLACED, TURNING, ServerFacts, server_conditions
from kilonova.domain.states import VmState
from kilonova.services.settings import ServiceSettings
from kilonova.store import conditions, instances, ledger, looking
from kilonova.store.database import Connection, Database
from kilonova.store.decisions import KeptDecision
from kilonova.store.failures import Contention
from kilonova.store.instances import InstanceQuery

_log = logging.getLogger(__name__)

_ABOUT: Final = "server"
_PAGE: Final = 500
"""Servers that are looked at together."""


def facts_of(connection: Connection, instance: Instance, watch: Watch, *, now: Instant) -> ServerFacts:
    """What is known of a server now."""
    (facts,) = facts_of_many(connection, [instance], watch, now=now)
    return facts


def facts_of_many(
    connection: Connection, servers: Sequence[Instance], watch: Watch, *, now: Instant
) -> list[ServerFacts]:
    """What is known of each of these servers now, in as many queries as of one."""
    uuids = [server.uuid for server in servers]
    lost = [server.uuid for server in servers if server.host is None and server.vm_state is VmState.ERROR]
    actions = looking.open_actions(connection, uuids)
    faults = ledger.latest_faults(connection, uuids)
    newest = looking.newest_decisions(connection, lost)
    services = looking.compute_services(connection, {server.host for server in servers if server.host})
    reachable = {host: service_conditions(service, watch, now=now) for host, service in services.items()}
    refused = {uuid: _refusal(decision) for uuid, decision in newest.items() if decision.chosen_host is None}
    return [
        ServerFacts(
            instance=server,
            host=reachable.get(server.host or ""),
            actions=actions.get(server.uuid, []),
            fault=faults.get(server.uuid),
            refused=refused.get(server.uuid),
        )
        for server in servers
    ]


def _refusal(decision: KeptDecision) -> Refusal:
    return Refusal(
        summary=decision.summary,
        decided_at=decision.decided_at,
        filters=tuple({str(row["filter"]): None for row in decision.document["counts"]}),
    )


class Turning:
    """Looks at servers with something under way or amiss, keeps the conditions that turned, and tells of them."""

    def __init__(self, database: Database, clock: Clock, *, settings: ServiceSettings) -> None:
        self._database = database
        self._clock = clock
        self._watch = settings.watch

    def step(self) -> bool:
        """Look once. Always False: what turns next turns later."""
        for uuids in self._pages():
            self._look(uuids)
        return False

    def _pages(self) -> Iterator[list[str]]:
        last = ""
        while True:
            with self._database.read() as connection:
                page = looking.list_noteworthy(connection, _ABOUT, limit=_PAGE, after_uuid=last)
            if page:
                yield page
            if len(page) < _PAGE:
                return
            last = page[-1]

    def _look(self, uuids: Collection[str]) -> None:
        now = self._clock()
        query = InstanceQuery(equals={"uuid": frozenset(uuids)}, soft_deleted=True)
        with self._database.read() as connection:
            servers = instances.list_instances(connection, query)
            kept = conditions.list_conditions(connection, _ABOUT, uuids)
            facts = facts_of_many(connection, servers, self._watch, now=now)
        for server, known in zip(servers, facts, strict=True):
            before = kept.get(server.uuid, [])
            types = {each.type for each in before}
            found = [each for each in server_conditions(known, now=now) if each.type in TURNING]
            told = [each for each in found if _is_amiss(each) or each.type in types]
            if turns(before, told, now=now):
                self._keep(server, told, now)
        for uuid in kept.keys() - {server.uuid for server in servers}:
            self._forget(uuid)

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
        return condition.reason in REASONS
    return condition.status is Status.TRUE
