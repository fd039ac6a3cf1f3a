"""The settings of drivers."""

from dataclasses import dataclass

from kilonova.domain.options import option
from kilonova.drivers.instances.cards import Patience


@dataclass(frozen=True, slots=True, kw_only=True)
class LibvirtSettings:
    """``[libvirt]``."""

    connection_uri: str = option(
        "",
        "URI of the libvirt daemon of this machine; empty for qemu:///system. Where it is set, driver=auto uses "
        "libvirt. With simulate_hosts it may name as many daemons, with commas in between.",
    )
    bridge: str = option(
        "", "Bridge that guests' network cards are plugged into; empty for a network of each guest's own, inside QEMU."
    )
    live_migration_uri: str = option(
        "qemu+tcp://%s/system",
        "Where the daemon of the host that a guest moves to listens; %s becomes the host's address. Daemons on one "
        "machine reach one another by their sockets.",
    )

    live_migration_bandwidth: int = option(
        0, "MiB a second that a guest's memory may take on its way to another host; 0 for any.", least=0
    )

    device_detach_attempts: int = option(
        8,
        "How often a guest is asked to let go of a network card that is to be taken out, with either driver of real "
        "machines.",
        least=1,
    )
    device_detach_timeout: int = option(20, "Seconds that it is waited for each time.", least=1)

    @property
    def patience(self) -> Patience:
        """How long a guest may take to let go of a card."""
        return Patience(self.device_detach_attempts, float(self.device_detach_timeout))

    @property
    def uris(self) -> tuple[str, ...]:
        """The daemons that it names, one for each host of this machine; none where it is not set."""
        return tuple(uri.strip() for uri in self.connection_uri.split(",") if uri.strip())
