"""What may be asked of a port in a body: checked for form, and refused where the built-in network has no such thing."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import uuid4

from kilonova.domain.errors import Invalid, NotFound, NotSupported
from kilonova.domain.ports import Wish
from kilonova.network.embedded import FlatNetwork
from kilonova.network.views import group_id

_MOST_CHARACTERS: Final = 255
_MAC: Final = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_RENAMED: Final = frozenset({"name", "description"})


def body_of(parsed: Any) -> Mapping[str, Any]:
    """The port of a body. Invalid where there is none."""
    found = parsed.get("port") if isinstance(parsed, dict) else None
    if not isinstance(found, dict):
        raise Invalid("Resource body required")
    return found


def wish_of(asked: Mapping[str, Any], project_id: str, network: FlatNetwork) -> Wish:
    """The port that is asked for. Invalid, NotFound and NotSupported in Neutron's words as far as it has any."""
    _check_known(asked, _NEW)
    if "network_id" not in asked:
        raise Invalid("Failed to parse request. Required attribute 'network_id' not specified")
    if asked["network_id"] != network.id:
        raise NotFound(f"Network {asked['network_id']} could not be found.")
    for key, check in _AS_IT_IS.items():
        if key in asked and not check(asked[key], project_id):
            raise NotSupported(f"The built-in network has no ports with {key} other than it is by itself.")
    return Wish(
        id=str(uuid4()),
        project_id=project_id,
        name=_text(asked, "name"),
        description=_text(asked, "description"),
        address=_address(asked.get("fixed_ips"), network),
        mac=_mac(asked.get("mac_address")),
        is_kept=True,
    )


def check_names(asked: Mapping[str, Any]) -> None:
    """Invalid for what no port has; NotSupported for a change of anything but what a port is called."""
    _check_known(asked, _NEW)
    for key in asked.keys() - _RENAMED:
        raise NotSupported(f"The built-in network does not change the {key} of a port.")
    for key in asked:
        _text(asked, key)


def _check_known(asked: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(asked.keys() - known)
    if unknown:
        raise Invalid(f"Unrecognized attribute(s) '{', '.join(unknown)}'")


def _text(asked: Mapping[str, Any], key: str) -> str:
    value = asked.get(key, "")
    if not isinstance(value, str):
        raise Invalid(f"Invalid input for {key}. Reason: '{value}' is not a valid string.")
    if len(value) > _MOST_CHARACTERS:
        raise Invalid(f"Invalid input for {key}. Reason: '{value}' exceeds maximum length of {_MOST_CHARACTERS}.")
    return value


def _address(wanted: Any, network: FlatNetwork) -> str | None:
    """The address that is chosen, None for any."""
    if wanted is None:
        return None
    if not isinstance(wanted, list) or not all(isinstance(each, dict) for each in wanted):
        raise Invalid("Invalid input for fixed_ips. Reason: not a list of dictionaries.")
    if len(wanted) != 1:
        raise NotSupported("A port of the built-in network has one address.")
    subnet, address = wanted[0].get("subnet_id"), wanted[0].get("ip_address")
    if subnet not in (None, network.subnet_id):
        raise NotFound(f"Subnet {subnet} could not be found.")
    if address is not None and not isinstance(address, str):
        raise Invalid(f"Invalid input for fixed_ips. Reason: '{address}' is not a valid IP address.")
    return address


def _mac(wanted: Any) -> str | None:
    if wanted is None:
        return None
    mac = wanted.lower() if isinstance(wanted, str) else ""
    if not _MAC.fullmatch(mac) or int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise Invalid(f"Invalid input for mac_address. Reason: '{wanted}' is not a valid MAC address.")
    return mac


def _is_own_group(value: Any, project_id: str) -> bool:
    return isinstance(value, list) and all(each == group_id(project_id) for each in value)


_AS_IT_IS: Final[Mapping[str, Callable[[Any, str], bool]]] = {
    "admin_state_up": lambda value, _: value is True,
    "security_groups": _is_own_group,
    "port_security_enabled": lambda value, _: value is False,
    "device_id": lambda value, _: value in (None, ""),
    "device_owner": lambda value, _: value in (None, ""),
    "binding:vnic_type": lambda value, _: value == "normal",
    "binding:profile": lambda value, _: not value,
    "binding:host_id": lambda value, _: not value,
    "allowed_address_pairs": lambda value, _: not value,
    "extra_dhcp_opts": lambda value, _: not value,
    "tags": lambda value, _: not value,
}
"""What may be said of a port as long as it says what is so anyway."""

_NEW: Final = frozenset(
    {"network_id", "project_id", "tenant_id", "name", "description", "fixed_ips", "mac_address", *_AS_IT_IS}
)
