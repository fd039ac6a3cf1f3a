"""The whole estate: what stands in the house, and what is left of what was done with it."""

from urllib.parse import parse_qs, urlsplit

from kilonova.domain.changes import Phase
from kilonova.domain.model import after
from kilonova.domain.remote_consoles import ConsoleKind
from kilonova.wire.times import naive, spaced
from tests.compat.golden.holding import Holding, NotBuilt
from tests.plane.moving import PROGRESS, Run, beat

__all__ = ["Estate", "NotBuilt"]

_HOUR_SECONDS = 3600


class Estate(Holding):
    """The holding, with migrations, ports and usage."""

    # --- what servers leave behind

    def migrated_server(self) -> str:
        """A server that was moved to another host and waits for confirmation."""
        return self._after({"migrate": None}, "VERIFY_RESIZE")

    def migrating_server(self) -> str:
        """A server whose live migration runs and does not end, until the next request is carried out."""
        server = self.other_server()
        self._set_out(server)
        self._kept["migrating_server"] = server
        return server

    def migration_number(self) -> str:
        """The number of the migration of ``migrating_server``, which stands before it in the path."""
        server = self._kept.pop("migrating_server")
        return str(self.must("GET", f"/servers/{server}/migrations")["migrations"][0]["id"])

    def port(self) -> str:
        """The port of ``server``."""
        interfaces = self.must("GET", f"/servers/{self.server()}/os-interface")["interfaceAttachments"]
        if not interfaces:
            raise NotBuilt("cannot be prepared: the server has no port")
        return str(interfaces[0]["port_id"])

    def usage_window(self) -> str:
        """Start and end of a day in which servers ran, as query parameters."""
        self.acted_server()
        self.house.at = after(self.house.at, 3)
        half_day = 43_200
        start, end = (naive(after(self.house.at, seconds)) for seconds in (-half_day, half_day))
        return f"start={start}&end={end}"

    def screened_server(self) -> str:
        """A server whose host's driver has screens, as those of real machines have; a simulated server has none."""
        for agent in self.house.cloud.plane.agents:
            vars(agent.driver)["consoles"] = frozenset(ConsoleKind)
        return self.other_server()

    def console_token(self) -> str:
        """A token that leads to a server's screen."""
        wanted = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        ordered = self.must("POST", f"/servers/{self.screened_server()}/remote-consoles", wanted)
        query = parse_qs(urlsplit(str(ordered["remote_console"]["url"])).query)
        return query["path"][0].removeprefix("?token=")

    def newer_migration(self) -> str:
        """The UUID of a live migration under way that began after another one."""
        for server in (self.other_server(), self.other_server()):
            self._set_out(server)
        return str(self.must("GET", "/os-migrations")["migrations"][0]["uuid"])

    def audited(self) -> str:
        """The latest audit period; a server ran in it, and each host has told of its own."""
        return self._keep("audited", self._audit)

    def end_of_audited(self) -> str:
        """A time after which nothing was audited."""
        self.audited()
        return spaced(self.house.at)

    def _audit(self) -> str:
        server = self.other_server()
        self.house.at = after(self.house.at, _HOUR_SECONDS)
        beat(self.house)
        while self.house.cloud.plane.audit(steps=1):
            pass
        return server

    def _set_out(self, server: str) -> None:
        order = {"os-migrateLive": {"host": None, "block_migration": "auto"}}
        self.must("POST", f"/servers/{server}/action", order)
        run = Run(self.house)
        run.until(server, "migrate", lambda host, work: run.say(host, work, Phase.STEP, result=PROGRESS))
