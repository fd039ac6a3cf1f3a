"""What of a server can be reached from afar, and the tokens that lead there."""

from dataclasses import dataclass
from enum import StrEnum

from kilonova.domain.model import Instant


class ConsoleKind(StrEnum):
    """What of a guest is reached; named as Nova's protocols are (contract §11.11)."""

    VNC = "vnc"
    """Its screen, keyboard and mouse, in RFB (RFC 6143)."""
    SERIAL = "serial"
    """Its first serial port, byte by byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleToken:
    """Where a token leads, and until when it opens a console there. ``digest`` is all that is kept of it."""

    digest: str
    instance_uuid: str
    host: str
    kind: ConsoleKind
    expires_at: Instant
