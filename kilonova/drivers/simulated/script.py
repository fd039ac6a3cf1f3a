"""Trouble on demand: what a server's metadata tells the simulated driver to do.

- ``sim:fail``: verbs by comma, such as ``spawn`` or ``spawn:disk_full,power_off``; these verbs fail, with that cause.
  ``destroy`` fails once only, so that the server can be got rid of.
- ``sim:delay``: a span such as ``2.5`` (seconds), ``30s`` or ``2m``; every verb on this server takes so much longer.
- ``sim:freeze``: verbs by comma, or ``true`` for all but ``destroy``; these never end, until their deadline ends them.
- ``sim:power``: ``crashed``, ``stopped`` or ``paused``; what becomes of the server, on its own, whenever it started.

Values that make no sense fail the spawn and say so: a script that is not followed would prove nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause, find_cause
from kilonova.domain.states import PowerState
from kilonova.drivers.protocol import LIVE_MOVES, MOVES, GuestEventKind
from kilonova.drivers.simulated.spans import seconds_of

_MOST_DELAY_SECONDS: Final = 3600
_YES: Final = frozenset({"true", "yes", "1", "on"})

VERBS: Final = frozenset(
    {
        *("spawn", "destroy", "power_on", "power_off", "reboot", "pause", "unpause"),
        *("suspend", "resume", "rescue", "unrescue", "set_password", "snapshot", "inject_nmi", "plug", "unplug"),
        *MOVES,
        *LIVE_MOVES,
    }
)

FATES: Final[Mapping[str, tuple[GuestEventKind, PowerState]]] = {
    "crashed": (GuestEventKind.CRASHED, PowerState.CRASHED),
    "stopped": (GuestEventKind.STOPPED, PowerState.SHUTDOWN),
    "paused": (GuestEventKind.PAUSED, PowerState.PAUSED),
}
"""What can become of a server that just started, by what metadata and scenarios call it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What is to go wrong with one guest."""

    failures: Mapping[str, FaultCause] = field(default_factory=dict)
    """By verb."""
    delay_seconds: float = 0.0
    frozen: frozenset[str] = frozenset()
    """Verbs that never end."""
    fate: tuple[GuestEventKind, PowerState] | None = None
    """What becomes of it once it runs."""

    def check(self, verb: str) -> None:
        """Raise the failure that is written for this verb, if there is one."""
        cause = self.failures.get(verb)
        if cause is not None:
            text = f"simulated: {cause.title.lower()}"
            raise GuestFailure(cause, text, detail=f"the server's metadata has sim:fail for {verb}")


def read_script(metadata: Mapping[str, str]) -> Script:
    """The script in a server's metadata. Raises GuestFailure where it makes no sense."""
    fate = metadata.get("sim:power")
    if fate is not None and fate not in FATES:
        raise _senseless("sim:power", fate)
    return Script(
        failures=dict(_failure(word.strip()) for word in metadata.get("sim:fail", "").split(",") if word.strip()),
        delay_seconds=_seconds(metadata.get("sim:delay", "0")),
        frozen=_frozen(metadata.get("sim:freeze", "")),
        fate=FATES[fate] if fate else None,
    )


def _failure(word: str) -> tuple[str, FaultCause]:
    verb, _, code = word.partition(":")
    cause = find_cause(code) if code else FaultCause.DRIVER_ERROR
    if verb not in VERBS or cause is None:
        raise _senseless("sim:fail", word)
    return verb, cause


def _seconds(text: str) -> float:
    try:
        seconds = seconds_of(text)
    except ValueError:
        raise _senseless("sim:delay", text) from None
    if seconds > _MOST_DELAY_SECONDS:
        raise _senseless("sim:delay", text)
    return seconds


def _frozen(text: str) -> frozenset[str]:
    if text.strip().lower() in _YES:
        return VERBS - {"destroy"}
    verbs = frozenset(word.strip() for word in text.split(",") if word.strip())
    if not verbs <= VERBS:
        raise _senseless("sim:freeze", text)
    return verbs


def _senseless(key: str, value: str) -> GuestFailure:
    return GuestFailure(FaultCause.DRIVER_ERROR, f"the metadata {key}={value} makes no sense to the simulated driver")
