"""What several pages of our own surface have in common: how instants are spelt, and which server is meant."""

from kilonova.api.call import Call
from kilonova.domain.errors import Invalid
from kilonova.wire.times import zulu_micros


def moment(instant: int | None) -> str | None:
    """An instant in UTC with microseconds, as everywhere below ``/state/v1``; None for none."""
    return None if instant is None else zulu_micros(instant)


def server_asked(call: Call) -> str:
    """The id in ``?server=``. Invalid without one."""
    uuid = call.first("server")
    if not uuid:
        raise Invalid("Say which server: ?server=<id>.")
    return uuid
