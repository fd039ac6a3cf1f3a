"""The catalogue of causes: why an operation failed, in words for the owner and for the operator.

A fault keeps the code of its cause, so that equal causes group, whatever ids and numbers their texts contain.
``remedy`` says what to do next. The texts shown as a fault's ``message`` come from whoever raised the error (they
know the numbers); a cause says what kind of trouble it is.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final


@dataclass(frozen=True, slots=True)
class _Row:
    code: str
    title: str
    remedy: str


class FaultCause(Enum):
    """One row a cause: code (stable, for machines), title (for people), remedy (what to do next)."""

    NO_VALID_HOST = _Row(
        "no_valid_host",
        "No host can take the server",
        "The message says what the hosts lacked: ask for less of it, or for another zone, host or group.",
    )
    IMAGE_CORRUPT = _Row(
        "image_corrupt",
        "The image is not what it claims to be",
        "Check the image's format and checksum, and upload it again.",
    )
    IMAGE_REFUSED = _Row(
        "image_refused",
        "The image refers to files outside itself",
        "Flatten the image (qemu-img convert) and upload it again.",
    )
    IMAGE_UNAVAILABLE = _Row(
        "image_unavailable",
        "The image cannot be read",
        "See that the image still exists, is active, and that the image service answers.",
    )
    IMAGE_TOO_LARGE = _Row(
        "image_too_large",
        "The image is larger than the flavor's disk",
        "Use a flavor with a larger root disk.",
    )
    IMAGE_UNVERIFIED = _Row(
        "image_unverified",
        "The image's signature cannot be verified",
        "Order or rebuild the server without trusted certificates: this cloud verifies no signatures of images.",
    )
    IMAGE_NOT_KEPT = _Row(
        "image_not_kept",
        "The new image could not be kept",
        "See that the image service answers, has room, and takes images of this size.",
    )
    KERNEL_UNFIT = _Row(
        "kernel_unfit",
        "The image's kernel cannot be booted",
        "Set the image's kernel_id and ramdisk_id to a Linux kernel for x86 and its ramdisk, or remove them.",
    )
    DISK_FULL = _Row("disk_full", "The host's disk is full", "Free space in the host's state directory.")
    MEMORY_SHORT = _Row(
        "memory_short",
        "The host has not enough free memory",
        "Use a smaller flavor, or stop something on the host.",
    )
    HYPERVISOR_GONE = _Row(
        "hypervisor_gone",
        "The hypervisor does not answer",
        "See that QEMU or libvirt is installed and running on the host.",
    )
    GUEST_CRASHED = _Row(
        "guest_crashed",
        "The guest's process ended unexpectedly",
        "Start the server again; its console log and the host's log have the last words.",
    )
    GUEST_UNRESPONSIVE = _Row("guest_unresponsive", "The guest does not react", "Try a hard reboot of the server.")
    GUEST_MISSING = _Row(
        "guest_missing",
        "The guest is no longer on its host",
        "Rebuild or delete the server.",
    )
    INTERRUPTED = _Row(
        "interrupted",
        "The operation was cut off before it ended",
        "Try it again; the host or a service stopped while it ran.",
    )
    NAME_TAKEN = _Row(
        "name_taken",
        "Another machine of the host has the server's name or uuid",
        "Ask the operator: a machine that this cloud did not make stands in the way.",
    )
    NOT_SUPPORTED = _Row(
        "not_supported",
        "The host's driver cannot do this",
        "Ask for it on a host with another driver; what each driver can do is in the guide on drivers.",
    )
    ABORTED = _Row("aborted", "The operation was called off", "Nothing: somebody wanted it so.")
    HOST_DOWN = _Row("host_down", "The server's host is down", "Bring the host back, or evacuate the server.")
    DRIVER_ERROR = _Row(
        "driver_error",
        "The hypervisor refused",
        "The operator finds the hypervisor's own words in the fault's details.",
    )
    INTERNAL = _Row(
        "internal",
        "A defect in Kilonova",
        "Please report it with the fault's details.",
    )

    @property
    def code(self) -> str:
        """The stable code, such as ``image_corrupt``."""
        return self.value.code

    @property
    def title(self) -> str:
        """A few words for people."""
        return self.value.title

    @property
    def remedy(self) -> str:
        """What to do next, in one sentence."""
        return self.value.remedy

    @property
    def is_of_host(self) -> bool:
        """Whether it lies with the host: another server would have met it there too."""
        return self.code in _OF_HOSTS

    @property
    def operator(self) -> str:
        """What it means to who runs the cloud, and where to look."""
        return _FOR_OPERATORS.get(self.code, _LOOK)


_FOR_OPERATORS: Final = {
    "no_valid_host": "Open a server, or ask `kilonova explain NAME`: it says what the hosts lacked, and what to do.",
    "image_corrupt": "The file in the image store does not match its checksum or format; the host is well.",
    "image_refused": "The image names a backing file, which could be any file of a host: keep such images out.",
    "image_unavailable": "See that the image store answers, and that its files are still there.",
    "image_too_large": "The image's virtual size exceeds the flavor's root disk; set min_disk on the image.",
    "image_unverified": "Signatures of images are not verified here, and no image is booted as if they were.",
    "kernel_unfit": "The image's kernel_id names an image that is no Linux kernel for x86; the host is well.",
    "disk_full": "Free space in the host's state directory, or disable the host until there is some.",
    "memory_short": "Memory on the host is promised beyond what there is: look at ram_allocation_ratio and the host.",
    "hypervisor_gone": "See that QEMU or libvirt is installed and running on the host; its log says what it met.",
    "guest_crashed": "The guest's process is gone: look for the kernel's out-of-memory killer and QEMU's last words.",
    "guest_unresponsive": "The guest ignored its power button or its monitor; a hard reboot does not ask it.",
    "guest_missing": "Somebody removed the guest past Kilonova, or its host lost its disk.",
    "interrupted": "Whoever had the operation fell silent or took too long; the timeline shows its lease and deadline.",
    "name_taken": "A machine that Kilonova did not make has this name or uuid: rename or remove it. It is not touched.",
    "not_supported": "Use a host with another driver for it; drivers and what they can do are in the guide.",
    "host_down": "Bring the host's agent back; servers there can be evacuated meanwhile.",
    "driver_error": "The hypervisor's own words are in the fault's details.",
    "internal": "The traceback is in the fault's details: please report it.",
}
_OF_HOSTS: Final = frozenset(
    {
        "disk_full",
        "memory_short",
        "hypervisor_gone",
        "guest_missing",
        "name_taken",
        "host_down",
        "driver_error",
    }
)
_LOOK: Final = "The fault's details and the host's log have more."

HOPELESS: Final = frozenset(
    {
        FaultCause.IMAGE_CORRUPT,
        FaultCause.IMAGE_REFUSED,
        FaultCause.IMAGE_TOO_LARGE,
        FaultCause.IMAGE_UNVERIFIED,
        FaultCause.KERNEL_UNFIT,
    }
)
"""Causes that no other host would mend."""


def build_aborted(uuid: str, reason: str) -> str:
    """What the owner reads of a build that no other host would mend (contract §6.6.4)."""
    return f"Build of instance {uuid} aborted: {reason}"


def builds_exhausted(uuid: str, reason: str) -> str:
    """What the owner reads of a build that failed wherever it was tried (contract §6.6.4), and then why."""
    told = f"Exhausted all hosts available for retrying build failures for instance {uuid}."
    return f"Exceeded maximum number of retries. {told} {reason}"


def find_cause(code: str) -> FaultCause | None:
    """The cause with this code, or None."""
    return next((cause for cause in FaultCause if cause.code == code), None)
