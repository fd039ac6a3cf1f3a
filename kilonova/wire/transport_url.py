"""``transport_url`` as Nova's configuration spells it (oslo.messaging's ``TransportURL``)."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

_SCHEMES: Final = ("rabbit", "amqp", "kombu")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_MASK: Final = "***"


class TransportUrlMalformed(ValueError):
    """The text is no transport_url; the message never repeats it, for there are passwords in it."""

    def __init__(self) -> None:
        super().__init__("The transport_url is none: rabbit://user:password@host:port/virtual_host.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """One broker and whom to be there."""

    host: str
    port: int
    user: str
    password: str
    virtual_host: str
    is_tls: bool


def parse_transport_url(url: str) -> tuple[Broker, ...]:
    """The brokers in the order in which they are tried. TransportUrlMalformed for what is none.

    Without a virtual host it is ``/``, and without an account that of ``guest``; who comes after the first and has no
    account of its own has that of the one before.
    """
    try:
        parts = urlsplit(url)
        brokers = _brokers(parts.netloc, unquote(parts.path[1:]) or "/", is_tls=_is_tls(parts.query))
    except ValueError as error:
        raise TransportUrlMalformed from error
    if parts.scheme not in _SCHEMES or not brokers:
        raise TransportUrlMalformed
    return tuple(brokers)


def masked(url: str) -> str:
    """The URL for people, without its passwords."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return _MASK
    return parts._replace(netloc=",".join(_masked_place(place) for place in parts.netloc.split(","))).geturl()


def _masked_place(place: str) -> str:
    account, at, address = place.rpartition("@")
    if not at:
        return place
    user, colon, _ = account.partition(":")
    return f"{user}:{_MASK}@{address}" if colon else f"{user}@{address}"


def _is_tls(query: str) -> bool:
    return parse_qs(query).get("ssl", ["0"])[-1].lower() in _TRUE


def _brokers(netloc: str, virtual_host: str, *, is_tls: bool) -> list[Broker]:
    found: list[Broker] = []
    user, password = "guest", "guest"
    for place in netloc.split(","):
        account, _, address = place.rpartition("@")
        if account:
            name, _, secret = account.partition(":")
            user, password = unquote(name), unquote(secret)
        host, port = _host_and_port(address)
        found.append(
            Broker(host=host, port=port, user=user, password=password, virtual_host=virtual_host, is_tls=is_tls)
        )
    return found


def _host_and_port(address: str) -> tuple[str, int]:
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket:
            raise ValueError(address)
    else:
        host, _, rest = address.partition(":")
        rest = f":{rest}" if rest else ""
    port = int(rest[1:]) if rest else 5672
    if not host or not 0 < port < 65536:
        raise ValueError(address)
    return host, port
