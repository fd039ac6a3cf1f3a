"""The use cases of servers: create, delete, update, and every operation that is asked for by name.

Each is one transaction that ends with a prod to whoever has to go on. What is refused leaves no trace.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from uuid import uuid4

from kilonova.bus import CONDUCTOR, Bus, host_topic
from kilonova.domain.changes import Change, Phase
from kilonova.domain.errors import Conflict, Invalid, NotFound, NotSupported, StaleRecord
from kilonova.domain.images import Image
from kilonova.domain.model import Clock, Flavor, Instance, Instant, Request
from kilonova.domain.operations import ANY_TASK, Operation, Runs, get_operation
from kilonova.domain.quota import Usage, enforce
from kilonova.domain.states import PowerState, TaskState, VmState
from kilonova.domain.transitions import accepted, finished, refusal
from kilonova.services.at_once import AT_ONCE
from kilonova.services.settings import QuotaSettings, ServiceSettings
from kilonova.store import changes, flavors, fleet, instances, keypairs, ledger, server_groups
from kilonova.store.database import Database, Transaction

_GONE = frozenset({TaskState.DELETING, TaskState.SOFT_DELETING})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOrder:
    """What ``POST /servers`` asks for, checked for form only. ``host`` and ``node`` are None unless forced.

    ``sees_private_flavors`` is for administrators; others need access to one (contract §11.6).
    """

    name: str
    flavorid: str
    project_id: str
    user_id: str
    image_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None
    hostname: str | None = None
    availability_zone: str | None = None
    host: str | None = None
    node: str | None = None
    key_name: str | None = None
    user_data: str | None = None
    config_drive: bool = False
    tags: tuple[str, ...] = ()
    networks: str | tuple[Mapping[str, Any], ...] = "auto"
    hints: Mapping[str, Any] = field(default_factory=dict)
    security_groups: tuple[str, ...] = ("default",)
    disk_config: str = "MANUAL"
    access_ip_v4: str = ""
    access_ip_v6: str = ""
    min_count: int = 1
    max_count: int = 1
    sees_private_flavors: bool = False

    @property
    def group(self) -> str | None:
        """The server group that the new servers are to join, if any."""
        return next(iter(self.hints.get("group", ())), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUpdate:
    """What an owner changes of a server at once: fields of ``Instance`` that describe it, with their new values."""

    changes: Mapping[str, Any]


class ImageFinder(Protocol):
    """Where images are looked up on behalf of a project."""

    def find_image(self, image_id: str, *, project_id: str | None) -> Image | None:
        """The image if the project may see it, else None."""


class Servers:
    """The use cases, over the store."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        clock: Clock,
        images: ImageFinder,
        *,
        settings: ServiceSettings,
        quota: QuotaSettings,
    ) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._images = images
        self._settings = settings
        self._quota = quota

    def create(self, request: Request, order: ServerOrder) -> Instance:
        """Accept an order of one or more servers; returns the first, building.

        Invalid for an unknown flavor, image, key pair or server group, and for an image that the flavor cannot hold;
        QuotaExceeded.
        """
        image = self._image(order)
        now = self._clock()
        with self._database.transaction() as tx:
            flavor = _flavor(tx, order)
            key_data = _key_data(tx, order)
            _fits(image, flavor)
            self._enforce_quota(tx, order, flavor)
            reservation = f"r-{uuid4().hex[:8]}"
            drafts = (
                _draft(order, flavor, image, index=index, reservation=reservation, now=now)
                for index in range(order.max_count)
            )
            made = [self._open(tx, request, draft, key_data) for draft in drafts]
            self._join_group(tx, request, order, made)
            tx.after_commit(lambda: self._bus.prod(CONDUCTOR))
        return made[0]

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
            raise NotSupported(f"Kilonova does not do '{operation.quoted}' yet.")
        if operation.becomes is VmState.DELETED:
            self.delete(request, instance, operation, may_override_lock=may_override_lock)
            return instance
        refused = refusal(operation, instance, may_override_lock=may_override_lock)
        if refused:
            raise refused
        if operation.runs is Runs.API:
            return self._do_at_once(request, instance, operation, parameters)
        return self._accept(request, instance, operation, parameters)

    def delete(
        self, request: Request, instance: Instance, delete: Operation | None = None, *, may_override_lock: bool
    ) -> None:
        """Delete a server: by its host's agent, or at once where it has no host (contract §6.6.3).

        Conflict where it is locked. A server that is being deleted already is left to that.
        """
        delete = delete or get_operation("delete")
        if instance.task_state in _GONE:
            return
        refused = refusal(delete, instance, may_override_lock=may_override_lock)
        if refused:
            raise refused
        for _ in range(5):
            try:
                if instance.host is None or self._is_down(instance.host):
                    self._delete_here(request, instance, delete)
                else:
                    self._accept(request, instance, delete, {})
            except StaleRecord:
                with self._database.read() as connection:
                    instance = instances.get_instance(connection, instance.uuid)
                continue
            return
        raise Conflict(f"Instance {instance.uuid} changes too fast to be deleted; try again.")

    def update(self, request: Request, instance: Instance, wanted: ServerUpdate) -> Instance:
        """Change what describes a server; returns it changed."""
        now = self._clock()
        changed = instance._replace(**wanted.changes, updated_at=now)
        return self._save(Change(before=instance, after=changed, request=request, occurred_at=now))

    def _image(self, order: ServerOrder) -> Image:
        if not order.image_id:
            raise Invalid("Block Device Mapping is Invalid: Kilonova has no volumes; name an image to boot from.")
        image = self._images.find_image(order.image_id, project_id=order.project_id)
        if image is None:
            raise Invalid(f"Image {order.image_id} could not be found.")
        if image.status != "active":
            raise Invalid(f"Image {order.image_id} is not active.")
        return image

    def _enforce_quota(self, tx: Transaction, order: ServerOrder, flavor: Flavor) -> None:
        limits = {name: getattr(self._quota, name) for name in ("instances", "cores", "ram")}
        count = order.max_count
        wanted = Usage(instances=count, cores=count * flavor.vcpus, ram=count * flavor.memory_mb)
        enforce(limits, instances.project_usage(tx.connection, order.project_id), wanted)

    def _join_group(self, tx: Transaction, request: Request, order: ServerOrder, made: list[Instance]) -> None:
        if order.group is None:
            return
        limit = self._quota.server_group_members
        try:
            server_groups.join_server_group(tx, order.group, made, limit=limit, request=request)
        except NotFound as error:
            raise Invalid(error.message) from error

    def _open(self, tx: Transaction, request: Request, draft: "_Draft", key_data: str | None) -> Instance:
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
        self, request: Request, instance: Instance, operation: Operation, parameters: Mapping[str, Any]
    ) -> Instance:
        now = self._clock()
        change = Change(
            before=instance,
            after=accepted(operation, instance, now=now),
            request=request,
            occurred_at=now,
            operation=operation,
            phase=Phase.ACCEPTED,
            host=instance.host,
            parameters_json=json.dumps(parameters),
        )
        host = instance.host
        return self._save(change, prod=lambda: self._bus.prod(host_topic(host) if host else CONDUCTOR))

    def _do_at_once(
        self, request: Request, instance: Instance, operation: Operation, parameters: Mapping[str, Any]
    ) -> Instance:
        """Begin and end an operation in one transaction; what else is open ends with a reset of the state."""
        now = self._clock()
        done = AT_ONCE[operation.name](instance, request, parameters, now)
        if done is None:
            return instance
        opening = Change(
            before=instance,
            after=instance._replace(updated_at=now),
            request=request,
            occurred_at=now,
            operation=operation,
            phase=Phase.ACCEPTED,
            parameters_json=json.dumps(parameters),
        )
        try:
            with self._database.transaction() as tx:
                opened = changes.save(tx, opening)
                if operation.name == "reset_state":
                    ledger.close_actions(tx.connection, instance.uuid, now=now, but=opened.action_id)
                ending = replace(
                    opening,
                    before=opened.instance,
                    after=done,
                    phase=Phase.END,
                    action_id=opened.action_id,
                    without_event=operation.event is None,
                )
                return changes.save(tx, ending).instance
        except StaleRecord as error:
            raise _overtaken(instance) from error

    def _save(self, change: Change, *, prod: Callable[[], None] | None = None) -> Instance:
        try:
            with self._database.transaction() as tx:
                saved = changes.save(tx, change)
                if prod:
                    tx.after_commit(prod)
        except StaleRecord as error:
            if change.operation is not None and change.operation.accepts_tasks == ANY_TASK:
                raise
            raise _overtaken(change.after) from error
        return saved.instance

    def _is_down(self, host: str) -> bool:
        with self._database.read() as connection:
            service = fleet.find_service(connection, "nova-compute", host)
        down = self._settings.service_down_time
        return service is None or not service.is_up(self._clock(), service_down_seconds=down)

    def _delete_here(self, request: Request, instance: Instance, delete: Operation) -> None:
        """Delete without the host's help; whatever is left on it goes once its agent compares (contract §6.6.3)."""
        now = self._clock()
        with self._database.transaction() as tx:
            opened = changes.save(
                tx,
                Change(
                    before=instance,
                    after=accepted(delete, instance, now=now),
                    request=request,
                    occurred_at=now,
                    operation=delete,
                    phase=Phase.ACCEPTED,
                    host=instance.host,
                ),
            )
            ledger.close_actions(tx.connection, instance.uuid, now=now, but=opened.action_id)
            changes.save(
                tx,
                Change(
                    before=opened.instance,
                    after=finished(delete, opened.instance, now=now),
                    request=request,
                    occurred_at=now,
                    operation=delete,
                    phase=Phase.END,
                    action_id=opened.action_id,
                    without_event=True,
                ),
            )


def _overtaken(instance: Instance) -> Conflict:
    return Conflict(f"Instance {instance.uuid} was changed by another request in the same moment; try again.")


@dataclass(frozen=True, slots=True)
class _Draft:
    instance: Instance
    parameters_json: str


def _flavor(tx: Transaction, order: ServerOrder) -> Flavor:
    try:
        return flavors.get_flavor(
            tx.connection,
            order.flavorid,
            include_private=order.sees_private_flavors,
            project_id=order.project_id,
        )
    except NotFound as error:
        raise Invalid(error.message) from error


def _key_data(tx: Transaction, order: ServerOrder) -> str | None:
    """The public key that was named. Invalid, in Nova's words, where the user has none of this name."""
    if order.key_name is None:
        return None
    keypair = keypairs.find_keypair(tx.connection, order.user_id, order.key_name)
    if keypair is None:
        raise Invalid("Invalid key_name provided.")
    return keypair.public_key


def _fits(image: Image, flavor: Flavor) -> None:
    if flavor.memory_mb < image.min_ram:
        raise Invalid("Flavor's memory is too small for requested image.")
    if flavor.root_gb and flavor.root_gb < image.min_disk:
        raise Invalid(
            "Flavor's disk is too small for requested image. "
            f"Flavor disk is {flavor.root_gb * 2**30} bytes, minimum size is {image.min_disk * 2**30} bytes."
        )


def hostname_of(name: str, uuid: str) -> str:
    """The host name that a server's name gives: lower case, letters, digits and hyphens, at most 63."""
    plain = re.sub(r"[^a-z0-9-]", "", re.sub(r"[ _.]", "-", name.lower())).strip("-")
    return plain[:63].rstrip("-") or f"server-{uuid}"


def _draft(order: ServerOrder, flavor: Flavor, image: Image, *, index: int, reservation: str, now: Instant) -> _Draft:
    uuid = str(uuid4())
    name = order.name if order.max_count == 1 else f"{order.name}-{index + 1}"
    instance = Instance(
        id=0,
        uuid=uuid,
        generation=0,
        project_id=order.project_id,
        user_id=order.user_id,
        display_name=name,
        hostname=order.hostname or hostname_of(name, uuid),
        vm_state=VmState.BUILDING,
        task_state=TaskState.SCHEDULING,
        power_state=PowerState.NOSTATE,
        host=None,
        node=None,
        flavor_id=flavor.id,
        flavorid=flavor.flavorid,
        flavor_name=flavor.name,
        flavor_json=flavor.embedded_json,
        vcpus=flavor.vcpus,
        memory_mb=flavor.memory_mb,
        root_gb=flavor.root_gb,
        ephemeral_gb=flavor.ephemeral_gb,
        swap_mb=flavor.swap_mb,
        image_ref=image.id,
        image_json=_image_facts(image),
        metadata_json=_json(order.metadata),
        tags_json=_json(sorted(set(order.tags))),
        addresses_json="{}",
        security_groups_json=_json([{"name": group} for group in order.security_groups]),
        volumes_json="[]",
        created_at=now,
        updated_at=now,
        launched_at=None,
        terminated_at=None,
        deleted_at=None,
        display_description=order.description,
        availability_zone=order.availability_zone,
        key_name=order.key_name,
        user_data=order.user_data,
        config_drive="True" if order.config_drive else "",
        reservation_id=reservation,
        launch_index=index,
        root_device_name="/dev/vda",
        disk_config=order.disk_config,
        access_ip_v4=order.access_ip_v4,
        access_ip_v6=order.access_ip_v6,
        hints_json=_json(order.hints),
        nics_json="[]" if order.networks in ("none", ()) else "[{}]",
    )
    return _Draft(instance, _json({key: value for key in ("host", "node") if (value := getattr(order, key))}))


def _image_facts(image: Image) -> str:
    """What a host must know to boot the image, and what the API shows of it, as of now."""
    return _json(
        {
            "id": image.id,
            "name": image.name,
            "disk_format": image.disk_format,
            "container_format": image.container_format,
            "size": image.size or 0,
            "os_hash_value": image.os_hash_value,
            "min_disk": image.min_disk,
            "min_ram": image.min_ram,
            "properties": json.loads(image.properties_json),
        }
    )


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
