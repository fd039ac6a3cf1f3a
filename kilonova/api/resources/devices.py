"""The block devices that a new server is ordered with: its image's disk, and what its flavor gives (contract §6.1).

There are no volumes: one that is named cannot be found, and one that would have to be made is not supported. A disk
of the host that says the same as image or flavor is what the server gets anyway.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kilonova.domain.errors import Invalid, NotSupported
from kilonova.services.orders import LocalDisks

_NO_VOLUMES: Final = "Kilonova has no volumes: the disks of a server are its image's and its flavor's, on its host."
_SWAP: Final = "swap"


def _invalid(text: str) -> Invalid:
    return Invalid(f"Block Device Mapping is Invalid: {text}")


def local_disks(wanted: Mapping[str, Any]) -> LocalDisks:
    """The disks beside the root disk that a body asks for; whether the flavor has them is found out later.

    Invalid, in Nova's words, where they make no sense, NotSupported for what would be a new volume.
    """
    legacy: Sequence[Mapping[str, Any]] = wanted.get("block_device_mapping", ())
    devices: Sequence[Mapping[str, Any]] = wanted.get("block_device_mapping_v2", ())
    if legacy and devices:
        raise Invalid("Using different block_device_mapping syntaxes is not allowed in the same request.")
    for device in legacy:
        _refuse_volume(device)
    image_id = wanted.get("imageRef") or None
    _check_boot_order(devices, has_image=image_id is not None)
    for device in devices:
        _check(device, image_id)
    blank = [device for device in devices if device.get("source_type") == "blank"]
    swaps = [_size(device) for device in blank if device.get("guest_format") == _SWAP]
    if len(swaps) > 1:
        raise _invalid("More than one swap drive requested.")
    return LocalDisks(
        swap_gb=swaps[0] if swaps else None,
        ephemeral_gb=tuple(_size(device) for device in blank if device.get("guest_format") != _SWAP),
    )


def _check(device: Mapping[str, Any], image_id: str | None) -> None:
    source, destination = device.get("source_type"), device.get("destination_type")
    if source is None:
        _refuse_volume(device)
    if source in ("volume", "image", "snapshot") and not _uuid(device):
        raise _invalid("Missing device UUID.")
    if source in ("volume", "snapshot"):
        raise _invalid(f"failed to get {source} {_uuid(device)}.")
    if (destination or ("local" if source == "image" else "volume")) == "volume" and not _is_plain(device):
        raise NotSupported(_NO_VOLUMES)
    if source == "image" and (str(device.get("boot_index")) != "0" or _uuid(device) != image_id):
        raise _invalid("Mapping image to local is not supported.")
    if source == "image" and device.get("volume_size"):
        raise NotSupported("Kilonova makes the root disk as large as the flavor says.")


def _is_plain(device: Mapping[str, Any]) -> bool:
    """A blank device is a disk of the host where nothing is said."""
    return device.get("source_type") == "blank" and device.get("destination_type") is None


def _refuse_volume(device: Mapping[str, Any]) -> None:
    for kind in ("volume", "snapshot"):
        if device.get(f"{kind}_id"):
            raise _invalid(f"failed to get {kind} {device[f'{kind}_id']}.")
    raise NotSupported(_NO_VOLUMES)


def _check_boot_order(devices: Sequence[Mapping[str, Any]], *, has_image: bool) -> None:
    """Boot indexes run from 0 without gaps or doubles; a negative one, or none, is not booted from."""
    indexes = [int(index) for device in devices if (index := device.get("boot_index")) not in (None, "")]
    boots = sorted(index for index in indexes if index >= 0)
    if boots and boots[0] != 0 and has_image:
        boots = [0, *boots]
    if boots != list(range(len(boots))):
        raise _invalid("Boot sequence for the instance and image/block device mapping combination is not valid.")


def _uuid(device: Mapping[str, Any]) -> str | None:
    return device.get("uuid") or device.get("image_id")


def _size(device: Mapping[str, Any]) -> int | None:
    size = device.get("volume_size")
    return None if size is None else int(size)
