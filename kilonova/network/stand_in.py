"""What of Neutron can be read: everything is derived from the built-in network and from servers' own records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kilonova.domain.errors import Conflict, Forbidden, NotFound
from kilonova.network import views
from kilonova.network.embedded import FlatNetwork
from kilonova.network.question import View
from kilonova.network.seam import PluggedServers, Viewer


@dataclass(frozen=True, slots=True)
class Noun:
    """A kind of thing: its key in a body of one, its word in Neutron's errors, and how all that are visible are had."""

    single: str
    word: str
    views: Callable[["StandIn", Viewer, Mapping[str, str]], Sequence[View]]


class StandIn:
    """Answers for the one network there is. Blocking and safe to share between threads."""

    def __init__(self, network: FlatNetwork, servers: PluggedServers) -> None:
        self.network = network
        self._servers = servers

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
        ports = sum(len(server.nics) for server in self._servers.list_plugged(project_id))
        return views.usage_view(ports)

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
        servers = self._servers.list_plugged(project_id, asked.get("device_id"))
        return [view for server in servers for view in views.port_views(server, self.network)]

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
