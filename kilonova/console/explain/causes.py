"""Why operations fail: a row a cause, with its code where the cloud keeps codes, and how faults sound elsewhere."""

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """``code`` is the cause's own, ``pattern`` finds it in the text of a fault where there are no codes."""

    code: str
    pattern: re.Pattern[str]
    sentence: str
    advice: str


def _cause(code: str, pattern: str, sentence: str, advice: str) -> Cause:
    return Cause(code=code, pattern=re.compile(pattern, re.IGNORECASE | re.DOTALL), sentence=sentence, advice=advice)


CAUSES: Final[tuple[Cause, ...]] = (
    _cause(
        "image_refused",
        r"backing file|data file|refers to files|outside itself",
        "The image of {name} refers to files outside itself, and is refused for that.",
        "Flatten the image (qemu-img convert), upload it again, and rebuild the server.",
    ),
    _cause(
        "kernel_unfit",
        r"not the kernel it claims|larger than a kernel may be",
        "The image of {name} names a kernel (kernel_id) that is none, or none that boots here.",
        "Set the image's kernel_id to a right kernel and ramdisk_id to its ramdisk, or remove both where the image "
        "boots by itself; then rebuild the server.",
    ),
    _cause(
        "image_too_large",
        r"image.{0,40}(too large|larger than)|Flavor's disk is too small",
        "The image is larger than the disk of {name}'s flavor.",
        "Choose a flavor with a larger root disk.",
    ),
    _cause(
        "image_unverified",
        r"signature.{0,60}(cannot be verified|verif\w+ failed|validation failed)|cannot verify.{0,20}signature",
        "{name} asked for an image that is signed by certificates it trusts, and the signature could not be verified.",
        "Order or rebuild it without trusted certificates, or with an image that is signed by one of them.",
    ),
    _cause(
        "image_unavailable",
        r"image .{0,60}(cannot be read|could not be found|is not active|unavailable)",
        "The image that {name} boots from could not be read.",
        "See that the image exists and is active, and that the image service answers.",
    ),
    _cause(
        "image_not_kept",
        r"image.{0,60}(could not be kept|could not be stored|upload failed)",
        "The new image of {name} could not be kept: {message}.",
        "See that the image service answers, has room, and takes images of this size; then ask again.",
    ),
    _cause(
        "image_corrupt",
        r"checksum|is not what it claims|image.{0,30}corrupt|invalid image|not a valid image",
        "The image or the disk of {name} is damaged, or not of the format that it claims.",
        "Check the image's format and checksum, upload it again, and rebuild the server.",
    ),
    _cause(
        "disk_full",
        r"no space left|disk (is )?full|ENOSPC",
        "The disk of {host} is full: there was no room for what {name} needed.",
        "Free space on the host, then ask again or rebuild {name}.",
    ),
    _cause(
        "memory_short",
        r"cannot allocate memory|not enough (free )?memory|out of memory",
        "{host} had not enough free memory for {name}.",
        "Use a smaller flavor, or stop something on the host.",
    ),
    _cause(
        "hypervisor_gone",
        r"hypervisor.{0,40}(not answer|gone|unavailable|disconnected)|failed to connect to (libvirt|qemu)",
        "The hypervisor of {host} did not answer when {name} needed it.",
        "See that libvirt or QEMU runs on the host; then try again.",
    ),
    _cause(
        "guest_missing",
        r"(guest|domain|instance).{0,60}(no longer on|not found on|missing)|no domain with matching",
        "{name} is no longer on {host}: somebody removed it behind the cloud's back.",
        "Rebuild it from its image, or delete it.",
    ),
    _cause(
        "guest_crashed",
        r"crash|process ended unexpectedly|panicked",
        "The virtual machine of {name} crashed.",
        "Read the end of its console log, then start it again.",
    ),
    _cause(
        "guest_unresponsive",
        r"guest.{0,40}(does not react|not respond|unresponsive)|agent is not (running|connected|responding)",
        "The guest of {name} does not react to what it is asked.",
        "Try a hard reboot, which does not ask the guest; see that its agent runs.",
    ),
    _cause(
        "host_down",
        r"host.{0,40}(is down|unavailable|fell silent)|compute service.{0,40}(is unavailable|is down)",
        "The host of {name} went down while it worked on the {what}.",
        "Bring the host back, or evacuate the server; then ask again.",
    ),
    _cause(
        "interrupted",
        r"given up|did not end in time|never ended|interrupted|was stopped (during|while)",
        "The {what} of {name} was cut off before it ended: {message}.",
        "Ask again: a host or a service stopped, or took too long, while it ran.",
    ),
    _cause(
        "aborted",
        r"(was|been) (called off|aborted|cancelled)",
        "The {what} of {name} was called off by somebody.",
        "Nothing to do: somebody wanted it so. Ask again if it is still wanted.",
    ),
    _cause(
        "not_supported",
        r"driver cannot do|not supported by|NotImplementedError|does not support",
        "The driver of {host} cannot do what was asked of {name}.",
        "Ask for it on a host with another driver.",
    ),
    _cause(
        "name_taken",
        r"another machine of the host|domain .{0,60}already exists",
        "Another machine on {host}, which this cloud did not make, has the name or id of {name}.",
        "Rename or remove that machine; the cloud does not touch it.",
    ),
    _cause(
        "quota",
        r"quota exceeded",
        "{name} would have been more than its project's quota allows.",
        "Delete what is not needed, or ask for a larger quota.",
    ),
    _cause(
        "driver_error",
        r"hypervisor refused|libvirtError|QMP.{0,40}error",
        "The hypervisor of {host} refused the {what} of {name}: {message}.",
        "The hypervisor's own words are in the fault's details; mend what they name, then ask again.",
    ),
    _cause(
        "internal",
        r"Traceback \(most recent call last\).{0,4000}(KeyError|TypeError|AttributeError|AssertionError)",
        "A defect in the cloud itself ended the {what} of {name}: {message}.",
        "Report it with the fault's details.",
    ),
)
