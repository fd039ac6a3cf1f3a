"""How a password gets into a guest: by QEMU's agent inside, where its image says that there is one."""

import base64
import contextlib
from collections.abc import Iterator
from typing import Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers.instances.definition import Definition

AGENT_CHANNEL: Final = "org.qemu.guest_agent.0"
"""The name of the serial port that QEMU's agent opens inside the guest."""

ANSWER_SECONDS: Final = 15
"""What the agent gets for a command, once it has shown that it listens."""

_HIDDEN: Final = "***"
_MOST_TOLD: Final = 600
"""Characters of a reason: an agent may give any."""


def require_agent(definition: Definition) -> None:
    """Raise GuestFailure(NOT_SUPPORTED) where the guest has no way to an agent."""
    if not definition.has_agent:
        raise GuestFailure(FaultCause.NOT_SUPPORTED, "QEMU guest agent is not enabled")


@contextlib.contextmanager
def hidden(password: str) -> Iterator[None]:
    """Keep the password out of the reasons for which it was not set: a guest may say anything, and so repeat it.

    What is left of a reason is short, and can be printed.
    """
    try:
        yield
    except GuestFailure as failure:
        told = failure.detail
        for secret in (password, base64.b64encode(password.encode()).decode()):
            told = told.replace(secret, _HIDDEN) if told and secret else told
        told = told and "".join(each if each.isprintable() else "?" for each in told[:_MOST_TOLD])
        raise GuestFailure(failure.cause, failure.message, detail=told) from None
