"""The settings of remote consoles, named as Nova's: one proxy serves all kinds of them here."""

from dataclasses import dataclass, field
from typing import Final

from kilonova.domain.options import option

NOVNC_PAGE: Final = "vnc_lite.html"
"""noVNC's page with a screen and nothing else, which addresses of screens lead to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VncSettings:
    """``[vnc]``: servers' screens, and the proxy of all remote consoles."""

    enabled: bool = option(True, "Whether the screens of servers can be reached.")
    novncproxy_host: str = option("", "Address that the proxy of consoles listens on; empty for the API's (listen).")
    novncproxy_port: int = option(
        6080,
        "Port of the proxy of consoles. Where it is taken, any free one serves as well, unless a base URL is set; "
        "0 for any that is free.",
        least=0,
        most=65535,
    )
    novncproxy_base_url: str = option(
        "",
        "Address of noVNC's page as browsers reach it, such as https://cloud.example.com:6080/vnc_lite.html; empty for "
        "the name under which the API was asked.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialConsoleSettings:
    """``[serial_console]``."""

    enabled: bool = option(True, "Whether the serial ports of servers can be reached; Nova's own default is no.")
    base_url: str = option(
        "",
        "Address of the proxy of consoles as clients reach it, such as wss://cloud.example.com:6080/; empty for the "
        "name under which the API was asked.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleAuthSettings:
    """``[consoleauth]``."""

    token_ttl: int = option(600, "Seconds for which the address of a console can be opened.", least=1)
    enforce_session_timeout: bool = option(False, "Whether a console that is open is closed when its token expires.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """``[console]``."""

    allowed_origins: str = option(
        "",
        "Names of hosts, with commas between, whose pages may open and embed consoles, such as a dashboard's; the "
        "proxy's own always may.",
    )

    @property
    def origins(self) -> frozenset[str]:
        """The names."""
        return frozenset(name.strip().lower() for name in self.allowed_origins.split(",") if name.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteConsoleSettings:
    """All of them, as ``Consoles`` needs them."""

    vnc: VncSettings = field(default_factory=VncSettings)
    serial_console: SerialConsoleSettings = field(default_factory=SerialConsoleSettings)
    consoleauth: ConsoleAuthSettings = field(default_factory=ConsoleAuthSettings)
