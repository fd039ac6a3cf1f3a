"""Keys as such: a new pair, and the fingerprint of a public key (contract §11.7).

``cryptography`` is imported when the first key comes by: it takes a while, and most processes never meet one
(docs/decisions/0008).
"""

import base64
import binascii
import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from kilonova.domain.errors import Invalid
from kilonova.domain.keypairs import KeyType
from kilonova.domain.model import SECOND, Instant

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_BITS: Final = 2048
_EXPONENT: Final = 65537
_COMMENT: Final = "Generated-by-Nova"
_VALID_DAYS: Final = 3650
_PRINCIPAL_NAME: Final = "1.3.6.1.4.1.311.20.2.3"
"""The kind of alternative name by which Windows maps a certificate to an account."""
_UTF8_TAG: Final = 0x0C


class NewKey(NamedTuple):
    """Both halves of a new pair; the private one is for its owner alone, and only once."""

    public_key: str
    private_key: str


def new_key(type: KeyType, user_id: str, *, now: Instant) -> NewKey:
    """A new pair: RSA for OpenSSH, or a certificate of the user with its key as PKCS #12 in base 64."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=_EXPONENT, key_size=_BITS)
    return _ssh_pair(key) if type is KeyType.SSH else _certified_pair(key, user_id, now)


def fingerprint_of(type: KeyType, public_key: str) -> str:
    """The fingerprint, as hex with colons. Raises ``Invalid`` in Nova's words for what is no such key."""
    if type is KeyType.SSH:
        return _with_colons(hashlib.md5(_ssh_bytes(public_key), usedforsecurity=False).hexdigest())
    return _with_colons(hashlib.sha1(_certificate_bytes(public_key), usedforsecurity=False).hexdigest())


def _with_colons(digits: str) -> str:
    return ":".join(digits[start : start + 2] for start in range(0, len(digits), 2))


def _ssh_bytes(public_key: str) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    try:
        load_ssh_public_key(public_key.encode())
        return base64.b64decode(public_key.split()[1])
    except (ValueError, IndexError, UnsupportedAlgorithm, binascii.Error) as error:
        raise Invalid("Keypair data is invalid: failed to generate fingerprint") from error


def _certificate_bytes(public_key: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_pem_x509_certificate

    try:
        return load_pem_x509_certificate(public_key.encode()).public_bytes(Encoding.DER)
    except ValueError as error:
        raise Invalid(
            f"Keypair data is invalid: failed to generate X509 fingerprint. Error message: {error}"
        ) from error


def _ssh_pair(key: "RSAPrivateKey") -> NewKey:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    return NewKey(public_key=f"{public} {_COMMENT}", private_key=private)


def _certified_pair(key: "RSAPrivateKey", user_id: str, now: Instant) -> NewKey:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, pkcs12
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

    begins = datetime.fromtimestamp(now // SECOND, UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user_id[:64])])
    principal = f"{user_id[:64]}@localhost".encode()
    other = x509.OtherName(ObjectIdentifier(_PRINCIPAL_NAME), bytes([_UTF8_TAG, len(principal)]) + principal)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=_VALID_DAYS))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([other]), critical=False)
        .sign(key, SHA256())
    )
    bundle = pkcs12.serialize_key_and_certificates(None, key, certificate, None, NoEncryption())
    return NewKey(
        public_key=certificate.public_bytes(Encoding.PEM).decode(), private_key=base64.b64encode(bundle).decode()
    )
