"""What of Neutron there is: derived from the built-in network and from servers' own records, and ports made by hand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kilonova.domain.errors import Conflict, Forbidden, NotFound, NotSupported
from kilonova.network import views
from kilonova.network.embedded import FlatNetwork
from kilonova.network.question import View
from kilonova.network.seam import KeptPorts, PluggedServers, Viewer
from kilonova.network.wishes import wish_of


@dataclass(frozen=True, slots=True)
class Noun:
    """A kind of thing: its key in a body of one, its word in Neutron's errors, and how all that are visible are had."""

    single: str
    word: str
    views: Callable[["StandIn", Viewer, Mapping[str, str]], Sequence[View]]


class StandIn:
    """Answers for the one network there is. Blocking and safe to share between threads."""

    def __init__(self, network: FlatNetwork, servers: PluggedServers, kept: KeptPorts) -> None:
        self.network = network
        self._servers = servers
        self._kept = kept

    def list_all(self, collection: str, viewer: Viewer, asked: Mapping[str, str]) -> Sequence[View]:
        """All of a collection (by its name in the path) that the viewer may see.

        ``asked`` are the filters: what of them narrows the reading is used, the rest is for the caller to apply.
        """
        return NOUNS[collection].views(self, viewer, asked)

    def get_one(self, collection: str, wanted: str, viewer: Viewer) -> View:
        """One of them by its id. NotFound in Neutron's words."""
        for view in self.list_all(collection, viewer, {}):
            if wanted in (view.get("id"), view.get("alias")):
                return view
        raise NotFound(f"{NOUNS[collection].word} {wanted} could not be found.")

    def delete_group(self, wanted: str, viewer: Viewer) -> None:
        """Let an administrator delete a project's default group, which is there again at the next look, as in Neutron.

        Conflict for anybody else, NotFound for a group that is not of the viewer's project.
        """
        if viewer.is_admin:
            return
        if viewer.project_id is not None and wanted == views.group_id(viewer.project_id):
            raise Conflict("Insufficient rights for removing default security group.")
        raise NotFound(f"Security group {wanted} does not exist")

    def quota(self, project_id: str, viewer: Viewer) -> dict[str, dict[str, int]]:
        """What a project may have and has. Forbidden to ask for others than one's own."""
        if not viewer.is_admin and project_id != viewer.project_id:
            raise Forbidden("Only an administrator may ask for another project's limits.")
        return views.usage_view(sum(port.is_kept for port in self._kept.list_ports(project_id)))

    def networks(self, _viewer: Viewer, _asked: Mapping[str, str]) -> list[View]:
        """The one network, for everybody."""
        return [views.network_view(self.network)]

    def subnets(self, _viewer: Viewer, _asked: Mapping[str, str]) -> list[View]:
        """Its one subnet, for everybody."""
        return [views.subnet_view(self.network)]

    def extensions(self, _viewer: Viewer, _asked: Mapping[str, str]) -> list[View]:
        """What of Neutron's extensions can be read here."""
        return views.extension_views()

    def nothing(self, _viewer: Viewer, _asked: Mapping[str, str]) -> list[View]:
        """None of what there never is."""
        return []

    def ports(self, viewer: Viewer, asked: Mapping[str, str]) -> list[View]:
        """The ports of the viewer's project; of all projects, or the one that is asked for, to an administrator."""
        wanted = asked.get("project_id") or asked.get("tenant_id")
        project_id = wanted if viewer.is_admin else viewer.project_id
        if project_id is None and not viewer.is_admin:
            return []
        kept = {port.id: port for port in self._kept.list_ports(project_id)}
        servers = self._servers.list_plugged(project_id, asked.get("device_id"))
        plugged = [view for server in servers for view in views.port_views(server, self.network, kept)]
        seen = {view["id"] for view in plugged}
        spare = [port for port in kept.values() if port.id not in seen and port.device_id is None]
        return plugged + [views.spare_port_view(port, self.network) for port in spare]

    def make_port(self, viewer: Viewer, asked: Mapping[str, Any]) -> View:
        """A port that a server can be plugged into later. Forbidden for another project, unless by an administrator."""
        project_id = asked.get("project_id") or asked.get("tenant_id") or viewer.project_id
        if project_id is None or (project_id != viewer.project_id and not viewer.is_admin):
            raise Forbidden("rule:create_port is disallowed by policy")
        return views.spare_port_view(self._kept.make(wish_of(asked, project_id, self.network)), self.network)

    def change_port(self, wanted: str, viewer: Viewer, asked: Mapping[str, Any]) -> View:
        """Call a port otherwise. NotSupported for all else, and for a port that only follows from its server."""
        self._check_kept(wanted, viewer)
        self._kept.rename(wanted, None, name=asked.get("name"), description=asked.get("description"))
        return self.get_one("ports", wanted, viewer)

    def delete_port(self, wanted: str, viewer: Viewer) -> None:
        """Give a port up. Conflict while a server is plugged in."""
        view = self.get_one("ports", wanted, viewer)
        if view["device_id"]:
            raise Conflict(
                f"Unable to complete operation on port {wanted} for network {self.network.id}. "
                f"Port already has an attached device {view['device_id']}."
            )
        self._kept.remove(wanted, None)

    def _check_kept(self, wanted: str, viewer: Viewer) -> None:
        self.get_one("ports", wanted, viewer)
        if wanted not in {port.id for port in self._kept.list_ports()}:
            raise NotSupported("A port that follows from its server has nothing of its own that could be changed.")

    def groups(self, viewer: Viewer, asked: Mapping[str, str]) -> list[View]:
        """The viewer's project's group; to an administrator that of the project that is asked for."""
        project_id = self._whose(viewer, asked)
        return [] if project_id is None else [views.group_view(project_id)]

    def rules(self, viewer: Viewer, asked: Mapping[str, str]) -> list[View]:
        """The rules of that group."""
        project_id = self._whose(viewer, asked)
        return [] if project_id is None else views.rule_views(project_id)

    def _whose(self, viewer: Viewer, asked: Mapping[str, str]) -> str | None:
        wanted = asked.get("project_id") or asked.get("tenant_id")
        return wanted if viewer.is_admin and wanted else viewer.project_id


NOUNS: Final[Mapping[str, Noun]] = {
    "networks": Noun("network", "Network", StandIn.networks),
    "subnets": Noun("subnet", "Subnet", StandIn.subnets),
    "ports": Noun("port", "Port", StandIn.ports),
    "security-groups": Noun("security_group", "Security group", StandIn.groups),
    "security-group-rules": Noun("security_group_rule", "Security group rule", StandIn.rules),
    "extensions": Noun("extension", "Extension", StandIn.extensions),
    "floatingips": Noun("floatingip", "Floating IP", StandIn.nothing),
    "routers": Noun("router", "Router", StandIn.nothing),
    "subnetpools": Noun("subnetpool", "Subnet pool", StandIn.nothing),
    "address-scopes": Noun("address_scope", "Address scope", StandIn.nothing),
    "agents": Noun("agent", "Agent", StandIn.nothing),
    "availability_zones": Noun("availability_zone", "AvailabilityZone", StandIn.nothing),
}
"""Every collection that can be read, by its name in the path."""


def key_of(collection: str) -> str:
    """A collection's key in the body of a list."""
    return collection.replace("-", "_")
