"""One verb of the qemu driver in a process of its own, which may be told to die at one of its steps.

    python -m tests.chaos.driver_process STATE_DIR GUEST VERB [N]

A step is a monitor command, or the writing of a definition, or the renaming of a file. With N the process kills
itself with SIGKILL just before the Nth.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kilonova.drivers.protocol import GuestEvent, Nic
from kilonova.drivers.qemu import QemuDriver, guest
from kilonova.drivers.qemu.qmp import QmpClient
from kilonova.images.guests import tiny
from tests.backends.driver.worlds import NODE, guest_spec, image_of

RESCUE = image_of(tiny.image(), "raw", image_id="22222222-2222-4333-8444-555555555555")

CARD = Nic(mac="fa:16:3e:00:00:02", address="10.20.30.52", label="private")


class Death:
    """Counts steps from now on, and kills the process at one of them."""

    def __init__(self, at: int) -> None:
        self._left = at
        guest.save_definition = self._counted(guest.save_definition)  # type: ignore[attr-defined]
        QmpClient.execute = self._counted(QmpClient.execute)  # type: ignore[method-assign]
        Path.rename = self._counted(Path.rename)  # type: ignore[method-assign]

    def _counted(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*values: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*values, **named)

        return counted


def run(state_dir: Path, uuid: str, verb: str, at: int) -> None:
    """Adopt the guests, then do the verb on one of them."""
    driver = QemuDriver(state_dir=state_dir, node=NODE)
    heard: list[GuestEvent] = []
    driver.start(heard.append)
    Death(at)
    verbs: dict[str, Callable[[], object]] = {
        "suspend": lambda: driver.suspend(uuid),
        "resume": lambda: driver.resume(uuid),
        "rescue": lambda: driver.rescue(uuid, RESCUE, timeout_seconds=20),
        "unrescue": lambda: driver.unrescue(uuid),
        "migrate_out": lambda: driver.migrate_out(uuid, timeout_seconds=20),
        "take_in": lambda: driver.take_in(guest_spec(uuid=uuid), _parcel(state_dir, uuid), power_on=True),
        "plug": lambda: driver.plug(uuid, CARD),
        "unplug": lambda: driver.unplug(uuid, CARD.mac),
        "revert_move": lambda: driver.revert_move(uuid, power_on=True),
        "prepare_live": lambda: driver.prepare_live(guest_spec(uuid=uuid)),
        "live_migrate": lambda: driver.live_migrate(uuid, _destination(state_dir, uuid), lambda _: None),
        "arrive": lambda: driver.arrive(guest_spec(uuid=uuid), {"ran": True}),
    }
    verbs[verb]()
    driver.close()


def _parcel(state_dir: Path, uuid: str) -> dict[str, str]:
    """What ``migrate_out`` of the guest gave."""
    return {"directory": str(state_dir.resolve() / "aside" / uuid)}


def _destination(state_dir: Path, uuid: str) -> dict[str, str]:
    """What ``prepare_live`` gave on the other host, where the guest waits for itself."""
    (found,) = (
        place for place in state_dir.resolve().parent.glob(f"*/instances/{uuid}") if state_dir.name not in place.parts
    )
    return {"directory": str(found)}


if __name__ == "__main__":
    where, which, doing, *number = sys.argv[1:]
    run(Path(where), which, doing, int(number[0]) if number else 0)
