"""Placing: from an accepted ``create`` to a host that has promised what the instance needs.

One attempt is one decision, and every decision is kept, whether or not it found a host. The promise is a claim
guarded by the store; where a host refuses (somebody was faster), the next on the list is asked.
"""

import logging

from kilonova.bus import CONDUCTOR, Bus, host_topic
from kilonova.domain.changes import Change, Phase, Raised
from kilonova.domain.errors import StaleRecord
from kilonova.domain.faults import FaultCause, builds_exhausted
from kilonova.domain.model import Clock, Fault, Instance, InstanceAction, Instant, Request
from kilonova.domain.operations import get_operation
from kilonova.domain.placement import Ask, Decision, Rules, Weighed, decide
from kilonova.domain.states import TaskState
from kilonova.domain.transitions import failed
from kilonova.domain.workflows import WORKFLOWS
from kilonova.network.embedded import FlatNetwork
from kilonova.services.choosing import Chooser
from kilonova.services.ports import Ports
from kilonova.services.settings import ServiceSettings
from kilonova.store import changes, decisions, fleet, instances, ledger, server_groups
from kilonova.store.database import Connection, Database, Transaction

_log = logging.getLogger(__name__)

_ROUNDS = 3
"""Snapshots of the fleet that are tried within one step; in a crowded one the next step goes on."""
_BATCH = 50
"""Instances that are looked at in one step."""


class _Refused(Exception):
    """A host would take the instance no more: nothing of the attempt is kept."""


class Placer:
    """Finds hosts for new instances."""

    def __init__(
        self, database: Database, bus: Bus, clock: Clock, *, settings: ServiceSettings, rules: Rules | None = None
    ) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self.chooser = Chooser(clock, settings=settings, rules=rules)
        network = FlatNetwork(label=settings.network_label, cidr=settings.network_cidr)
        self._ports = Ports(database, clock, network)

    def step(self) -> bool:
        """Place what waits for a host; True if that got on. One that cannot be handled keeps none of the others."""
        with self._database.read() as connection:
            waiting = ledger.list_unplaced_actions(connection, limit=_BATCH, but=WORKFLOWS.keys())
        return any([self._place_guarded(action) for action in waiting])  # noqa: C419 - every one is tried

    def place(self, action: InstanceAction) -> bool:
        """Find a host for the instance of this open ``create``, or put it into ERROR with the reason.

        False where neither could be done now, because the instance or the fleet changes faster than it is read.
        """
        for _ in range(_ROUNDS):
            with self._database.read() as connection:
                instance = instances.find_instance(connection, action.instance_uuid)
                decision = self._decide(connection, instance, action) if instance else None
            if instance is None or decision is None:
                return False
            try:
                if any(self._claim(action, instance, decision, weighed) for weighed in decision.weighed):
                    return True
                if not decision.weighed:
                    self._give_up(action, instance, decision)
                    return True
            except StaleRecord:
                continue
        return False

    def send_elsewhere(
        self, action: InstanceAction, instance: Instance, fault: Fault, raised: Raised | None = None
    ) -> None:
        """Take a build off its host and wait for another. Its event counts as a success, its fault is an attempt's.

        Source: contract §6.6.4, §7.4, §8.2.
        """
        now = self._clock()
        change = Change(
            before=instance,
            after=instance._replace(host=None, node=None, task_state=TaskState.SCHEDULING, updated_at=now),
            request=request_of(action),
            occurred_at=now,
            operation=get_operation("create"),
            phase=Phase.RETRY,
            action_id=action.id,
            host=action.host,
            closes_action=False,
            fault=fault,
            keeps_fault=False,
            raised=raised,
        )
        with self._database.transaction() as tx:
            changes.save(tx, change)
            ledger.assign_action(tx.connection, action.id, host=None)
            fleet.release_claim(tx, instance.uuid)
            tx.after_commit(lambda: self._bus.prod(CONDUCTOR))

    def hand_over(self, action: InstanceAction) -> bool:
        """Give an operation on a server that stays where it is to its host; that much is the conductor's event.

        False where it could not be done now, as in ``place``.
        """
        with self._database.read() as connection:
            instance = instances.find_instance(connection, action.instance_uuid)
        host = instance.host if instance else None
        if instance is None or host is None:
            return False
        now, operation = self._clock(), get_operation(action.operation)
        change = Change(
            before=instance,
            after=instance._replace(updated_at=now),
            request=request_of(action),
            occurred_at=now,
            operation=operation,
            phase=Phase.END,
            action_id=action.id,
            host=self._settings.host or None,
            event=operation.events[0],
            closes_action=False,
        )
        try:
            with self._database.transaction() as tx:
                changes.save(tx, change)
                ledger.assign_action(tx.connection, action.id, host=host)
                tx.after_commit(lambda: self._bus.prod(host_topic(host)))
        except StaleRecord:
            return False
        return True

    def _place_guarded(self, action: InstanceAction) -> bool:
        try:
            return self.place(action) if action.operation == "create" else self.hand_over(action)
        except Exception:  # noqa: BLE001 - whatever it is, it concerns this one alone; the deadline ends it
            _log.exception("Could not place instance %s", action.instance_uuid)
            return False

    def another_host(self, instance: Instance, action: InstanceAction, *, failed_host: str) -> bool:
        """Whether some host that has not failed yet could take the instance now."""
        with self._database.read() as connection:
            tried = _tried(connection, action) | {failed_host}
            return self.chooser.decide(connection, self._ask(connection, instance, action, tried)).chosen is not None

    def _decide(self, connection: Connection, instance: Instance, action: InstanceAction) -> Decision:
        ask = self._ask(connection, instance, action, _tried(connection, action))
        return self.chooser.decide(connection, ask)

    def _ask(self, connection: Connection, instance: Instance, action: InstanceAction, tried: frozenset[str]) -> Ask:
        host, node = (action.parameters.get(name) for name in ("host", "node"))
        return self.chooser.ask_of(connection, instance, tried=tried, host=host, node=node)

    def _claim(self, action: InstanceAction, instance: Instance, decision: Decision, weighed: Weighed) -> bool:
        now = self._clock()
        placed = instance._replace(
            host=weighed.host,
            node=weighed.node,
            task_state=TaskState.SPAWNING,
            updated_at=now,
        )

        def work(tx: Transaction) -> None:
            # Other members may have been placed since the decision; from here on they wait.
            company = server_groups.find_company(tx.connection, instance.uuid, lock=True)
            if company is not None and company.refusal(weighed.host):
                raise _Refused
            # The instance before its claim, as everywhere: one order of locks.
            plugged = self._ports.place(tx, placed)
            changes.save(tx, _step(action, instance, plugged, now))
            if not fleet.claim(tx, node_uuid=weighed.node_uuid, instance=plugged):
                raise _Refused
            decisions.add_decision(
                tx,
                instance_uuid=instance.uuid,
                request_id=action.request_id,
                decision=decision,
                now=now,
                chosen=weighed,
            )
            ledger.assign_action(tx.connection, action.id, host=weighed.host)
            tx.after_commit(lambda: self._bus.prod(host_topic(weighed.host)))

        try:
            self._database.run(work)  # again, where somebody chose the address that its number leads to
        except _Refused:
            return False
        return True

    def _give_up(self, action: InstanceAction, instance: Instance, decision: Decision) -> None:
        now, create = self._clock(), get_operation("create")
        why = decision.summary()
        told = builds_exhausted(instance.uuid, why) if decision.ask.tried else f"No valid host was found. {why}"
        fault = Fault(
            code=500,
            cause=FaultCause.NO_VALID_HOST.code,
            message=told[:255],
            details="",
            host=None,
            created_at=now,
        )
        change = Change(
            before=instance,
            after=failed(create, instance, now=now, power=None),
            request=request_of(action),
            occurred_at=now,
            operation=create,
            phase=Phase.ERROR,
            action_id=action.id,
            event=create.events[0],
            fault=fault,
            details=fault.message,
            raised=Raised(exception="NoValidHost", module=decide.__module__, function=decide.__name__),
        )
        with self._database.transaction() as tx:
            decisions.add_decision(
                tx, instance_uuid=instance.uuid, request_id=action.request_id, decision=decision, now=now
            )
            changes.save(tx, change)


def request_of(action: InstanceAction) -> Request:
    """The request that opened the action, for changes made on its behalf later."""
    return Request(
        request_id=action.request_id,
        user_id=action.user_id,
        project_id=action.project_id,
        received_at=action.started_at,
        context_json=action.context_json,
    )


def _step(action: InstanceAction, before: Instance, after: Instance, now: Instant) -> Change:
    return Change(
        before=before,
        after=after,
        request=request_of(action),
        occurred_at=now,
        operation=get_operation("create"),
        phase=Phase.STEP,
        action_id=action.id,
    )


def _tried(connection: Connection, action: InstanceAction) -> frozenset[str]:
    """The hosts on which this build already ended, and cannot have ended well."""
    events = ledger.list_events(connection, [action.id]).get(action.id, [])
    return frozenset(event.host for event in events if event.finished_at is not None and event.host)
