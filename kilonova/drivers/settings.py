"""The settings of drivers."""

from dataclasses import dataclass

from kilonova.domain.options import option


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

    @property
    def uris(self) -> tuple[str, ...]:
        """The daemons that it names, one for each host of this machine; none where it is not set."""
        return tuple(uri.strip() for uri in self.connection_uri.split(",") if uri.strip())
