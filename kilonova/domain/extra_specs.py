"""Which extra specs of flavors Nova knows, and what their values may be (checked from microversion 2.86 on).

A name without a namespace, or in a namespace that nobody knows, is the operator's own and may be anything.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A known name (a pattern), and what its value is: ``kind`` with the ``choices``, ``pattern`` or least number."""

    name: re.Pattern[str]
    kind: str
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    least: int | None = None

    def complaint(self, value: str) -> str | None:
        """What is wrong with a value, in Nova's words; None where nothing is."""
        match self.kind:
            case "number":
                return self._of_number(value)
            case "truth":
                fits = value.strip().lower() in _TRUTHS
                return None if fits else f"Validation failed; '{value}' is not a valid boolean-like value."
            case "choice" if value not in self.choices:
                return f"Validation failed; '{value}' is not one of: {', '.join(self.choices)}."
            case "text" if self.pattern is not None and not re.fullmatch(self.pattern, value):
                return f"Validation failed; '{value}' is not of the format '{self.pattern}'."
        return None

    def _of_number(self, value: str) -> str | None:
        try:
            number = int(value)
        except ValueError:
            return f"Validation failed; '{value}' is not a valid integer value."
        if self.least is not None and number < self.least:
            return f"Validation failed; '{value}' is less than the minimum value of '{self.least}'."
        return None


def complaint(name: str, value: str) -> str | None:
    """What is wrong with an extra spec, in Nova's words; None where nothing is."""
    for spec in SPECS:
        if spec.name.fullmatch(name):
            return spec.complaint(value)
    namespace, colon, _ = name.partition(":")
    if colon and any(known.fullmatch(namespace) for known in _NAMESPACES):
        return f"Validation failed; extra spec '{name}' does not appear to be a valid extra spec."
    return None


_TRUTHS: Final = frozenset(
    {"1", "t", "true", "on", "y", "yes", "0", "f", "false", "off", "n", "no"},
)
_CPUS: Final = r"\^?\d+((-\d+)?(,\^?\d+(-\d+)?)?)*"
_NAMESPACES: Final = tuple(
    map(
        re.compile,
        (
            *("accel", "aggregate_instance_extra_specs", "capabilities", "hw", "hw_rng", "hw_video", "os"),
            *("pci_passthrough", "quota", "resources[a-zA-Z0-9_-]{0,64}", "trait[a-zA-Z0-9_-]{0,64}", "vmware"),
        ),
    )
)
_TEXTS: Final = {
    r"accel:device_profile": None,
    r"aggregate_instance_extra_specs:.+": None,
    r"capabilities(:\w+)+": None,
    r"hw:cpu_realtime_mask": _CPUS,
    r"hw:cpu_dedicated_mask": _CPUS,
    r"hw:numa_cpus\.\d+": r"\d+((-\d+)?(,\d+(-\d+)?)?)*",
    r"hw:mem_page_size": r"(large|small|any|\d+([kKMGT]i?)?(b|bit|B)?)",
    r"hw:pmem": r"\w+(,\w+)*",
    r"pci_passthrough:alias": r"[^:]+:\d+(?:\s*,\s*[^:]+:\d+)*",
    r"vmware:hw_version": None,
    r"vmware:storage_policy": None,
}
_CHOICES: Final = {
    r"group_policy": "none isolate",
    r"hw:cpu_policy": "dedicated shared mixed",
    r"hw:cpu_thread_policy": "prefer isolate require",
    r"hw:emulator_threads_policy": "isolate share",
    r"hw:ephemeral_encryption_format": "luks plain",
    r"hw:maxphysaddr_mode": "passthrough emulate",
    r"hw:pci_numa_affinity_policy": "required preferred legacy socket",
    r"hw:sound_model": "sb16 es1370 pcspk ac97 ich6 ich9 usb virtio",
    r"hw:tpm_model": "tpm-tis tpm-crb",
    r"hw:tpm_secret_security": "user host deployment",
    r"hw:tpm_version": "1.2 2.0",
    r"hw:usb_model": "piix3-uhci piix4-uhci ehci ich9-ehci1 vt82c686b-uhci pci-ohci nec-xhci qemu-xhci",
    r"hw:viommu_model": "intel smmuv3 virtio auto",
    r"hw:watchdog_action": "none pause poweroff reset disabled",
    r"os:secure_boot": "required disabled optional",
    r"quota:(cpu|disk_io|memory|vif)_shares_level": "low normal high custom",
    r"trait[a-zA-Z0-9_-]{0,64}:[A-Z0-9_]+": "required forbidden",
}
_TRUE_OR_FALSE: Final = (
    *("hide_hypervisor_id", "hw:hide_hypervisor_id", "hw:boot_menu", "hw:cpu_realtime", "hw:ephemeral_encryption"),
    *("hw:locked_memory", "hw:mem_encryption", "hw:pmu", "hw:vif_multiqueue_enabled", "hw:virtio_packed_ring"),
    "hw_rng:allowed",
)
_NUMBERS: Final = {
    r"hw:cpu_(max_)?(sockets|cores|threads)": 1,
    r"hw:maxphysaddr_bits": 32,
    r"hw:numa_mem\.\d+": 1,
    r"hw:numa_nodes": 1,
    r"hw:redirected_usb_ports": 0,
    r"hw:serial_port_count": 0,
    r"hw_rng:rate_(bytes|period)": 0,
    r"hw_video:ram_max_mb": 0,
    r"quota:(cpu|disk_io|memory|vif)_(limit|reservation|shares_share)": None,
    r"quota:cpu_(shares|period|quota)": 0,
    r"quota:disk_(read|write|total)_(bytes|iops)_sec": 0,
    r"quota:vif_(inbound|outbound)_(average|burst|peak)": 0,
    r"resources[a-zA-Z0-9_-]{0,64}:[A-Z0-9_]+": 0,
}


def _specs() -> Iterator[Spec]:
    for name, pattern in _TEXTS.items():
        yield Spec(name=re.compile(name), kind="text", pattern=pattern)
    for name, choices in _CHOICES.items():
        yield Spec(name=re.compile(name), kind="choice", choices=tuple(choices.split()))
    for name in _TRUE_OR_FALSE:
        yield Spec(name=re.compile(name), kind="truth")
    for name, least in _NUMBERS.items():
        yield Spec(name=re.compile(name), kind="number", least=least)


SPECS: Final = tuple(_specs())
"""Every known extra spec; the first whose name fits counts."""
