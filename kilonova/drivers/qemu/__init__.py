"""Real machines with nothing but QEMU: one process a guest, spoken to over QMP."""

from kilonova.drivers.qemu.driver import QemuDriver

__all__ = ["QemuDriver"]
