"""What is in trouble now: things that somebody may want to ask about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kilonova.console.board.hosts import Host, gather_hosts
from kilonova.console.board.look import Look
from kilonova.console.client import Client

_SHOWN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubled:
    """Servers in error, those that changed last, and hosts that are not well; a few of each."""

    servers: Sequence[Mapping[str, Any]]
    hosts: Sequence[Host]
    look: Look


def troubled(client: Client, *, all_projects: bool) -> Troubled:
    """What is in trouble, as far as this login sees it."""
    look = Look(client=client)
    query: dict[str, Any] = {"status": "ERROR", "limit": _SHOWN, "sort_key": "updated_at", "sort_dir": "desc"}
    query |= {"all_tenants": 1} if all_projects else {}
    servers = look.compute("servers", "/servers", {"servers": []}, **query)["servers"]
    hosts = [host for host in gather_hosts(look).hosts if host.trouble]
    return Troubled(servers=servers, hosts=hosts[:_SHOWN], look=look)
