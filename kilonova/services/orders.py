"""Orders of servers: what is asked for, checked against what there is, and the records that come of it."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from kilonova.domain.errors import Forbidden, Invalid, NotFound, NotSupported
from kilonova.domain.model import Flavor, Instance, Instant
from kilonova.domain.states import PowerState, TaskState, VmState
from kilonova.services.booting import Bootable
from kilonova.store import flavors, fleet, keypairs
from kilonova.store.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalDisks:
    """Disks of the host that were asked for by size in GiB; a size of None is whatever the flavor has."""

    swap_gb: int | None = None
    ephemeral_gb: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOrder:
    """What ``POST /servers`` asks for, checked for form only.

    ``host`` and ``node`` are None for any; with ``is_forced`` they came with the zone, and as in Nova nobody but the
    placer then finds out whether they exist. ``sees_private_flavors`` is for administrators; others need access to one
    (contract §11.6). ``may_have_no_disk`` says whether a flavor without a root disk may be used.
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
    is_forced: bool = False
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
    may_have_no_disk: bool = False
    files: tuple[Mapping[str, str], ...] = ()
    disks: LocalDisks = field(default_factory=LocalDisks)
    trusted_certificates: tuple[str, ...] = ()

    @property
    def group(self) -> str | None:
        """The server group that the new servers are to join, if any."""
        return next(iter(self.hints.get("group", ())), None)


@dataclass(frozen=True, slots=True)
class Draft:
    """A server that nobody has saved yet, and what of its order only the placer needs."""

    instance: Instance
    parameters_json: str


def check_place(connection: Connection, order: ServerOrder, *, zones: Collection[str]) -> None:
    """Invalid, in Nova's words, for a zone or a host that is not there, unless it is forced."""
    if order.is_forced:
        return
    if order.availability_zone and order.availability_zone not in zones:
        raise Invalid("The requested availability zone is not available")
    if order.host and fleet.find_service(connection, "nova-compute", order.host) is None:
        raise Invalid(f"Compute host {order.host} could not be found.")
    if order.node and not _is_node(connection, order.node, order.host):
        raise Invalid(f"Compute host {order.node} could not be found.")


def _is_node(connection: Connection, node: str, host: str | None) -> bool:
    if host:
        return fleet.find_node(connection, host, node) is not None
    return any(known.hypervisor_hostname == node for known in fleet.list_nodes(connection))


def flavor_of(connection: Connection, order: ServerOrder) -> Flavor:
    """The flavor that was ordered. Invalid, in Nova's words, where the project may not see it.

    Forbidden for one without a disk, which would let the image say how much of the host's a server takes (contract
    §0.6: ``zero_disk_flavor``).
    """
    try:
        flavor = flavors.get_flavor(
            connection,
            order.flavorid,
            include_private=order.sees_private_flavors,
            project_id=order.project_id,
        )
    except NotFound as error:
        raise Invalid(error.message) from error
    if not flavor.root_gb and not order.may_have_no_disk:
        raise Forbidden("Only volume-backed servers are allowed for flavors with zero disk.")
    return flavor


def key_data_of(connection: Connection, order: ServerOrder) -> str | None:
    """The public key that was named. Invalid, in Nova's words, where the user has none of this name."""
    if order.key_name is None:
        return None
    keypair = keypairs.find_keypair(connection, order.user_id, order.key_name)
    if keypair is None:
        raise Invalid("Invalid key_name provided.")
    return keypair.public_key


def check_fit(wanted: Bootable, flavor: Flavor | Instance) -> None:
    """Invalid, in Nova's words, for an image that the flavor is too small for."""
    if flavor.memory_mb < wanted.memory_mb:
        raise Invalid("Flavor's memory is too small for requested image.")
    if flavor.root_gb and flavor.root_gb < wanted.image.min_disk:
        raise Invalid(
            "Flavor's disk is too small for requested image. "
            f"Flavor disk is {flavor.root_gb * 2**30} bytes, minimum size is {wanted.image.min_disk * 2**30} bytes."
        )


def check_disks(disks: LocalDisks, flavor: Flavor) -> None:
    """Invalid, in Nova's words, for disks larger than the flavor has; NotSupported for smaller ones, or several."""
    if disks.swap_gb is not None and disks.swap_gb * 1024 > flavor.swap_mb:
        raise Invalid("Swap drive requested is larger than instance type allows.")
    wanted = sum(size or 0 for size in disks.ephemeral_gb)
    if wanted > flavor.ephemeral_gb or (disks.ephemeral_gb and not flavor.ephemeral_gb):
        raise Invalid("Ephemeral disks requested are larger than the instance type allows.")
    is_other = wanted not in (0, flavor.ephemeral_gb) or len(disks.ephemeral_gb) > 1
    if is_other or (disks.swap_gb is not None and disks.swap_gb * 1024 < flavor.swap_mb):
        raise NotSupported("Kilonova makes the ephemeral disk and the swap of a server as its flavor has them.")


def hostname_of(name: str, uuid: str) -> str:
    """The host name that a server's name gives: lower case, letters, digits and hyphens, at most 63."""
    plain = re.sub(r"[^a-z0-9-]", "", re.sub(r"[ _.]", "-", name.lower())).strip("-")
    return plain[:63].rstrip("-") or f"server-{uuid}"


def drafts_of(order: ServerOrder, flavor: Flavor, wanted: Bootable, *, count: int, now: Instant) -> list[Draft]:
    """The servers of an order, ``count`` of them; several are numbered by name."""
    reservation = f"r-{uuid4().hex[:8]}"
    names = [order.name] if count == 1 else [f"{order.name}-{number}" for number in range(1, count + 1)]
    plain = _draft(order, flavor, now=now)._replace(**wanted.columns)
    return [
        Draft(_named(plain, order, name)._replace(reservation_id=reservation, launch_index=index), _told(order))
        for index, name in enumerate(names)
    ]


def _named(plain: Instance, order: ServerOrder, name: str) -> Instance:
    uuid = str(uuid4())
    return plain._replace(uuid=uuid, display_name=name, hostname=order.hostname or hostname_of(name, uuid))


def _told(order: ServerOrder) -> str:
    """What of the order only the placer and the host need: where it is to be, and the files it is to find."""
    return _json({key: value for key in ("host", "node", "files") if (value := getattr(order, key))})


def _draft(order: ServerOrder, flavor: Flavor, *, now: Instant) -> Instance:
    return Instance(
        id=0,
        uuid="",
        generation=0,
        project_id=order.project_id,
        user_id=order.user_id,
        display_name=order.name,
        hostname="",
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
        image_ref="",
        image_json="",
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
        config_drive="True" if order.config_drive or order.files else "",
        root_device_name="/dev/vda",
        disk_config=order.disk_config,
        access_ip_v4=order.access_ip_v4,
        access_ip_v6=order.access_ip_v6,
        hints_json=_json(order.hints),
        trusted_certs_json=_json(order.trusted_certificates) if order.trusted_certificates else None,
    )


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
