"""What several pages of our own surface have in common: how instants are spelt, and which server is meant."""

from kilonova.api.call import Call
from kilonova.domain.errors import Invalid
from kilonova.domain.model import Instant
from kilonova.wire.times import parse_iso, zulu_micros


def moment(instant: int | None) -> str | None:
    """An instant in UTC with microseconds, as everywhere below ``/state/v1``; None for none."""
    return None if instant is None else zulu_micros(instant)


def instant_asked(call: Call, name: str) -> Instant | None:
    """The instant in ``?name=``, None without. Invalid for what is none."""
    text = call.first(name)
    if not text:
        return None
    try:
        return Instant(parse_iso(text))
    except ValueError as error:
        raise Invalid(f"{name} is {text!r}; it must be a date or a time in ISO 8601, such as 2026-11-01.") from error


def server_asked(call: Call) -> str:
    """The id in ``?server=``. Invalid without one."""
    uuid = call.first("server")
    if not uuid:
        raise Invalid("Say which server: ?server=<id>.")
    return uuid
