"""The composition of the proxy of remote consoles: which consoles it opens, whose pages may, and where noVNC is."""

from typing import Any

from kilonova.config import Settings
from kilonova.proxy.app import ConsoleProxy
from kilonova.proxy.pages import Pages
from kilonova.services.consoles import Consoles


def has_consoles(settings: Settings) -> bool:
    """Whether the settings have remote consoles of any kind."""
    return settings.vnc.enabled or settings.serial_console.enabled


def console_application(settings: Settings, consoles: Consoles) -> Any:
    """What the port of the consoles serves, as an ASGI application."""
    return ConsoleProxy(consoles, Pages(settings.DEFAULT.web, settings.console.origins), settings.console)
