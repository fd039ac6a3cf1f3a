"""What is checked of a move, and told to its steps, before it is accepted (contract §6.6.2)."""

from collections.abc import Mapping
from typing import Any

from kilonova.domain.errors import Conflict, Invalid, NotFound
from kilonova.domain.model import Flavor, Instance
from kilonova.store import flavors, fleet
from kilonova.store.database import Connection


def resize(connection: Connection, instance: Instance, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """``asked`` has ``flavorid``, the caller's ``project_id`` and ``sees_private_flavors``.

    Invalid, in Nova's words, for a flavor that is not there, is the server's own, or would take its disk away.
    """
    flavor = _flavor(connection, asked)
    if flavor.id == instance.flavor_id:
        raise Invalid("When resizing, instances must change flavor!")
    if instance.root_gb and not flavor.root_gb:
        raise Invalid("Resize to zero disk flavor is not allowed.")
    return {"flavor": {name: getattr(flavor, name) for name in Flavor.__slots__}}


def _flavor(connection: Connection, asked: Mapping[str, Any]) -> Flavor:
    flavorid = asked["flavorid"]
    try:
        flavor = flavors.get_flavor(
            connection, flavorid, include_private=asked["sees_private_flavors"], project_id=asked["project_id"]
        )
    except NotFound as error:
        raise Invalid(error.message) from error
    if flavor.disabled:
        raise Invalid(f"Flavor {flavorid} could not be found.")
    return flavor


def migrate(connection: Connection, instance: Instance, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """``asked`` may have a ``host``. Invalid, in Nova's words, for the server's own, and for one that is not there."""
    host = asked.get("host")
    if host is None:
        return {}
    if host == instance.host:
        raise Invalid("Cannot migrate to the host where the server exists.")
    check_host(connection, host)
    return {"host": host}


def live_migrate(connection: Connection, instance: Instance, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """``asked`` may have a ``host``, which is taken as it is if it ``is_forced``; ``looks_first`` (contract §6.6.2).

    Invalid, in Nova's words, for the server's own host, for one that is not there, and for one that is down.
    """
    host = asked.get("host")
    if host is not None:
        check_host(connection, host)
        if host == instance.host:
            raise Invalid(f"Unable to migrate instance ({instance.uuid}) to current host ({host}).")
    return {"host": host, "is_forced": asked["is_forced"], "looks_first": asked["looks_first"]}


def evacuate(connection: Connection, instance: Instance, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """``asked`` may have a ``host``, and ``stops`` says whether the server stays off on its new host.

    NotFound and Invalid, in Nova's words, for a host that is not there, and for the server's own.
    """
    host = asked.get("host")
    if host is not None:
        if fleet.find_service(connection, "nova-compute", host) is None:
            raise NotFound(f"Compute host {host} not found.")
        if host == instance.host:
            raise Invalid("The target host can't be the same one.")
    return {"host": host, "is_forced": asked["is_forced"], "stops": asked["stops"]}


def check_host(connection: Connection, host: str) -> None:
    """Invalid, in Nova's words, for a compute host that is not there."""
    if fleet.find_service(connection, "nova-compute", host) is None:
        raise Invalid(f"Compute host {host} could not be found.")


def check_service(*, is_up: bool) -> None:
    """Conflict, in Nova's words, where the server's host is down."""
    if not is_up:
        raise Conflict("Service is unavailable at this time.")


def check_is_down(instance: Instance, *, is_up: bool) -> None:
    """Invalid, in Nova's words, for an evacuation from a host that is up."""
    if is_up:
        raise Invalid(f"Compute service of {instance.host} is still in use.")


def check_is_there(host: str, *, is_up: bool) -> None:
    """Invalid, in Nova's words, for a live migration from or to a host that is down."""
    if not is_up:
        raise Invalid(f"Compute service of {host} is unavailable at this time.")
