"""The record of a port: a place in the network that is taken without following from a server's number."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kilonova.domain.model import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A MAC and IP addresses that are taken. ``device_id`` is the server that is plugged in here, if any.

    One that somebody made by hand (``is_kept``) outlives the servers that it is plugged into.
    """

    id: str
    project_id: str
    name: str
    description: str
    mac: str
    addresses: tuple[str, ...]
    device_id: str | None
    is_kept: bool
    created_at: Instant
    updated_at: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A port that is to be: whose, and what was chosen of it. ``id`` is what it will be called by."""

    project_id: str
    id: str
    name: str = ""
    description: str = ""
    address: str | None = None
    mac: str | None = None
    device_id: str | None = None
    is_kept: bool = False


def addresses_of(nic: Mapping[str, Any]) -> tuple[str, ...]:
    """The addresses of a NIC, as a server's record has it: the one that it came with, and what was added."""
    return (nic["address"], *nic.get("further", ())) if "address" in nic else ()
