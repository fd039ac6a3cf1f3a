"""How a server is plugged into the built-in network, and how that shows in its ``addresses``."""

import json

from kilonova.domain.model import Instance
from kilonova.network.embedded import FlatNetwork


def plugged(instance: Instance, network: FlatNetwork) -> str:
    """The instance's NICs with their MAC and address, as JSON; they follow from its number.

    A server that was asked for with ``networks: none`` has none.
    """
    nics = [
        {
            **nic,
            "label": network.label,
            "mac": network.mac(instance.id),
            "address": network.address(instance.id),
            "port_id": network.port_id(instance.uuid, index),
        }
        for index, nic in enumerate(instance.nics)
    ]
    return json.dumps(nics, separators=(",", ":"))


def shown(instance: Instance) -> str:
    """The instance's ``addresses`` in wire form (contract §6.3)."""
    addresses: dict[str, list[dict[str, object]]] = {}
    for nic in instance.nics:
        addresses.setdefault(nic["label"], []).append(
            {
                "version": 4,
                "addr": nic["address"],
                "OS-EXT-IPS:type": "fixed",
                "OS-EXT-IPS-MAC:mac_addr": nic["mac"],
            }
        )
    return json.dumps(addresses, separators=(",", ":"))
