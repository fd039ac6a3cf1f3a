"""Servers: found by name, id, address or request, and counted."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from kilonova.console.board.look import Look
from kilonova.console.client import Client
from kilonova.console.errors import CloudError

_PAGE: Final = 1000
SHOWN: Final = 200
"""Servers on a page of the list."""
_COUNTED: Final = 5000
"""Servers that are listed to count them, where the cloud has no counts."""
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"\d{1,3}(\.\d{0,3}){1,3}|[0-9a-f]{0,4}:[0-9a-f:]{2,}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPage:
    """A page of servers, the newest first. ``marker`` begins the next one, None at the end.

    ``counts`` are numbers by status of all that the login sees, whatever is searched for; empty where they are not
    to be had cheaply.
    """

    servers: Sequence[Mapping[str, Any]]
    marker: str | None
    counts: Sequence[tuple[str, int]]
    look: Look

    @property
    def total(self) -> int:
        """All servers that were counted."""
        return sum(count for _, count in self.counts)


def find_servers(
    client: Client, *, all_projects: bool, search: str = "", status: str = "", host: str = "", marker: str = ""
) -> ServerPage:
    """Servers whose name has the text, or whose id or address it is. The cloud itself searches, not the console."""
    look = Look(client=client)
    query = _everyone(all_projects=all_projects) | _filters(search.strip(), status, host)
    query |= {"limit": SHOWN, "sort_key": "created_at", "sort_dir": "desc"}
    if marker:
        query["marker"] = marker
    if _UUID.fullmatch(search.strip()):
        only = look.compute("servers", f"/servers/{search.strip()}", {})
        found = [only["server"]] if only else []
    else:
        found = look.compute("servers", "/servers/detail", {"servers": []}, **query)["servers"]
    look.check_told("servers")
    return ServerPage(
        servers=found,
        marker=found[-1]["id"] if len(found) == SHOWN else None,
        counts=count_servers(look, all_projects=all_projects),
        look=look,
    )


def list_servers(client: Client, *, all_projects: bool, search: str = "", status: str = "") -> list[Mapping[str, Any]]:
    """Every server, the newest first; ``search`` is a part of a name, an id or an address."""
    query = _everyone(all_projects=all_projects) | ({"status": status} if status else {})
    wanted = search.strip().lower()
    found = every_server(Look(client=client), query)
    return [each for each in found if not wanted or wanted in _haystack(each)]


def count_servers(look: Look, *, all_projects: bool) -> list[tuple[str, int]]:
    """Numbers of servers by status, the largest first."""
    if look.client.has_state():
        own = {} if all_projects else {"project": look.client.sign_in_once().project_id}
        answer = look.state("counts", "/counts", {"counts": []}, group_by="status", **own)
        return [(str(row["status"]), int(row["servers"])) for row in answer["counts"]]
    found = every_server(look, _everyone(all_projects=all_projects), at_most=_COUNTED)
    if len(found) >= _COUNTED:
        look.unknown.append("servers beyond the newest 5000")
    return Counter(str(each.get("status")) for each in found).most_common()


def every_server(look: Look, query: Mapping[str, Any], *, at_most: int | None = None) -> list[Mapping[str, Any]]:
    """Every server that matches, page by page, up to a number."""
    found: list[Mapping[str, Any]] = []
    asked: dict[str, Any] = {**query, "limit": _PAGE}
    while at_most is None or len(found) < at_most:
        page = look.compute("servers", "/servers/detail", {"servers": []}, **asked)["servers"]
        look.check_told("servers")
        found += page
        if len(page) < _PAGE:
            break
        asked["marker"] = page[-1]["id"]
    return found


def get_server(client: Client, server_id: str) -> Mapping[str, Any]:
    """A server by its id; to administrators also one that is deleted. CloudError where there is none."""
    try:
        found: Mapping[str, Any] = client.compute(f"/servers/{quote(server_id, safe='')}")["server"]
    except CloudError as error:
        gone = _deleted(client, "/servers/detail", uuid=server_id) if error.status == 404 else []
        if not gone:
            raise
        return gone[0]
    return found


def get_server_id(client: Client, name: str) -> str:
    """The id of a server by its id or name: of one that is there, else of one that is deleted.

    CloudError where there is none, or several are called so.
    """
    try:
        return str(get_server(client, name)["id"])
    except CloudError as error:
        if error.status not in (400, 404):
            raise
    everyone = _everyone(all_projects=_is_admin(client))
    exactly = f"^{re.escape(name)}$"
    servers = client.compute("/servers", name=exactly, **everyone)["servers"] or _deleted(
        client, "/servers", name=exactly
    )
    found = [each for each in servers if each["name"] == name]
    if len(found) > 1:
        raise CloudError(f"Several servers are called {name!r}; say which by its id.", status=404)
    if not found:
        raise CloudError(f"There is no server {name!r} that this login may see.", status=404)
    return str(found[0]["id"])


def _deleted(client: Client, path: str, **query: Any) -> list[Mapping[str, Any]]:
    """Deleted servers, which Nova lists to administrators alone: from others it takes neither of these filters."""
    if not _is_admin(client):
        return []
    found: list[Mapping[str, Any]] = client.compute(path, deleted="True", **query, **_everyone(all_projects=True))[
        "servers"
    ]
    return found


def _is_admin(client: Client) -> bool:
    return "admin" in client.sign_in_once().roles


def _everyone(*, all_projects: bool) -> dict[str, Any]:
    return {"all_tenants": 1} if all_projects else {}


def _filters(search: str, status: str, host: str) -> dict[str, Any]:
    query: dict[str, Any] = {}
    if status:
        query["status"] = status
    if host:
        query["host"] = host
    if not search:
        return query
    return {**query, "ip" if _ADDRESS.fullmatch(search) else "name": re.escape(search)}


def _haystack(server: Mapping[str, Any]) -> str:
    addresses = [each.get("addr", "") for nets in (server.get("addresses") or {}).values() for each in nets]
    return " ".join([server.get("name", ""), server.get("id", ""), *addresses]).lower()
