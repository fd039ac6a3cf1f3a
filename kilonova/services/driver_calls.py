"""What a driver is asked for on behalf of an operation, and which operations a driver knows at all."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from kilonova.domain.errors import GuestFailure, NotFound, NotSupported
from kilonova.domain.faults import FaultCause
from kilonova.domain.model import Instance
from kilonova.domain.operations import Operation
from kilonova.domain.states import TaskState, VmState
from kilonova.drivers.protocol import CanRescue, CanSetPassword, CanSuspend, Driver, GuestSpec, ImageSource, Nic
from kilonova.services.door import Work
from kilonova.services.safe import Safe
from kilonova.services.settings import ServiceSettings

_ABILITIES: Final[Mapping[str, type]] = {
    "suspend": CanSuspend,
    "resume": CanSuspend,
    "rescue": CanRescue,
    "unrescue": CanRescue,
    "set_password": CanSetPassword,
}
"""What a driver must be for a verb that not every driver has."""


class ImageFetcher(Protocol):
    """Where the agent gets an image's bytes from."""

    def fetch(self, image_id: str, destination: Path) -> None:
        """Write the image's data to ``destination``; NotFound where there is none."""


def is_able(driver: Driver, operation: Operation) -> bool:
    """Whether the driver has what the operation needs."""
    needed = _ABILITIES.get(operation.driver)
    return needed is None or isinstance(driver, needed)


class DriverCalls:
    """Carries operations out on one driver. Any of them may be asked for again after it was cut off."""

    def __init__(self, driver: Driver, images: ImageFetcher, safe: Safe, *, settings: ServiceSettings) -> None:
        self._driver = driver
        self._images = images
        self._safe = safe
        self._settings = settings

    def carry_out(self, operation: Operation, work: Work, step: Callable[[TaskState], None]) -> None:
        """Do it; ``step`` is told of each part that shows. Raises what the driver raises."""
        if not is_able(self._driver, operation):
            raise NotSupported(f"The driver of the server's host does not do '{operation.quoted}'.")
        driver, uuid = self._driver, work.instance.uuid
        patience = float(self._settings.shutdown_timeout)
        calls: Mapping[str, Callable[[], None]] = {
            "spawn": lambda: driver.spawn(self._guest(work.instance)),
            "destroy": lambda: driver.destroy(uuid),
            "power_on": lambda: driver.power_on(uuid),
            "power_off": lambda: driver.power_off(uuid, timeout_seconds=patience),
            "reboot": lambda: driver.reboot(uuid, hard=operation.variant == "HARD", timeout_seconds=patience),
            "pause": lambda: driver.pause(uuid),
            "unpause": lambda: driver.unpause(uuid),
            "rebuild": lambda: self._rebuild(work.instance, step),
            **self._further_calls(work, patience),
        }
        calls[operation.driver]()

    def _further_calls(self, work: Work, patience: float) -> Mapping[str, Callable[[], None]]:
        """The verbs that only some drivers have, as far as this one has them."""
        driver, uuid = self._driver, work.instance.uuid
        found: dict[str, Callable[[], None]] = {}
        if isinstance(driver, CanSuspend):
            found |= {"suspend": lambda: driver.suspend(uuid), "resume": lambda: driver.resume(uuid)}
        if isinstance(driver, CanRescue):
            found["rescue"] = lambda: driver.rescue(
                uuid, self._source(work.parameters["image"]), timeout_seconds=patience
            )
            found["unrescue"] = lambda: driver.unrescue(uuid)
        if isinstance(driver, CanSetPassword):
            found["set_password"] = lambda: driver.set_password(uuid, self._secret(work))
        return found

    def _rebuild(self, instance: Instance, step: Callable[[TaskState], None]) -> None:
        """A new guest in the place of the old one; off again where the server was stopped."""
        step(TaskState.REBUILD_BLOCK_DEVICE_MAPPING)
        self._driver.destroy(instance.uuid)
        step(TaskState.REBUILD_SPAWNING)
        self._driver.spawn(self._guest(instance))
        if instance.vm_state is VmState.STOPPED:
            self._driver.power_off(instance.uuid, timeout_seconds=0)

    def _secret(self, work: Work) -> str:
        secret = self._safe.take(work.parameters["ticket"])
        if secret is None:
            text = "the service that had the new password was stopped before it could be set; set it again"
            raise GuestFailure(FaultCause.INTERRUPTED, text)
        return secret

    def _guest(self, instance: Instance) -> GuestSpec:
        return GuestSpec(
            uuid=instance.uuid,
            name=instance.name,
            display_name=instance.display_name,
            project_id=instance.project_id,
            user_id=instance.user_id,
            hostname=instance.hostname,
            vcpus=instance.vcpus,
            memory_mb=instance.memory_mb,
            root_gb=instance.root_gb,
            ephemeral_gb=instance.ephemeral_gb,
            swap_mb=instance.swap_mb,
            image=self._source(instance.image) if instance.image_ref else None,
            nics=tuple(Nic(mac=nic["mac"], address=nic["address"], label=nic["label"]) for nic in instance.nics),
            metadata=instance.metadata,
            user_data=instance.user_data,
            config_drive=bool(instance.config_drive),
            public_keys=instance.public_keys,
            availability_zone=instance.availability_zone or self._settings.default_availability_zone,
            launch_index=instance.launch_index,
        )

    def _source(self, facts: Mapping[str, Any]) -> ImageSource:
        image_id: str = facts["id"]

        def fetch(destination: Path) -> None:
            try:
                self._images.fetch(image_id, destination)
            except NotFound as error:
                text = f"image {image_id} cannot be read: {error.message}"
                raise GuestFailure(FaultCause.IMAGE_UNAVAILABLE, text) from error

        return ImageSource(
            image_id=image_id,
            disk_format=facts["disk_format"],
            size_bytes=facts["size"],
            sha512=facts["os_hash_value"],
            fetch=fetch,
        )
