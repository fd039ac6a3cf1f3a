"""Request bodies of Nova's documentation, fitted to the estate: its ids for theirs, its hosts, names that are free."""

from collections.abc import Callable
from typing import Any, Final

from tests.compat.golden.estate import Estate
from tests.compat.golden.plugs import free_address, spare_port

_Fit = Callable[[Estate, Any], Any]

_OUR_ZONES: Final = {"us-west": "nova", "%(availability_zone)s": "nova"}
_NEWLY_NAMED: Final = frozenset({"flavor", "keypair", "aggregate"})
_MOVES: Final = frozenset({"evacuate", "migrate", "os-migrateLive", "unshelve"})


def _networks(estate: Estate, value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [{**each, "uuid": estate.network()} if "uuid" in each else each for each in value]


def _events(estate: Estate, value: Any) -> Any:
    return [{**each, "name": "network-changed", "server_uuid": estate.server()} for each in value]


# What stands under a key of a request, whatever the sample has there.
_FITS: Final[dict[str, _Fit]] = {
    "imageRef": lambda estate, _: estate.image(),
    "rescue_image_ref": lambda estate, _: estate.image(),
    "flavorRef": lambda _, value: "1" if value == "6" else value,
    "availability_zone": lambda _, value: _OUR_ZONES.get(value, value),
    "key_name": lambda estate, _: estate.keypair(),
    "same_host": lambda estate, _: estate.server(),
    "group": lambda estate, _: estate.group(),
    "net_id": lambda estate, _: estate.network(),
    "host": lambda estate, _: estate.host(),
    "hypervisor_hostname": lambda estate, _: estate.host(),
    "port_id": lambda estate, _: spare_port(estate),
    "ip_address": lambda estate, _: free_address(estate),
    "networks": _networks,
    "events": _events,
}


def fitted(body: Any, estate: Estate) -> Any:
    """The body as the estate can take it; words in braces are filled in."""
    if isinstance(body, str):
        return estate.filled(body)
    if isinstance(body, list):
        return [fitted(each, estate) for each in body]
    if isinstance(body, dict):
        return {key: _fitted_pair(key, value, estate) for key, value in body.items()}
    return body


def _fitted_pair(key: str, value: Any, estate: Estate) -> Any:
    if key in _NEWLY_NAMED and isinstance(value, dict):
        return fitted(_named_anew(value, estate), estate)
    if key in _MOVES and isinstance(value, dict) and value.get("host"):
        rest = {each: value[each] for each in value if each != "host"}
        return {**fitted(rest, estate), "host": estate.other_host()}
    if key in _FITS and value is not None and not _has_words(value):
        return _FITS[key](estate, value)
    return fitted(value, estate)


def _has_words(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("{")


def _named_anew(thing: dict[str, Any], estate: Estate) -> dict[str, Any]:
    return {key: estate.fresh(str(value)) if key in {"name", "id"} else value for key, value in thing.items()}
