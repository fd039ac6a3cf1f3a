"""What an operation changes at the moment it is accepted, and what its host is told: rebuild, rescue, image, password.

Each is a function from the instance and what was asked to the instance as it then is and the parameters that the
ledger keeps. What cannot be done is refused here, before anything is written.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from kilonova.domain.changes import Change, Phase
from kilonova.domain.errors import Conflict, Invalid, KilonovaError, NotSupported
from kilonova.domain.image_properties import read_kept
from kilonova.domain.images import Image, ImageStatus
from kilonova.domain.model import Instance
from kilonova.domain.operations import Operation
from kilonova.domain.snapshots import BACKUP, SNAPSHOT, ImageOrder, Wanted, order_of
from kilonova.services import asked_moves, asked_shelving
from kilonova.services.booting import ImageFinder, find_bootable
from kilonova.services.orders import check_fit
from kilonova.services.ports import Ports
from kilonova.services.safe import Safe
from kilonova.services.shelving import find_shelved_image
from kilonova.services.workflow import Workflows
from kilonova.store import keypairs
from kilonova.store.changes import Saved
from kilonova.store.database import Connection, Database, Transaction

_log = logging.getLogger(__name__)


class ImageTaker(ImageFinder, Protocol):
    """Where new images are ordered, too."""

    def check_order(self, order: ImageOrder) -> None:
        """Invalid where the image service would not take an image with this name and these properties."""

    def queue_image(self, order: ImageOrder) -> Image:
        """The image of an order, made without data if it is not there."""
        ...

    def discard(self, image_id: str, *, unfinished_only: bool) -> None:
        """Delete an image, or only if it has no data yet; one that is gone is gone."""


_UNABLE: Final[Mapping[str, tuple[type[KilonovaError], str]]] = {
    "change_password": (NotSupported, "Unable to set password on instance"),
    "trigger_crash_dump": (Invalid, "Triggering crash dump is not supported."),
    "attach_interface": (Invalid, "Attaching interfaces is not supported for instance {uuid}."),
    "detach_interface": (NotSupported, "The requested functionality is not supported."),
}
"""Nova's answers where it has its own (contract §6.6.2)."""

Prepared = tuple[Instance, Mapping[str, Any]]
"""The instance with what is changed of it at once, and the parameters of the action."""


def _every_host_is(_host: str, _operation: Operation) -> bool:
    """Of hosts whose driver nobody here knows: their agents say so where it is not."""
    return True


def _reaches_every_guest(_host: str) -> bool:
    """Where nobody here knows better; its agent says so where it does not."""
    return False


def _is_taken_for_up(_host: str) -> bool:
    """Where nobody here knows better."""
    return True


def _is_left_to_its_steps(_connection: Connection, _instance: Instance, _told: Mapping[str, Any]) -> None:
    """Where nobody here chooses hosts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What is known of hosts: whether the driver of one has what an operation needs, and whether the host is there.

    ``needs_agent`` says whether passwords are set only in guests that have QEMU's agent inside.

    ``check_live_move`` raises Invalid where none can take a server that runs (``LiveMoves.check``). ``default_zone`` is
    that of hosts that are in no other.
    """

    is_able: Callable[[str, Operation], bool] = _every_host_is
    is_up: Callable[[str], bool] = _is_taken_for_up
    needs_agent: Callable[[str], bool] = _reaches_every_guest
    check_live_move: Callable[[Connection, Instance, Mapping[str, Any]], None] = _is_left_to_its_steps
    default_zone: str = "nova"


_NOTHING_KNOWN: Final = HostFacts()


class Preparation:
    """Looks up what an operation needs, and keeps its secrets out of the ledger."""

    def __init__(
        self,
        database: Database,
        images: ImageTaker,
        safe: Safe,
        *,
        ports: Ports,
        hosts: HostFacts = _NOTHING_KNOWN,
        workflows: Workflows | None = None,
    ) -> None:
        """Without ``workflows`` no operation of several steps can be begun."""
        self._database = database
        self.images = images
        self.ports = ports
        self._safe = safe
        self._hosts = hosts
        self._workflows = workflows
        self._ways: Final[Mapping[str, Callable[[Instance, Mapping[str, Any]], Prepared]]] = {
            "rebuild": self._rebuild,
            "rescue": self._rescue,
            "change_password": self._change_password,
            "create_image": self._create_image,
            "shelve": self._shelve,
            "unshelve": self._unshelve,
            "create_backup": self._create_backup,
            "resize": self._resize,
            "migrate": self._migrate,
            "live_migrate": self._live_migrate,
            "evacuate": self._evacuate,
        }

    def reserve(self, tx: Transaction, change: Change) -> Change:
        """The change with what it takes of things that there are only so many of, in the transaction that saves it."""
        if (
            change.phase is not Phase.ACCEPTED
            or change.operation is None
            or change.operation.name != "attach_interface"
        ):
            return change
        return self.ports.plug(tx, change, json.loads(change.parameters_json))

    def open(self, tx: Transaction, operation: Operation, saved: Saved) -> None:
        """Send an operation that was accepted in this transaction on its way, where it has several steps."""
        if self._workflows is not None:
            self._workflows.open(tx, operation, saved)

    def abandon(self, tx: Transaction, instance: Instance) -> Instance:
        """See ``Workflows.abandon``."""
        return instance if self._workflows is None else self._workflows.abandon(tx, instance)

    def prepare(self, operation: Operation, instance: Instance, asked: Mapping[str, Any]) -> Prepared:
        """What is changed at once, and told to the host.

        Invalid, in Nova's words, where it cannot be done, and NotSupported where the host's driver does not do it.
        """
        if instance.host is not None and not self._hosts.is_able(instance.host, operation):
            otherwise = NotSupported, f"The server's host cannot do '{operation.quoted}'."
            kind, text = _UNABLE.get(operation.name, otherwise)
            raise kind(text.format(uuid=instance.uuid))
        way = self._ways.get(operation.name)
        return (instance, asked) if way is None else way(instance, asked)

    def forget(self, instance: Instance) -> None:
        """Once a server is deleted, or on its way: the image that it was shelved as is of no more use."""
        with self._database.read() as connection:
            kept = find_shelved_image(connection, instance)
        if kept is None:
            return
        try:
            self.images.discard(kept["id"], unfinished_only=False)
        except KilonovaError:
            _log.exception("Image %s of a server that is deleted cannot be deleted", kept["id"])

    def follow(self, told: Mapping[str, Any]) -> None:
        """Once an operation is accepted: let the image that it is to make be seen, as one that waits for its data.

        Whoever carries the operation out sees to it again, so a failure here is no failure of the operation.
        """
        order = told.get("new_image")
        if order is None:
            return
        try:
            self.images.queue_image(ImageOrder.read(order))
        except KilonovaError:
            _log.exception("Image %s is not there yet; its maker will see to it", order["image_id"])

    def _image(self, instance: Instance, asked: Mapping[str, Any]) -> Image | None:
        """An image that the caller's project may see, or that of the server."""
        for project_id in (asked["project_id"], instance.project_id):
            image = self.images.find_image(asked["image_id"], project_id=project_id)
            if image is not None:
                return image
        return None

    def _rebuild(self, instance: Instance, asked: Mapping[str, Any]) -> Prepared:
        """``asked`` has ``image_id``, the caller's ``project_id``, ``changes``, perhaps ``key_name`` and ``files``."""
        image = self._image(instance, asked)
        if image is None:
            raise Invalid("Cannot find image for rebuild")
        if image.status is not ImageStatus.ACTIVE:
            raise Invalid(f"Image {image.id} is not active.")
        wanted = find_bootable(self.images, image, (asked["project_id"], instance.project_id))
        check_fit(wanted, instance)
        changes = {**asked["changes"], **wanted.columns}
        if "key_name" in asked:
            changes |= {"key_name": asked["key_name"], "key_data": self._public_key(instance, asked["key_name"])}
        told = {"image_id": image.id, "former_image_id": instance.image_ref}
        if files := asked.get("files"):
            changes["config_drive"] = "True"
            told["files"] = files
        return instance._replace(**changes), told

    def _public_key(self, instance: Instance, name: str | None) -> str | None:
        """The key of the server's owner, whoever asks."""
        if name is None:
            return None
        with self._database.read() as connection:
            keypair = keypairs.find_keypair(connection, instance.user_id, name)
        if keypair is None:
            raise Invalid("Invalid key_name provided.")
        return keypair.public_key

    def _rescue(self, instance: Instance, asked: Mapping[str, Any]) -> Prepared:
        """``asked`` has ``image_id`` and the caller's ``project_id``; no image means that of the server's build."""
        wanted = asked["image_id"]
        facts: dict[str, Any] = instance.image
        if wanted is not None:
            image = self._image(instance, asked)
            if image is None or image.status is not ImageStatus.ACTIVE:
                raise Invalid(f"Requested rescue image '{wanted}' is not supported")
            boots = find_bootable(self.images, image, (asked["project_id"], instance.project_id))
            facts = json.loads(boots.facts_json)
        if not facts or facts["disk_format"] == "iso":
            raise Invalid(f"Requested rescue image '{wanted or instance.image_ref}' is not supported")
        return instance, {"image": facts}

    def _change_password(self, instance: Instance, asked: Mapping[str, Any]) -> Prepared:
        """Conflict, in Nova's words, where the host reaches only guests with an agent, and its image has none."""
        says = read_kept(instance.image.get("properties", {}))
        if instance.host is not None and self._hosts.needs_agent(instance.host) and not says.has_agent:
            raise Conflict("QEMU guest agent is not enabled")
        return instance, {"ticket": self._safe.put(asked["password"])}

    def _create_image(self, instance: Instance, asked: Mapping[str, Any]) -> Prepared:
        """``asked`` has the ``image_id`` to be, its ``name`` and ``metadata``, the caller's project and user."""
        return instance, {"new_image": self._ordered(instance, asked, SNAPSHOT)}

    def _create_backup(self, instance: Instance, asked: Mapping[str, Any]) -> Prepared:
        """``asked`` has ``backup_type`` and ``rotation`` besides; without any to be kept, none is made."""
        told = {key: asked[key] for key in ("backup_type", "rotation")} | {"owner": asked["project_id"]}
        return instance, {**told, "new_image": self._ordered(instance, asked, BACKUP) if asked["rotation"] else None}

    def _shelve(self, instance: Instance, asked: Mapping[str, Any]) -> Prepared:
        """``asked`` has the ``image_id`` to be, and the caller's project and user."""
        wanted = {**asked, "name": f"{instance.display_name}-shelved"[:255], "metadata": {}}
        return instance, {"new_image": self._ordered(instance, wanted, SNAPSHOT)}

    def _unshelve(self, instance: Instance, asked: Mapping[str, Any]) -> Prepared:
        with self._database.read() as connection:
            return asked_shelving.unshelve(connection, instance, asked, default_zone=self._hosts.default_zone)

    def _ordered(self, instance: Instance, asked: Mapping[str, Any], kind: str) -> dict[str, Any]:
        wanted = Wanted(
            image_id=asked["image_id"],
            name=asked["name"],
            project_id=asked["project_id"],
            user_id=asked["user_id"],
            kind=kind,
            backup_type=asked.get("backup_type"),
            metadata=asked["metadata"],
        )
        order = order_of(instance, wanted)
        self.images.check_order(order)
        return order.kept()

    def _resize(self, instance: Instance, asked: Mapping[str, Any]) -> Prepared:
        with self._database.read() as connection:
            told = asked_moves.resize(connection, instance, asked)
        asked_moves.check_service(is_up=self._hosts.is_up(instance.host or ""))
        disk_config = asked.get("disk_config")
        return instance._replace(disk_config=disk_config) if disk_config else instance, told

    def _migrate(self, instance: Instance, asked: Mapping[str, Any]) -> Prepared:
        with self._database.read() as connection:
            told = asked_moves.migrate(connection, instance, asked)
        asked_moves.check_service(is_up=self._hosts.is_up(instance.host or ""))
        return instance, told

    def _live_migrate(self, instance: Instance, asked: Mapping[str, Any]) -> Prepared:
        with self._database.read() as connection:
            told = asked_moves.live_migrate(connection, instance, asked)
        for host in filter(None, (instance.host, told["host"])):
            asked_moves.check_is_there(host, is_up=self._hosts.is_up(host))
        with self._database.read() as connection:
            self._hosts.check_live_move(connection, instance, told)
        return instance, told

    def _evacuate(self, instance: Instance, asked: Mapping[str, Any]) -> Prepared:
        with self._database.read() as connection:
            told = asked_moves.evacuate(connection, instance, asked)
        asked_moves.check_is_down(instance, is_up=self._hosts.is_up(instance.host or ""))
        return instance, told
