"""A simulated host on which a scenario is played: what its rules and events do to the driver's verbs."""

import threading
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from random import Random
from typing import Any, Final

from kilonova.domain.diagnostics import Diagnostics
from kilonova.domain.errors import GuestFailure, HypervisorUnavailable
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.simulated.driver import SimulatedDriver
from kilonova.drivers.simulated.scenario import Event, Rule, Scenario, Trouble
from kilonova.drivers.simulated.script import FATES
from kilonova.drivers.simulated.shelf import SimulatedGuest

_SLOWNESS: Final = 10.0
_NEEDS_ROOM: Final = frozenset({"spawn", "rescue", "suspend", "snapshot", "take_in"})
"""Verbs that write to the host's disk."""
_MUTE: Final = frozenset({Trouble.AGENT_DIES, Trouble.HOST_FREEZES, Trouble.POWER_LOST})
"""Troubles in which nobody hears of the agent."""


class StagedDriver(SimulatedDriver):
    """The simulated driver with a scenario. ``on_silence`` is told when its agent falls silent, and when no longer."""

    def __init__(self, host: str, scenario: Scenario, **options: Any) -> None:
        super().__init__(**options)
        self.host = host
        self.on_silence: Callable[[bool], None] = lambda _: None
        self._durations = {**self._durations, **scenario.durations}
        self._rules = [
            _Counted(rule, seed=f"{scenario.seed}/{host}/{number}") for number, rule in enumerate(scenario.rules)
        ]
        self._troubles: set[Trouble] = set()
        self._thawed = threading.Event()
        self._thawed.set()
        self._fates: dict[str, str] = {}

    def befalls(self, trouble: Trouble) -> None:
        """Let trouble begin."""
        self._change(self._troubles | {trouble})
        if trouble is Trouble.POWER_LOST:
            self._lose_power()

    def passes(self, trouble: Trouble) -> None:
        """Let trouble be over."""
        self._change(self._troubles - {trouble})

    def probe(self) -> None:
        """See the Protocol."""
        self._answer()
        super().probe()

    def list_guests(self) -> Mapping[str, PowerState]:
        """See the Protocol."""
        self._answer()
        return super().list_guests()

    def count_all(self) -> Mapping[str, Diagnostics | None]:
        """See CanCountAll."""
        self._answer()
        return super().count_all()

    def close(self) -> None:
        """See the Protocol; what is frozen is let go."""
        self._thawed.set()
        super().close()

    def _change(self, troubles: set[Trouble]) -> None:
        was_silent, is_silent = bool(self._troubles & _MUTE), bool(troubles & _MUTE)
        self._troubles = troubles
        if Trouble.HOST_FREEZES in troubles:
            self._thawed.clear()
        else:
            self._thawed.set()
        if was_silent is not is_silent:
            self.on_silence(is_silent)

    def _answer(self) -> None:
        self._thawed.wait()
        if Trouble.HYPERVISOR_DISCONNECTS in self._troubles:
            raise HypervisorUnavailable("the simulated hypervisor is disconnected", detail="a scenario says so")

    def _work(self, verb: str, guest: SimulatedGuest) -> None:
        """What the scenario says of the verb, and then what the server's own metadata says."""
        self._answer()
        if Trouble.SLOW in self._troubles:
            self._pace.spend((_SLOWNESS - 1) * self._durations.get(verb, 0.0))
        if Trouble.DISK_FULL in self._troubles and verb in _NEEDS_ROOM:
            raise _failure(FaultCause.DISK_FULL)
        rule = next((each.rule for each in self._rules if each.acts(verb, self.host, guest.display_name)), None)
        if rule is not None:
            self._follow(rule, guest)
        super()._work(verb, guest)

    def _follow(self, rule: Rule, guest: SimulatedGuest) -> None:
        self._pace.spend(rule.delay_seconds)
        if rule.freeze:
            self._hold(guest.uuid)
        if rule.fail is not None:
            raise _failure(rule.fail)
        if rule.power is not None:
            self._fates[guest.uuid] = rule.power

    def _boot(self, guest: SimulatedGuest, *, followed_by_its_fate: bool = True) -> None:
        super()._boot(guest, followed_by_its_fate=followed_by_its_fate)
        fate = self._fates.pop(guest.uuid, None)
        if fate is not None:
            kind, state = FATES[fate]
            self._become(guest, state)
            self._announce(guest, kind, "a scenario says so")

    def _lose_power(self) -> None:
        with self._guard:
            guests = list(self._guests.values())
        for guest in guests:
            guest.is_suspended = False
            self._become(guest, PowerState.SHUTDOWN, "power lost")


class _Counted:
    """A rule, with how often it met what it matches."""

    def __init__(self, rule: Rule, *, seed: str) -> None:
        self.rule = rule
        self._random = Random(seed)  # noqa: S311 - chances of a play, and the same at every performance
        self._met = 0
        self._acted = 0
        self._lock = threading.Lock()

    def acts(self, verb: str, host: str, server: str) -> bool:
        """Whether it acts on this one."""
        rule = self.rule
        if verb not in rule.verbs or not fnmatchcase(host, rule.host) or not fnmatchcase(server, rule.server):
            return False
        with self._lock:
            self._met += 1
            is_due = self._met % rule.every == 0 and self._random.random() < rule.chance
            if not is_due or (rule.times is not None and self._acted >= rule.times):
                return False
            self._acted += 1
        return True


class Play:
    """Lets a scenario's events happen to hosts as time passes."""

    def __init__(self, scenario: Scenario, hosts: list[StagedDriver], *, seconds: Callable[[], float]) -> None:
        self._events = [_Recurring(event) for event in scenario.events]
        self._hosts = hosts
        self._seconds = seconds
        self._began: float | None = None

    def step(self) -> bool:
        """Begin and end what is due. Always False: nothing is left to do at once."""
        if self._began is None:
            self._began = self._seconds()
        elapsed = self._seconds() - self._began
        for recurring in self._events:
            is_on = recurring.is_on(elapsed)
            if is_on is not recurring.was_on:
                recurring.was_on = is_on
                self._tell(recurring.event, begins=is_on)
        return False

    def _tell(self, event: Event, *, begins: bool) -> None:
        for host in self._hosts:
            if fnmatchcase(host.host, event.host):
                (host.befalls if begins else host.passes)(event.trouble)


class _Recurring:
    """An event, and whether it was on at the last look."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self.was_on = False

    def is_on(self, elapsed: float) -> bool:
        """Whether it goes on so long after the start."""
        event = self.event
        since = elapsed - event.at_seconds
        if since < 0:
            return False
        if event.repeat_seconds:
            since %= event.repeat_seconds
        return event.for_seconds is None or since < event.for_seconds


def _failure(cause: FaultCause) -> GuestFailure:
    return GuestFailure(cause, f"simulated: {cause.title.lower()}", detail="a scenario says so")
