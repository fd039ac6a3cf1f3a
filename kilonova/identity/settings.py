"""The settings of the embedded identity service, named as Keystone's."""

from dataclasses import dataclass

from kilonova.domain.options import option


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSettings:
    """``[token]``."""

    expiration: int = option(3600, "Seconds for which a token is good.", least=1)
