"""Key pairs: what a guest lets its owner in by (contract §11.7)."""

import string
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kilonova.domain.model import Instant


class KeyType(StrEnum):
    """What kind of public key it is: an OpenSSH one, or a certificate for Windows' remote management."""

    SSH = "ssh"
    X509 = "x509"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A user's public key by its name. The private half is never kept.

    ``fingerprint`` is hex with colons: MD5 of an SSH key's bytes, SHA-1 of a certificate's.
    """

    id: int
    user_id: str
    name: str
    type: KeyType
    public_key: str
    fingerprint: str
    created_at: Instant


OLD_NAME_LETTERS: Final = "_- " + string.digits + string.ascii_letters
NAME_LETTERS: Final = "@._- " + string.digits + string.ascii_letters
"""What a name may consist of from microversion 2.92 on, and before it; in the order in which a refusal tells them."""
