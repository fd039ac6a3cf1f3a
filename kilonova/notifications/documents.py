"""The documents in rows of the journal, parsed once for all that is told of them."""

from functools import lru_cache
from typing import Any

import msgspec


@lru_cache(maxsize=512)
def parsed(text: str) -> Any:
    """What the text says in JSON. It is shared by everybody who asks, and so nobody's to change.

    Most documents of a row (its flavor, its image) stand in many rows, word for word; those of its own moment are asked
    for several times.
    """
    return msgspec.json.decode(text)
