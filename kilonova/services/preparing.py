"""What an operation changes at the moment it is accepted, and what its host is told: rebuild, rescue, password.

Each is a function from the instance and what was asked to the instance as it then is and the parameters that the
ledger keeps. What cannot be done is refused here, before anything is written.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from kilonova.domain.errors import Invalid, NotSupported
from kilonova.domain.images import Image, ImageStatus
from kilonova.domain.model import Instance
from kilonova.domain.operations import Operation
from kilonova.services.orders import check_fit, image_facts
from kilonova.services.safe import Safe
from kilonova.store import keypairs
from kilonova.store.database import Database


class ImageFinder(Protocol):
    """Where images are looked up on behalf of a project."""

    def find_image(self, image_id: str, *, project_id: str | None) -> Image | None:
        """The image if the project may see it, else None."""


_UNABLE: Final = {"change_password": "Unable to set password on instance"}
"""Nova's words where it has some (contract §6.6.2)."""

Prepared = tuple[Instance, Mapping[str, Any]]
"""The instance with what is changed of it at once, and the parameters of the action."""


def _every_host_is(_host: str, _operation: Operation) -> bool:
    """Of hosts whose driver nobody here knows: their agents say so where it is not."""
    return True


class Preparation:
    """Looks up what an operation needs, and keeps its secrets out of the ledger."""

    def __init__(
        self,
        database: Database,
        images: ImageFinder,
        safe: Safe,
        *,
        is_able: Callable[[str, Operation], bool] = _every_host_is,
    ) -> None:
        """``is_able`` tells whether a host's driver has what an operation needs."""
        self._database = database
        self.images = images
        self._safe = safe
        self._is_able = is_able
        self._ways: Final[Mapping[str, Callable[[Instance, Mapping[str, Any]], Prepared]]] = {
            "rebuild": self._rebuild,
            "rescue": self._rescue,
            "change_password": self._change_password,
        }

    def prepare(self, operation: Operation, instance: Instance, asked: Mapping[str, Any]) -> Prepared:
        """What is changed at once, and told to the host.

        Invalid, in Nova's words, where it cannot be done, and NotSupported where the host's driver does not do it.
        """
        if instance.host is not None and not self._is_able(instance.host, operation):
            raise NotSupported(_UNABLE.get(operation.name, f"The server's host cannot do '{operation.quoted}'."))
        way = self._ways.get(operation.name)
        return (instance, asked) if way is None else way(instance, asked)

    def _image(self, instance: Instance, asked: Mapping[str, Any]) -> Image | None:
        """An image that the caller's project may see, or that of the server."""
        for project_id in (asked["project_id"], instance.project_id):
            image = self.images.find_image(asked["image_id"], project_id=project_id)
            if image is not None:
                return image
        return None

    def _rebuild(self, instance: Instance, asked: Mapping[str, Any]) -> Prepared:
        """``asked`` has ``image_id``, the caller's ``project_id``, ``changes`` and, if that changes, ``key_name``."""
        image = self._image(instance, asked)
        if image is None:
            raise Invalid("Cannot find image for rebuild")
        if image.status is not ImageStatus.ACTIVE:
            raise Invalid(f"Image {image.id} is not active.")
        check_fit(image, instance)
        changes = {**asked["changes"], "image_ref": image.id, "image_json": image_facts(image)}
        if "key_name" in asked:
            changes |= {"key_name": asked["key_name"], "key_data": self._public_key(instance, asked["key_name"])}
        return instance._replace(**changes), {"image_id": image.id, "former_image_id": instance.image_ref}

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
            facts = json.loads(image_facts(image))
        if not facts or facts["disk_format"] == "iso":
            raise Invalid(f"Requested rescue image '{wanted or instance.image_ref}' is not supported")
        return instance, {"image": facts}

    def _change_password(self, instance: Instance, asked: Mapping[str, Any]) -> Prepared:
        return instance, {"ticket": self._safe.put(asked["password"])}
