"""The directory in which a driver keeps all that it has: one driver at a time, and an identity of its own."""

import fcntl
import uuid as uuids
from pathlib import Path
from typing import IO

from kilonova.domain.errors import GuestFailure, HypervisorUnavailable
from kilonova.domain.faults import FaultCause


def open_state_dir(wanted: Path, driver: str) -> tuple[Path, IO[str]]:
    """Make it where it is not, and have it alone: the resolved path, and the lock that is held until it is closed.

    Raises HypervisorUnavailable.
    """
    try:
        wanted.mkdir(parents=True, exist_ok=True, mode=0o700)
        state_dir = wanted.resolve()
        (state_dir / "instances").mkdir(exist_ok=True, mode=0o700)
        lock = (state_dir / "driver.lock").open("w")
    except OSError as error:
        text = f"the {driver} driver's state directory cannot be used: {error.strerror}"
        raise HypervisorUnavailable(text, detail=str(error)) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        text = "another process drives the guests of this state directory"
        raise HypervisorUnavailable(text, detail=str(state_dir)) from error
    return state_dir, lock


def is_inhabited(state_dir: Path) -> bool:
    """Whether there are guests in it, whole or half-made."""
    places = (state_dir / name for name in ("instances", "aside"))
    return any(is_uuid(entry.name) for place in places if place.is_dir() for entry in place.iterdir())


def owner_of(state_dir: Path) -> str:
    """The id of the state directory, made when it is first asked for: it stays when the directory is moved."""
    kept = state_dir / "owner"
    if not kept.exists():
        part = state_dir / ".owner.part"
        part.write_text(f"{uuids.uuid4()}\n", "utf-8")
        part.rename(kept)
    return kept.read_text("utf-8").strip()


def checked_uuid(uuid: str) -> str:
    """The uuid, which becomes a directory's name. Raises GuestFailure where it is none."""
    if is_uuid(uuid):
        return uuid
    raise GuestFailure(FaultCause.GUEST_MISSING, "not the uuid of a server")


def is_uuid(text: str) -> bool:
    """Whether the text is a uuid as it is commonly written."""
    try:
        return str(uuids.UUID(text)) == text
    except ValueError:
        return False
