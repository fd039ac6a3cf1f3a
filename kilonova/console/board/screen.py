"""A server's screen: the address at which the cloud shows it for a while."""

from typing import Final
from urllib.parse import urlsplit

from kilonova.console.board.look import checked_id
from kilonova.console.client import Client
from kilonova.console.errors import CloudError

_WANTED: Final = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
_OPENED: Final = ("http", "https")


def screen_address(client: Client, server_id: str) -> str:
    """A new address, which opens the screen for whoever has it. CloudError where the cloud gives none."""
    told = client.order(f"/servers/{checked_id(server_id)}/remote-consoles", _WANTED)
    address = str(told["remote_console"]["url"])
    if not address.isprintable() or urlsplit(address).scheme not in _OPENED:
        raise CloudError("The address that the cloud gives for the screen is none that a browser should open.")
    return address
