"""Ports of the built-in network: made by hand through its own API, and with the servers that are plugged in."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

from kilonova.domain.changes import Change
from kilonova.domain.errors import Conflict, Invalid, KilonovaError, NotFound, QuotaExceeded
from kilonova.domain.model import Clock, Instance
from kilonova.domain.ports import Port, Wish, addresses_of
from kilonova.network.embedded import FlatNetwork
from kilonova.services.nics import Nic, coming, kept, numbered, port_id_of, with_addresses, with_nics
from kilonova.store import ports
from kilonova.store.database import Database, Transaction

MOST_NICS: Final = 10
"""Of a server: as many as the smallest of the machines that drivers build has slots for."""
MOST_KEPT: Final = 500
"""Ports that a project may make by hand."""
MOST_ADDRESSES: Final = 5
"""Of a NIC, as Neutron has it unless it is told otherwise."""
_ATTEMPTS: Final = 32


class Ports:
    """Gives addresses, and takes them back; what is taken is so from the same transaction on."""

    def __init__(self, database: Database, clock: Clock, network: FlatNetwork) -> None:
        self._database = database
        self._clock = clock
        self._network = network

    def list_ports(self, project_id: str | None = None) -> list[Port]:
        """A project's ports that have a record, or everybody's."""
        with self._database.read() as connection:
            return ports.list_ports(connection, project_id=project_id)

    def make(self, wish: Wish) -> Port:
        """Make a port by hand. Invalid for an address outside of the network, Conflict for one that is taken."""

        def work(tx: Transaction) -> Port:
            if ports.count_kept(tx.connection, wish.project_id) >= MOST_KEPT:
                raise Conflict("Quota exceeded for resources: ['port'].")
            return self._take(tx, wish)

        return self._database.run(work)

    def rename(self, port_id: str, project_id: str | None, *, name: str | None, description: str | None) -> None:
        """Call a port otherwise; None leaves what it is. NotFound for one without a record, or another project's."""

        def work(tx: Transaction) -> None:
            found = ports.get_port(tx.connection, port_id, project_id=project_id)
            changed = {"name": name, "description": description}
            new = {key: getattr(found, key) if value is None else value for key, value in changed.items()}
            ports.rename(tx, port_id, **new, now=self._clock())

        self._database.run(work)

    def remove(self, port_id: str, project_id: str | None) -> None:
        """Give a port up. NotFound as above, and Conflict while a server is plugged in."""

        def work(tx: Transaction) -> None:
            found = ports.get_port(tx.connection, port_id, project_id=project_id)
            if not ports.drop(tx, port_id):
                raise Conflict(f"Port {port_id} is in use by {found.device_id}.")

        self._database.run(work)

    def plug_new(self, tx: Transaction, instance: Instance, wanted: str | tuple[Mapping[str, Any], ...]) -> Instance:
        """A new server with the NICs that were asked for.

        The first that nobody chose anything for follows from the server's number, once it has one and a host.
        NotFound, Conflict and Invalid, in Nova's words, for a port or an address that cannot be had.
        """
        if isinstance(wanted, str):
            return instance._replace(nics_json=kept([] if wanted == "none" else [{}]))
        if len(wanted) > MOST_NICS:
            raise QuotaExceeded("Maximum number of ports exceeded")
        nics: list[Nic] = []
        for wish in wanted:
            nic: Nic = {}
            if wish.get("port"):
                nic = self._given(tx, instance, wish["port"])
            elif wish.get("fixed_ip") or any("port_id" not in other for other in nics):
                nic = self._made(tx, instance, str(uuid4()), wish.get("fixed_ip"), taken=Invalid)
            nics.append({**nic, **_tag(wish)})
        return instance._replace(nics_json=kept(nics))

    def place(self, tx: Transaction, instance: Instance) -> Instance:
        """A server that has got a host, with an address for each of its NICs."""
        return instance._replace(nics_json=kept([self._settled(tx, instance, nic) for nic in instance.nics]))

    def plug(self, tx: Transaction, change: Change, asked: Mapping[str, Any]) -> Change:
        """Another NIC for a server, as ``attach_interface`` is accepted. ``asked["port_id"]`` is or will be its port.

        NotFound, Conflict and Invalid in Nova's words.
        """
        instance, port_id = change.after, asked["port_id"]
        if len(instance.nics) >= MOST_NICS:
            raise Invalid(f"Instance {instance.uuid} has as many interfaces as it can: {MOST_NICS}.")
        if asked["is_given"]:
            nic = self._given(tx, instance, port_id)
        else:
            nic = self._made(tx, instance, port_id, asked["fixed_ip"], taken=Conflict)
        return replace(change, after=coming(instance, {**nic, **_tag(asked)}))

    def add_address(self, tx: Transaction, instance: Instance, network_id: str) -> Instance:
        """Another address for the server's first NIC in the network.

        NotFound, in Nova's words, where it has none there, and Invalid where it has as many addresses as it can, or
        none is left.
        """
        place = next((number for number, nic in enumerate(instance.nics) if "mac" in nic), None)
        if network_id != self._network.id or place is None:
            raise NotFound(f"Network could not be found for instance {instance.uuid}.")
        nic = instance.nics[place]
        port_id, has = port_id_of(instance, place), addresses_of(nic)
        if len(has) >= MOST_ADDRESSES:
            raise Invalid("Exceeded maximum amount of fixed ips per port.")
        found = ports.first_free(tx.connection, self._network.candidates(port_id))
        if found is None:
            raise Invalid(f"No fixed IP addresses available for network: {network_id}")
        ports.take(tx, port_id, [found], now=self._clock())
        return _replaced(instance, place, with_addresses(nic, (*has, found)))

    @staticmethod
    def remove_address(instance: Instance, address: str) -> Instance:
        """The server without the address, which is free once this is saved. Invalid where it has no such one."""
        for place, nic in enumerate(instance.nics):
            has = addresses_of(nic)
            if address in has:
                return _replaced(instance, place, with_addresses(nic, [each for each in has if each != address]))
        raise Invalid(f"Instance {instance.uuid} does not have fixed IP '{address}'.")

    def _settled(self, tx: Transaction, instance: Instance, nic: Nic) -> Nic:
        if "mac" in nic:
            return nic
        found = numbered(instance, self._network)
        if not ports.is_taken(tx.connection, address=found["address"], mac=found["mac"]):
            ports.take(tx, found["port_id"], [found["address"]], now=self._clock())
            return {**nic, **found}
        return {**nic, **self._made(tx, instance, found["port_id"], None, taken=Conflict)}

    def _given(self, tx: Transaction, instance: Instance, port_id: str) -> Nic:
        in_use = Conflict(f"Port {port_id} is still in use.")
        if ports.is_plugged(tx.connection, port_id, instance.project_id):
            raise in_use
        found = ports.get_port(tx.connection, port_id, project_id=instance.project_id)
        if not ports.plug(tx, port_id, instance.uuid, project_id=instance.project_id, now=self._clock()):
            raise in_use
        return self._nic(found)

    def _made(
        self, tx: Transaction, instance: Instance, port_id: str, address: str | None, *, taken: type[KilonovaError]
    ) -> Nic:
        if address is not None:
            if not self._network.has(address):
                text = f"Fixed IP {address} is not a valid ip address for network {self._network.id}."
                raise Invalid(f"Invalid input received: {text}")
            user = ports.find_user(tx.connection, address)
            if user is not None:
                raise taken(f"Fixed IP address {address} is already in use on instance {user}.")
        wish = Wish(project_id=instance.project_id, id=port_id, address=address, device_id=instance.uuid)
        return self._nic(self._take(tx, wish))

    def _nic(self, port: Port) -> Nic:
        nic = {"label": self._network.label, "mac": port.mac, "port_id": port.id, "is_reserved": True}
        return with_addresses(nic, port.addresses)

    def _take(self, tx: Transaction, wish: Wish) -> Port:
        address = self._address(tx, wish)
        port = Port(
            id=wish.id,
            project_id=wish.project_id,
            name=wish.name,
            description=wish.description,
            mac=self._mac(tx, wish),
            addresses=(address,),
            device_id=wish.device_id,
            is_kept=wish.is_kept,
            created_at=self._clock(),
            updated_at=None,
        )
        ports.add_port(tx, port)
        return port

    def _address(self, tx: Transaction, wish: Wish) -> str:
        if wish.address is not None:
            if not self._network.has(wish.address):
                raise Invalid(f"IP address {wish.address} is not a valid IP for the specified subnet.")
            if ports.find_user(tx.connection, wish.address) is not None:
                raise Conflict(f"IP address {wish.address} already allocated in subnet {self._network.subnet_id}")
            return wish.address
        found = ports.first_free(tx.connection, self._network.candidates(wish.id))
        if found is None:
            raise Conflict(f"No more IP addresses available on network {self._network.id}.")
        return found

    def _mac(self, tx: Transaction, wish: Wish) -> str:
        if wish.mac is not None:
            if ports.is_taken(tx.connection, mac=wish.mac) or ports.is_mac_plugged(tx.connection, wish.mac):
                raise Conflict(
                    f"Unable to complete operation for network {self._network.id}. "
                    f"The mac address {wish.mac} is in use."
                )
            return wish.mac
        for attempt in range(_ATTEMPTS):
            found = self._network.port_mac(wish.id, attempt)
            if not ports.is_taken(tx.connection, mac=found):
                return found
        raise Conflict(f"No more MAC addresses available on network {self._network.id}.")


def _tag(wish: Mapping[str, Any]) -> Nic:
    return {"tag": wish["tag"]} if wish.get("tag") else {}


def _replaced(instance: Instance, place: int, nic: Nic) -> Instance:
    return with_nics(instance, (nic if number == place else each for number, each in enumerate(instance.nics)))
