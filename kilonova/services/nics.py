"""How a server is plugged into the built-in network, and how that shows in its ``addresses``.

A NIC is known by its port. It has ``mac``, ``address`` and ``label`` as soon as these are settled (``further`` are more
addresses; the last one can go), ``tag`` if its owner gave one, ``is_reserved`` if a record of a port stands behind it,
and ``is_coming`` until its host has plugged it in.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from kilonova.domain.changes import Phase
from kilonova.domain.model import Instance
from kilonova.domain.ports import addresses_of
from kilonova.network.embedded import FlatNetwork

Nic = dict[str, Any]

_COMING: Final = "is_coming"


def numbered(instance: Instance, network: FlatNetwork) -> Nic:
    """The addresses that follow from a server's number: those of the first NIC that nobody chose anything for."""
    return {
        "label": network.label,
        "mac": network.mac(instance.id),
        "address": network.address(instance.id),
        "port_id": network.port_id(instance.uuid, 0),
    }


def kept(nics: Iterable[Mapping[str, Any]]) -> str:
    """NICs as the instance's record has them."""
    return json.dumps(list(nics), separators=(",", ":"))


def port_id_of(instance: Instance, place: int) -> str:
    """The port of a NIC; those of early records follow from the place."""
    return str(instance.nics[place].get("port_id") or FlatNetwork.port_id(instance.uuid, place))


def shown(instance: Instance) -> str:
    """The instance's ``addresses`` in wire form (contract §6.3)."""
    addresses: dict[str, list[dict[str, object]]] = {}
    for nic in instance.nics:
        for address in addresses_of(nic):
            addresses.setdefault(nic["label"], []).append(
                {
                    "version": 4,
                    "addr": address,
                    "OS-EXT-IPS:type": "fixed",
                    "OS-EXT-IPS-MAC:mac_addr": nic["mac"],
                }
            )
    return json.dumps(addresses, separators=(",", ":"))


def with_nics(instance: Instance, nics: Iterable[Mapping[str, Any]]) -> Instance:
    """The instance plugged in so, and showing it."""
    changed = instance._replace(nics_json=kept(nics))
    return changed._replace(addresses_json=shown(changed))


def with_addresses(nic: Mapping[str, Any], addresses: Sequence[str]) -> Nic:
    """The NIC with these addresses, and no others."""
    bare = {key: value for key, value in nic.items() if key not in ("address", "further")}
    found = {"address": addresses[0]} if addresses else {}
    return {**bare, **found, **({"further": list(addresses[1:])} if addresses[1:] else {})}


def coming(instance: Instance, nic: Mapping[str, Any]) -> Instance:
    """The instance with one more NIC, which its host is to plug in."""
    return with_nics(instance, [*instance.nics, {**nic, _COMING: True}])


def plugged(instance: Instance) -> list[Nic]:
    """The NICs that a guest of it is made with: one that is coming is put in by the operation that asked for it."""
    return [nic for nic in instance.nics if not nic.get(_COMING)]


def settled(operation: str, instance: Instance, asked: Mapping[str, Any], phase: Phase) -> Instance:
    """What became of the NICs at the end of an operation, good or bad; of most, nothing.

    The addresses of a new server show once it is there; a NIC that could not be plugged in is gone again.
    """
    port_id, is_done = asked.get("port_id"), phase is Phase.END
    if operation == "create" and is_done:
        return instance._replace(addresses_json=shown(instance))
    if operation == "attach_interface" and is_done:
        return with_nics(instance, (_plain(nic) if nic.get("port_id") == port_id else nic for nic in instance.nics))
    if operation == ("detach_interface" if is_done else "attach_interface"):
        places = range(len(instance.nics))
        return with_nics(instance, [instance.nics[place] for place in places if port_id_of(instance, place) != port_id])
    return instance


def _plain(nic: Nic) -> Nic:
    return {key: value for key, value in nic.items() if key != _COMING}
