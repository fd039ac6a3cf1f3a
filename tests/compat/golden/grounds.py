"""Where estates stand: one after another, each for as long as no request spoils it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Final

from tests.compat.golden.estate import Estate
from tests.plane.house import lived_in

HOSTS: Final = 3
_SETTINGS: Final = {"instance_usage_audit_period": "hour"}  # so that one is over soon


class Grounds:
    """Where estates stand, one at a time, each in a folder of its own in ``home``."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._numbers = count(1)
        self._house: ExitStack | None = None
        self._estate: Estate | None = None

    @contextmanager
    def lent(self) -> Iterator[Estate]:
        """The estate, for one request; where that spoils it, so that it cannot be swept, the next gets a new one."""
        estate = self._estate or self._build()
        try:
            yield estate
            estate.sweep()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Tear down the estate that stands."""
        house, self._house, self._estate = self._house, None, None
        if house is not None:
            house.close()

    def _build(self) -> Estate:
        self._house = ExitStack()
        state_dir = self._home / f"estate-{next(self._numbers)}"
        self._estate = Estate(self._house.enter_context(lived_in(state_dir, simulate_hosts=HOSTS, DEFAULT=_SETTINGS)))
        return self._estate
