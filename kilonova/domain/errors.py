"""Everything that can go wrong, as types. A class exists only where somebody catches it.

KilonovaError
├── Invalid              what was asked makes no sense                                     400
├── Unauthenticated      nobody knows who is asking                                        401
├── Forbidden            known, and not allowed                                            403
│   └── QuotaExceeded    allowed, but the project has used what it may
├── NotFound             not there, or not for the eyes of the caller                      404
├── Conflict             there, but not in a state for this                                409
│   └── StaleRecord      somebody else changed the record first; read again and retry
├── TooLarge             more bytes than are taken                                         413
├── UnsupportedMedia     not in a format that is read                                      415
├── NotSupported         Kilonova, or the driver in use, cannot do this                    501
├── Unavailable          right now something that is needed does not answer                503
│   └── HypervisorUnavailable
├── NoValidHost          no host can take the instance (ends in a fault, not in a reply)
├── GuestFailure         the driver could not do it (ends in a fault, not in a reply)
└── Unusable             the process cannot run: a sentence on stderr and a non-zero exit
    ├── StoreUnusable    database corrupt, newer than the code, or not writable
    └── SettingsUnusable a setting that makes no sense

Facts of an error are attributes. ``message`` is for the one who asked and names nothing they may not know;
``detail`` is for the operator. Which HTTP status a class becomes is decided in one place, ``api/errors.py``.
"""

from kilonova.domain.faults import FaultCause


class KilonovaError(Exception):
    """The root; ``message`` may be shown to whoever asked, ``detail`` only to an operator."""

    def __init__(self, message: str, *, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class Invalid(KilonovaError):
    """What was asked makes no sense."""


class Unauthenticated(KilonovaError):
    """Nobody knows who is asking."""


class Forbidden(KilonovaError):
    """The caller is known and may not do this."""


class QuotaExceeded(Forbidden):
    """The project has used all that it may."""


class NotFound(KilonovaError):
    """Not there, or not visible to the caller; both read the same from outside."""


class Conflict(KilonovaError):
    """There, but in a state in which this cannot be done."""


class StaleRecord(Conflict):
    """The record's generation moved on since it was read: somebody else was first."""


class TooLarge(KilonovaError):
    """More bytes than are taken here."""


class UnsupportedMedia(KilonovaError):
    """A body in a format that is not read here."""


class NotSupported(KilonovaError):
    """Kilonova, or the driver in use, does not do this."""


class Unavailable(KilonovaError):
    """Something that is needed does not answer right now."""


class HypervisorUnavailable(Unavailable):
    """The hypervisor is not installed, or does not answer."""


class NoValidHost(KilonovaError):
    """No host can take the instance; the message is the decision's one-line summary."""


class GuestFailure(KilonovaError):
    """A driver could not do what was asked of a guest; ``cause`` is its row in the fault catalogue."""

    def __init__(self, cause: FaultCause, message: str, *, detail: str | None = None) -> None:
        super().__init__(message, detail=detail)
        self.cause = cause


class Unusable(KilonovaError):
    """The process cannot run like this; said in one sentence before it exits."""


class StoreUnusable(Unusable):
    """The database is corrupt, newer than this code, or not writable."""


class SettingsUnusable(Unusable):
    """A setting that makes no sense."""
