"""What a driver is asked for on behalf of an operation, and which operations a driver knows at all."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from kilonova.domain.errors import GuestFailure, NotFound, NotSupported
from kilonova.domain.faults import FaultCause
from kilonova.domain.image_properties import read_kept
from kilonova.domain.images import Image
from kilonova.domain.model import Instance
from kilonova.domain.operations import Operation
from kilonova.domain.snapshots import ImageOrder
from kilonova.domain.states import PowerState, TaskState, VmState
from kilonova.drivers.protocol import (
    LIVE_MOVES,
    MOVES,
    CanInterrupt,
    CanLiveMigrate,
    CanMove,
    CanPlug,
    CanRescue,
    CanSetPassword,
    CanSnapshot,
    CanSuspend,
    Driver,
    GuestSpec,
    ImageSource,
    InjectedFile,
    KernelSource,
    Nic,
    Tell,
)
from kilonova.services.booting import facts_of
from kilonova.services.door import Work
from kilonova.services.nics import plugged, port_id_of
from kilonova.services.safe import Safe
from kilonova.services.settings import ServiceSettings
from kilonova.services.snapshots import ImageKeeper, Snapshots

_ABILITIES: Final[Mapping[str, type]] = {
    "suspend": CanSuspend,
    "resume": CanSuspend,
    "rescue": CanRescue,
    "unrescue": CanRescue,
    "set_password": CanSetPassword,
    "snapshot": CanSnapshot,
    "resize": CanMove,
    **dict.fromkeys(MOVES, CanMove),
    **dict.fromkeys((*LIVE_MOVES, "abort_live_migration", "force_complete_live_migration"), CanLiveMigrate),
    "inject_nmi": CanInterrupt,
    "attach_interface": CanPlug,
    "detach_interface": CanPlug,
    "shelve": CanSnapshot,
}
"""What a driver must be for a verb that not every driver has."""


Result = Mapping[str, Any] | None
"""What a verb hands to the steps that follow, if anything."""


def is_able(driver: Driver, verb: str) -> bool:
    """Whether the driver has this verb."""
    needed = _ABILITIES.get(verb)
    return needed is None or isinstance(driver, needed)


class DriverCalls:
    """Carries operations out on one driver. Any of them may be asked for again after it was cut off."""

    def __init__(
        self, driver: Driver, images: ImageKeeper, safe: Safe, *, settings: ServiceSettings, scratch: Path
    ) -> None:
        """``scratch`` is a directory for disks that are on their way into an image."""
        self._driver = driver
        self._snapshots = Snapshots(driver, images, scratch)
        self._images = images
        self._safe = safe
        self._settings = settings

    def carry_out(self, operation: Operation, work: Work, step: Callable[[TaskState], None], tell: Tell) -> Result:
        """Do it; ``step`` is told of each part that shows, ``tell`` of the bytes that moved on.

        Returns what later steps are to know of it.

        Raises what the driver raises.
        """
        if not is_able(self._driver, work.verb):
            raise NotSupported(f"The driver of the server's host does not do '{operation.quoted}'.")
        driver, uuid = self._driver, work.instance.uuid
        patience = float(self._settings.shutdown_timeout)
        calls: Mapping[str, Callable[[], Result]] = {
            "spawn": lambda: driver.spawn(self._guest(work.instance, work.parameters)),
            "destroy": lambda: driver.destroy(uuid),
            "power_on": lambda: driver.power_on(uuid),
            "power_off": lambda: driver.power_off(uuid, timeout_seconds=patience),
            "reboot": lambda: driver.reboot(uuid, hard=operation.variant == "HARD", timeout_seconds=patience),
            "pause": lambda: driver.pause(uuid),
            "unpause": lambda: driver.unpause(uuid),
            "rebuild": lambda: self._rebuild(work, step),
            "evacuate": lambda: self._evacuate(work),
            "snapshot": lambda: self._snapshots.take(work, step),
            "shelve": lambda: self._shelve(work, step, patience),
            "take_up": lambda: self._take_up(work),
            "unshelve": lambda: self._unshelve(work),
            "put_back": lambda: self._put_back(work, patience),
            **self._further_calls(work, patience, tell),
        }
        call = calls[work.verb]
        try:
            return call()
        except GuestFailure as failure:
            if failure.cause is not FaultCause.GUEST_MISSING or not self._is_put_back(work):
                raise
            return call()

    def _is_put_back(self, work: Work) -> bool:
        """Put back what a move set aside that ended without its way back, such as by a reset of the server's state."""
        if work.verb in MOVES | LIVE_MOVES or not isinstance(self._driver, CanMove):
            return False
        try:
            self._driver.revert_move(work.instance.uuid, power_on=False)
        except GuestFailure:
            return False
        return True

    def abandon(self, operation: Operation, work: Work) -> None:
        """Take away what a failed operation leaves beside the guest."""
        if work.verb in ("snapshot", "shelve"):
            self._snapshots.abandon(work)

    def follow(self, work: Work) -> None:
        """Take away what is of no use once the end of an operation was taken note of, and was needed until then.

        A server that is back from the shelf needs its image no more; before, its host may still be lost.
        """
        if work.verb == "unshelve":
            self._snapshots.forget(work.parameters["shelved"]["id"])

    def _further_calls(self, work: Work, patience: float, tell: Tell) -> Mapping[str, Callable[[], Result]]:
        """The verbs that only some drivers have, as far as this one has them."""
        driver, uuid = self._driver, work.instance.uuid
        found: dict[str, Callable[[], Result]] = {}
        if isinstance(driver, CanSuspend):
            found |= {"suspend": lambda: driver.suspend(uuid), "resume": lambda: driver.resume(uuid)}
        if isinstance(driver, CanRescue):
            found["rescue"] = lambda: driver.rescue(
                uuid, self._source(work.parameters["image"]), timeout_seconds=patience
            )
            found["unrescue"] = lambda: driver.unrescue(uuid)
        if isinstance(driver, CanSetPassword):
            found["set_password"] = lambda: driver.set_password(uuid, self._secret(work))
        if isinstance(driver, CanMove):
            found |= self._moves(driver, work, patience)
        if isinstance(driver, CanLiveMigrate):
            found |= self._live_moves(driver, work, tell)
        if isinstance(driver, CanInterrupt):
            found["inject_nmi"] = lambda: driver.inject_nmi(uuid)
        if isinstance(driver, CanPlug):
            found["attach_interface"] = lambda: driver.plug(uuid, _nic(_asked_for(work)))
            found["detach_interface"] = lambda: driver.unplug(uuid, _asked_for(work)["mac"])
        return found

    def _moves(self, driver: CanMove, work: Work, patience: float) -> Mapping[str, Callable[[], Result]]:
        uuid, given = work.instance.uuid, work.parameters
        return {
            "prepare_move": lambda: driver.prepare_move(self._guest(work.instance)),
            "migrate_out": lambda: {"parcel": driver.migrate_out(uuid, timeout_seconds=patience)},
            "take_in": lambda: driver.take_in(self._guest(work.instance), given["parcel"], power_on=given["power_on"]),
            "drop_moved": lambda: driver.drop_moved(uuid),
            "confirm_move": lambda: driver.confirm_move(uuid),
            "revert_move": lambda: driver.revert_move(uuid, power_on=given["power_on"]),
        }

    def _live_moves(self, driver: CanLiveMigrate, work: Work, tell: Tell) -> Mapping[str, Callable[[], Result]]:
        uuid, given = work.instance.uuid, work.parameters
        return {
            "check_live_destination": lambda: driver.check_live_destination(self._guest(work.instance)),
            "check_live_source": lambda: driver.check_live_source(uuid),
            "prepare_live": lambda: {"target": driver.prepare_live(self._guest(work.instance))},
            "cancel_live": lambda: driver.cancel_live(uuid),
            "live_migrate": lambda: {"parcel": driver.live_migrate(uuid, given["target"], tell)},
            "stay": lambda: driver.stay(uuid),
            "arrive": lambda: driver.arrive(self._guest(work.instance), given["parcel"]),
            "abort_live_migration": lambda: driver.abort_live(uuid),
            "force_complete_live_migration": lambda: driver.force_complete_live(uuid),
        }

    def _evacuate(self, work: Work) -> None:
        """A guest in the place of the one that was lost with its host; off where that is wanted."""
        self._driver.spawn(self._guest(work.instance))
        if not work.parameters.get("power_on", True):
            self._driver.power_off(work.instance.uuid, timeout_seconds=0)

    def _rebuild(self, work: Work, step: Callable[[TaskState], None]) -> None:
        """A new guest in the place of the old one; off again where the server was stopped."""
        instance = work.instance
        guest = self._guest(instance, work.parameters)
        step(TaskState.REBUILD_BLOCK_DEVICE_MAPPING)
        self._driver.destroy(instance.uuid)
        step(TaskState.REBUILD_SPAWNING)
        self._driver.spawn(guest)
        if instance.vm_state is VmState.STOPPED:
            self._driver.power_off(instance.uuid, timeout_seconds=0)

    def _shelve(self, work: Work, step: Callable[[TaskState], None], patience: float) -> Result:
        """Switch the guest off and keep its disk as an image; hands on what is needed to make it anew."""
        uuid, order = work.instance.uuid, ImageOrder.read(work.parameters["new_image"])
        self._driver.power_off(uuid, timeout_seconds=patience)
        pending, uploading = TaskState.SHELVING_IMAGE_PENDING_UPLOAD, TaskState.SHELVING_IMAGE_UPLOADING
        return {"shelved": facts_of(self._snapshots.make(order, uuid, step, pending, uploading))}

    def _take_up(self, work: Work) -> None:
        """Let the guest go on as it was before it was to be shelved."""
        was, uuid = PowerState(work.parameters["power"]), work.instance.uuid
        if was in (PowerState.RUNNING, PowerState.PAUSED):
            self._driver.power_on(uuid)
        if was is PowerState.PAUSED:
            self._driver.pause(uuid)

    def _unshelve(self, work: Work) -> None:
        """Switch on the guest that is still here, or make it anew of its image.

        What was here may have gone with an offload that never came to its end: it must not be made of its first image.
        """
        image = {**work.instance.image, **work.parameters["shelved"]}
        self._driver.spawn(replace(self._guest(work.instance), image=self._source(image)))

    def _put_back(self, work: Work, patience: float) -> None:
        """Undo ``_unshelve``."""
        if work.parameters["is_offloaded"]:
            self._driver.destroy(work.instance.uuid)
        else:
            self._driver.power_off(work.instance.uuid, timeout_seconds=patience)

    def _secret(self, work: Work) -> str:
        secret = self._safe.take(work.parameters["ticket"])
        if secret is None:
            text = "the service that had the new password was stopped before it could be set; set it again"
            raise GuestFailure(FaultCause.INTERRUPTED, text)
        return secret

    def _guest(self, instance: Instance, told: Mapping[str, Any] = MappingProxyType({})) -> GuestSpec:
        _check_trust(instance)
        runs = read_kept(instance.image.get("properties", {}))
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
            nics=tuple(_nic(nic) for nic in plugged(instance)),
            metadata=instance.metadata,
            user_data=instance.user_data,
            config_drive=bool(instance.config_drive),
            files=tuple(InjectedFile(**file) for file in told.get("files", ())),
            public_keys=instance.public_keys,
            availability_zone=instance.availability_zone or self._settings.default_availability_zone,
            launch_index=instance.launch_index,
            node=instance.node or "",
            flavor_name=instance.flavor_name,
            flavor_id=instance.flavorid,
            has_agent=runs.has_agent,
            admin_user=runs.admin_user,
        )

    def source_of(self, image: Image) -> ImageSource:
        """What a driver fetches when it is to have this image."""
        return self._source(facts_of(image))

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
            boot=self._kernel(facts),
        )

    def _kernel(self, facts: Mapping[str, Any]) -> KernelSource | None:
        """The kernel that goes with an image."""
        if "kernel" not in facts:
            return None
        return KernelSource(
            kernel=self._source(facts["kernel"]),
            ramdisk=self._source(facts["ramdisk"]) if "ramdisk" in facts else None,
            command_line=read_kept(facts["properties"]).command_line,
        )


def _check_trust(instance: Instance) -> None:
    """Refuse to make a guest of an image that is to be signed by certificates: nobody here verifies that it is.

    As in Nova: with such certificates the signature is verified even where that is not switched on, and what cannot be
    verified is not booted.
    """
    if instance.trusted_certs_json:
        text = f"the signature of image {instance.image_ref} cannot be verified, as its trusted certificates ask for"
        raise GuestFailure(FaultCause.IMAGE_UNVERIFIED, text)


def _asked_for(work: Work) -> Mapping[str, Any]:
    """The NIC that an operation is about."""
    instance, wanted = work.instance, work.parameters["port_id"]
    for place, nic in enumerate(instance.nics):
        if port_id_of(instance, place) == wanted:
            return nic
    raise GuestFailure(FaultCause.DRIVER_ERROR, f"port {wanted} is not the server's any more")


def _nic(nic: Mapping[str, Any]) -> Nic:
    return Nic(mac=nic["mac"], address=nic.get("address"), label=nic["label"], tag=nic.get("tag"))
