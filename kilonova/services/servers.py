"""The use cases of servers: create, delete, update, and every operation that is asked for by name.

Each is one transaction that ends with a prod to whoever has to go on. What is refused leaves no trace. Where somebody
else wrote the same server in the same moment, the request is judged again by the server as it then is.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from kilonova.bus import CONDUCTOR, Bus, host_topic
from kilonova.domain.changes import Change, Phase
from kilonova.domain.errors import Conflict, Invalid, NotFound, NotSupported
from kilonova.domain.model import Clock, Flavor, Instance, Request
from kilonova.domain.operations import Operation, Runs, get_operation
from kilonova.domain.quota import Limits, Usage, afford, check_growth, enforce
from kilonova.domain.states import TaskState, VmState
from kilonova.domain.transitions import accepted, finished, refusal
from kilonova.services.at_once import AT_ONCE
from kilonova.services.booting import Bootable, ImageFinder, find_bootable
from kilonova.services.hints import check_hints
from kilonova.services.latest import on_latest
from kilonova.services.liveness import is_host_up
from kilonova.services.orders import (
    Draft,
    ServerOrder,
    check_disks,
    check_fit,
    check_place,
    drafts_of,
    flavor_of,
    key_data_of,
)
from kilonova.services.preparing import Preparation
from kilonova.services.settings import QuotaSettings, ServiceSettings
from kilonova.store import aggregates, changes, fleet, instances, ledger, moves, server_groups
from kilonova.store.database import Database, Transaction
from kilonova.store.growth import growths_under_way
from kilonova.store.quotas import get_limits, lock_project

__all__ = ["ImageFinder", "ServerOrder", "ServerUpdate", "Servers"]

_GONE: Final = frozenset({TaskState.DELETING, TaskState.SOFT_DELETING})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUpdate:
    """What an owner changes of a server at once: fields of ``Instance`` that describe it, with their new values.

    ``derived`` gives more of them, for the server as it is by then; it may refuse by raising.
    """

    changes: Mapping[str, Any] = field(default_factory=dict)
    derived: Callable[[Instance], Mapping[str, Any]] | None = None

    def of(self, instance: Instance) -> Mapping[str, Any]:
        """The new values for this server."""
        return self.changes if self.derived is None else {**self.changes, **self.derived(instance)}


class Servers:
    """The use cases, over the store."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        clock: Clock,
        preparation: Preparation,
        *,
        settings: ServiceSettings,
        quota: QuotaSettings,
    ) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._preparation = preparation
        self._settings = settings
        self._quota = quota

    def create(self, request: Request, order: ServerOrder) -> Instance:
        """Accept an order of one or more servers; returns the first, building.

        Invalid for an unknown flavor, image, key pair or server group, for an image that the flavor cannot hold, and
        for hints that make no sense; QuotaExceeded.
        """
        check_hints(order.hints)
        image = self._image(order)
        return self._database.run(lambda tx: self._create(tx, request, order, image))

    def act(
        self,
        request: Request,
        instance: Instance,
        operation: Operation,
        parameters: Mapping[str, Any],
        *,
        may_override_lock: bool,
    ) -> Instance:
        """Accept an operation on a server; returns it with its new task state.

        Conflict where its state forbids it (in Nova's words), NotSupported for an operation that is not there yet.
        """
        if not operation.is_ready:
            # What the state forbids is forbidden all the same, in the same words.
            raise refusal(operation, instance, may_override_lock=may_override_lock) or NotSupported(
                f"Kilonova does not do '{operation.quoted}' yet."
            )
        if operation.becomes is VmState.DELETED:
            self.delete(request, instance, operation, may_override_lock=may_override_lock)
            return instance

        def attempt(current: Instance) -> Instance:
            if operation.name == "unlock" and current.locked_by != instance.locked_by:
                raise Conflict(f"Instance {instance.uuid} was locked or unlocked in the same moment; try again.")
            refused = refusal(operation, current, may_override_lock=may_override_lock)
            if refused:
                raise refused
            if operation.runs is Runs.API:
                return self._do_at_once(request, current, operation, parameters)
            prepared, told = self._preparation.prepare(operation, current, parameters)
            done = self._accept(request, current, operation, told, prepared=prepared)
            self._preparation.follow(told)
            return done

        return on_latest(self._database, instance, attempt)

    def delete(
        self, request: Request, instance: Instance, delete: Operation | None = None, *, may_override_lock: bool
    ) -> None:
        """Delete a server: by its host's agent, or at once where it has no host (contract §6.6.3).

        Where ``reclaim_instance_interval`` says so it is put aside first, unless ``delete`` is another operation than
        the plain one; one that is put aside stays so. Conflict where it is locked. A server that is being deleted
        already is left to that.
        """
        plain = get_operation("delete")

        def attempt(current: Instance) -> None:
            operation = delete or (get_operation("soft_delete") if self._is_put_aside(current) else plain)
            refused = refusal(operation, current, may_override_lock=may_override_lock)
            if refused:
                raise refused
            if current.task_state in _GONE or operation.becomes is current.vm_state:
                return
            if current.host is None or self._is_down(current.host):
                self._delete_here(request, current, delete or plain)
            else:
                self._accept(request, self._confirmed(request, current), operation, {})
            self._preparation.forget(current)

        on_latest(self._database, instance, attempt)

    def _confirmed(self, request: Request, instance: Instance) -> Instance:
        """Begin to confirm a resize before its server is deleted, so that nothing is left on the old host (§6.6.3)."""
        if instance.vm_state is not VmState.RESIZED or instance.task_state is not None:
            return instance
        try:
            return self._accept(request, instance, get_operation("confirm_resize"), {})
        except Invalid:  # somebody confirms it already
            return instance

    def _is_put_aside(self, instance: Instance) -> bool:
        return self._settings.reclaim_instance_interval > 0 and instance.launched_at is not None

    def update(self, request: Request, instance: Instance, wanted: ServerUpdate) -> Instance:
        """Change what describes a server; returns it changed. What others changed meanwhile stays so."""

        def attempt(current: Instance) -> Instance:
            now = self._clock()
            changed = current._replace(**wanted.of(current), updated_at=now)
            return self._save(Change(before=current, after=changed, request=request, occurred_at=now))

        return on_latest(self._database, instance, attempt)

    def _image(self, order: ServerOrder) -> Bootable:
        if not order.image_id:
            raise Invalid("Missing imageRef attribute")
        image = self._preparation.images.find_image(order.image_id, project_id=order.project_id)
        if image is None:
            raise Invalid(f"Image {order.image_id} could not be found.")
        if image.status != "active":
            raise Invalid(f"Image {order.image_id} is not active.")
        return find_bootable(self._preparation.images, image, (order.project_id,))

    def _create(self, tx: Transaction, request: Request, order: ServerOrder, image: Bootable) -> Instance:
        lock_project(tx, order.project_id)
        zones = {self._settings.default_availability_zone, *aggregates.zones_by_host(tx.connection).values()}
        check_place(tx.connection, order, zones=zones)
        flavor = flavor_of(tx.connection, order)
        key_data = key_data_of(tx.connection, order)
        check_fit(image, flavor)
        check_disks(order.disks, flavor)
        count = self._affordable(tx, order, flavor)
        drafts = drafts_of(order, flavor, image, count=count, now=self._clock())
        made = [self._open(tx, request, self._plugged(tx, order, draft), key_data) for draft in drafts]
        self._join_group(tx, request, order, made)
        tx.after_commit(lambda: self._bus.prod(CONDUCTOR))
        return made[0]

    def _plugged(self, tx: Transaction, order: ServerOrder, draft: Draft) -> Draft:
        try:
            return replace(draft, instance=self._preparation.ports.plug_new(tx, draft.instance, order.networks))
        except NotFound as error:
            raise Invalid(error.message) from error

    def _affordable(self, tx: Transaction, order: ServerOrder, flavor: Flavor) -> int:
        limits = self._limits(tx, order)
        each = Usage(instances=1, cores=flavor.vcpus, ram=flavor.memory_mb)
        used = instances.project_usage(tx.connection, order.project_id)
        room = afford(limits.project, used, each, least=order.min_count, most=order.max_count)
        if limits.user is None:
            return room
        theirs = instances.project_usage(tx.connection, order.project_id, order.user_id)
        return min(room, afford(limits.user, theirs, each, least=order.min_count, most=order.max_count))

    def _limits(self, tx: Transaction, owned: ServerOrder | Instance) -> Limits:
        return get_limits(tx.connection, self._quota.limits, owned.project_id, owned.user_id)

    def _check_room(self, tx: Transaction, instance: Instance) -> None:
        """QuotaExceeded where its project and its user may not have this server besides what they have."""
        lock_project(tx, instance.project_id)
        limits = self._limits(tx, instance)
        wanted = Usage(instances=1, cores=instance.vcpus, ram=instance.memory_mb)
        enforce(limits.project, instances.project_usage(tx.connection, instance.project_id), wanted)
        if limits.user is not None:
            theirs = instances.project_usage(tx.connection, instance.project_id, instance.user_id)
            enforce(limits.user, theirs, wanted)

    def _check_growth(self, tx: Transaction, change: Change) -> None:
        """QuotaExceeded for a resize to more than is left of a limit, counting those that are under way."""
        server = change.after
        if change.operation is None or change.operation.name != "resize":
            return
        lock_project(tx, server.project_id)
        growths = growths_under_way(tx.connection, server.project_id)
        mine, limits = growths.pop(server.uuid, Usage()), self._limits(tx, server)
        used = instances.project_usage(tx.connection, server.project_id)
        check_growth(limits.project, used, growths.values(), mine)
        if limits.user is not None:
            used = instances.project_usage(tx.connection, server.project_id, server.user_id)
            check_growth(limits.user, used, growths.values(), mine)

    def _join_group(self, tx: Transaction, request: Request, order: ServerOrder, made: list[Instance]) -> None:
        if order.group is None:
            return
        limit = self._limits(tx, order).effective["server_group_members"]
        try:
            server_groups.join_server_group(tx, order.group, made, limit=limit, request=request)
        except NotFound as error:
            raise Invalid(error.message) from error

    def _open(self, tx: Transaction, request: Request, draft: Draft, key_data: str | None) -> Instance:
        change = Change(
            before=None,
            after=draft.instance._replace(key_data=key_data),
            request=request,
            occurred_at=draft.instance.created_at,
            operation=get_operation("create"),
            phase=Phase.ACCEPTED,
            parameters_json=draft.parameters_json,
        )
        return changes.save(tx, change).instance

    def _accept(
        self,
        request: Request,
        instance: Instance,
        operation: Operation,
        parameters: Mapping[str, Any],
        *,
        prepared: Instance | None = None,
    ) -> Instance:
        now = self._clock()
        host = instance.host if operation.runs is Runs.AGENT else None
        change = Change(
            before=instance,
            after=accepted(operation, prepared or instance, now=now),
            request=request,
            occurred_at=now,
            operation=operation,
            phase=Phase.ACCEPTED,
            host=host,
            parameters_json=json.dumps(operation.kept(parameters)),
        )
        return self._save(change, prod=lambda: self._bus.prod(host_topic(host) if host else CONDUCTOR))

    def _do_at_once(
        self, request: Request, instance: Instance, operation: Operation, parameters: Mapping[str, Any]
    ) -> Instance:
        """Begin and end an operation in one transaction; what else is open ends with a reset of the state."""
        now, apply = self._clock(), AT_ONCE[operation.name]
        if apply(instance, request, parameters, now) is None:
            return instance
        opening = Change(
            before=instance,
            after=instance._replace(updated_at=now),
            request=request,
            occurred_at=now,
            operation=operation,
            phase=Phase.ACCEPTED,
            parameters_json=json.dumps(operation.kept(parameters)),
        )

        def work(tx: Transaction) -> Instance:
            opened = changes.save(tx, opening)
            current = opened.instance
            if operation.name == "reset_state":
                current = self._preparation.abandon(tx, current)
                ledger.close_actions(tx, instance.uuid, now=now, but=opened.action_id)
                moves.end_migrations(tx, instance.uuid, now=now)
                fleet.settle_claims(tx, current)
            ending = replace(
                opening,
                before=opened.instance,
                after=apply(current, request, parameters, now) or current,
                phase=Phase.END,
                action_id=opened.action_id,
                without_event=operation.event is None,
            )
            return changes.save(tx, ending).instance

        return self._database.run(work)

    def _save(self, change: Change, *, prod: Callable[[], None] | None = None) -> Instance:
        def work(tx: Transaction) -> Instance:
            if change.phase is Phase.ACCEPTED and change.operation is not None and change.operation.name == "restore":
                self._check_room(tx, change.after)
            saved = changes.save(tx, self._preparation.reserve(tx, change))
            if change.phase is Phase.ACCEPTED and change.operation:
                self._check_growth(tx, change)
                self._preparation.open(tx, change.operation, saved)
            if prod:
                tx.after_commit(prod)
            return saved.instance

        return self._database.run(work)

    def _is_down(self, host: str) -> bool:
        with self._database.read() as connection:
            return not is_host_up(connection, host, now=self._clock(), settings=self._settings)

    def _delete_here(self, request: Request, instance: Instance, delete: Operation) -> None:
        """Delete without the host's help; whatever is left on it goes once its agent compares (contract §6.6.3)."""
        now = self._clock()
        opening = Change(
            before=instance,
            after=accepted(delete, instance, now=now),
            request=request,
            occurred_at=now,
            operation=delete,
            phase=Phase.ACCEPTED,
            host=instance.host,
        )

        def work(tx: Transaction) -> None:
            # The instance's row first, then its actions and its claim: whoever writes takes them in this order.
            opened = changes.save(tx, opening)
            ledger.close_actions(tx, instance.uuid, now=now, but=opened.action_id)
            ending = replace(
                opening,
                before=opened.instance,
                after=finished(delete, opened.instance, now=now),
                phase=Phase.END,
                action_id=opened.action_id,
                host=None,
                without_event=True,
            )
            changes.save(tx, ending)

        self._database.run(work)
