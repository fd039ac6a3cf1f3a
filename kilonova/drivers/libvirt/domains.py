"""Our domains among all of a daemon's: found by uuid, known by the mark in their metadata. Others are never touched."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree as ET

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.libvirt import words
from kilonova.drivers.libvirt.connection import Connection
from kilonova.drivers.libvirt.description import MARK
from kilonova.drivers.libvirt.words import translated

_LOG = logging.getLogger(__name__)
_ELEMENT: Final = 2  # VIR_DOMAIN_METADATA_ELEMENT
_STATE_ONLY: Final = 1  # VIR_DOMAIN_STATS_STATE
_WITHOUT_ASKING_QEMU: Final = 1 << 29  # VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
_UNDEFINE_ALL: Final = 1 | 2 | 4 | 16  # managed save, snapshots, NVRAM, checkpoints
_SHUT_OFF: Final = 5
_STATES: Final[Mapping[int, PowerState]] = {  # virDomainState
    1: PowerState.RUNNING,
    2: PowerState.RUNNING,
    3: PowerState.PAUSED,
    4: PowerState.RUNNING,  # on its way down
    6: PowerState.CRASHED,
    7: PowerState.SUSPENDED,
}
_PAUSED_BY_ERROR: Final = (3, 5)
_ENDS: Final[Mapping[int, tuple[PowerState, str]]] = {  # virDomainShutoffReason
    1: (PowerState.SHUTDOWN, "it switched itself off"),
    2: (PowerState.SHUTDOWN, "somebody pulled its plug past Kilonova"),
    3: (PowerState.CRASHED, "its QEMU ended unexpectedly"),
    4: (PowerState.SHUTDOWN, "it was moved away"),
    5: (PowerState.SHUTDOWN, "somebody saved its memory past Kilonova"),
    6: (PowerState.CRASHED, "its QEMU ended unexpectedly, or could not be started"),
    7: (PowerState.SHUTDOWN, "somebody put it back to a snapshot past Kilonova"),
}


@dataclass(frozen=True, slots=True)
class Sight:
    """A domain as libvirt shows it; ``power`` is None where libvirt does not know how it came to be off."""

    is_active: bool
    power: PowerState | None
    why: str = ""
    is_stuck: bool = False
    """Whether it is paused because a disk failed."""


def sight_of(state: int, reason: int) -> Sight:
    """What a virDomainState and its reason mean."""
    if state != _SHUT_OFF:
        is_stuck = (state, reason) == _PAUSED_BY_ERROR
        return Sight(True, _STATES.get(state, PowerState.NOSTATE), "a disk failed" if is_stuck else "", is_stuck)
    power, why = _ENDS.get(reason, (None, ""))
    return Sight(False, power, why)


class Domains:
    """The domains of one owner: of one driver's state directory."""

    def __init__(self, connection: Connection, owner: str) -> None:
        self._connection = connection
        self._owner = owner

    def find(self, uuid: str) -> Any | None:
        """Our domain of this uuid, a ``virDomain``; None where there is none, or it is not ours."""
        domain = self._lookup(uuid)
        return domain if domain is not None and self._is_ours(domain) else None

    def look(self, uuid: str) -> Sight | None:
        """How our domain is; None where there is none."""
        with translated("tell a server's state"):
            domain = self.find(uuid)
            if domain is None:
                return None
            state, reason = domain.state()
            return sight_of(state, reason)

    def look_at_all(self) -> Mapping[str, Sight]:
        """All domains of the daemon, ours or not, by uuid: in one call, which waits for no QEMU."""
        with translated("tell the states of all servers"):
            found = self._connection.handle().getAllDomainStats(_STATE_ONLY, _WITHOUT_ASKING_QEMU)
            return {
                domain.UUIDString(): sight_of(stats.get("state.state", 0), stats.get("state.reason", 0))
                for domain, stats in found
            }

    def define(self, uuid: str, description: str) -> Any:
        """Define ours anew, or for the first time. Raises GuestFailure(NAME_TAKEN) where another's is in the way."""
        there = self._lookup(uuid)
        if there is not None and not self._is_ours(there):
            text = "the host has a machine with the server's uuid that Kilonova did not make"
            raise GuestFailure(FaultCause.NAME_TAKEN, text, detail=f"domain {there.name()}, uuid {uuid}")
        if there is not None and there.name() != ET.fromstring(description).findtext("name"):  # noqa: S314 - our own
            self.undefine(there)
        with translated("define the server"):
            return self._connection.handle().defineXML(description)

    def undefine(self, domain: Any) -> None:
        """Forget one of ours and all that libvirt keeps of it; no trouble where it is gone."""
        import libvirt

        try:
            domain.undefineFlags(_UNDEFINE_ALL)
        except libvirt.libvirtError as error:
            if error.get_error_code() != words.NO_DOMAIN:
                raise words.reason_of(error, "forget the server") from error

    def stop(self, domain: Any) -> None:
        """End its QEMU, which writes out what it holds; no trouble where it is off."""
        import libvirt

        try:
            domain.destroy()
        except libvirt.libvirtError as error:
            if error.get_error_code() not in (words.NO_DOMAIN, words.OPERATION_INVALID):
                raise words.reason_of(error, "switch the server off") from error

    def _lookup(self, uuid: str) -> Any | None:
        import libvirt

        handle = self._connection.handle()
        try:
            return handle.lookupByUUIDString(uuid)
        except libvirt.libvirtError as error:
            if error.get_error_code() == words.NO_DOMAIN:
                return None
            raise words.reason_of(error, "find the server") from error

    def _is_ours(self, domain: Any) -> bool:
        import libvirt

        try:
            mark = ET.fromstring(domain.metadata(_ELEMENT, MARK, 0))  # noqa: S314 - through libvirt's own parser
        except libvirt.libvirtError as error:
            if error.get_error_code() in (words.NO_METADATA, words.NO_DOMAIN):
                return False
            raise words.reason_of(error, "tell whose a server is") from error
        return mark.get("owner") == self._owner
