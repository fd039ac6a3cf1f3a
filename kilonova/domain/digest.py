"""What is kept of a secret that only has to be known again."""

import hashlib


def digest_of(secret: str) -> str:
    """Its SHA-256 in hex. For random texts: what people choose needs a hash that is slow."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
