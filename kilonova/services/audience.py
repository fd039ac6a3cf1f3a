"""Who reads the journal as it grows: told at once within a process, and never more of them than there are seats.

As every prod, one that says that there is news may be lost; whoever waits looks at the store now and then all the same
(design §1.3).
"""

import threading
from collections import Counter
from collections.abc import Callable

from kilonova.bus import JOURNAL, Bus
from kilonova.domain.errors import Unavailable
from kilonova.services.settings import FeedSettings


class Seat:
    """One listener's place, until it is given back."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave: Callable[[], None] | None = leave

    def give_back(self) -> None:
        """Let another one have it; to do so twice is no error."""
        leave, self._leave = self._leave, None
        if leave:
            leave()


class Audience:
    """The listeners of a process."""

    def __init__(self, bus: Bus, settings: FeedSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._listeners: dict[int, Callable[[], None]] = {}
        self._last = 0
        self._seated: Counter[str | None] = Counter()
        self.is_dismissed = False
        """Whether everybody is asked to leave."""
        bus.listen(JOURNAL, self.wake)

    @property
    def size(self) -> int:
        """How many seats are taken."""
        with self._lock:
            return self._seated.total()

    def take_seat(self, project_id: str | None) -> Seat:
        """A seat for a project, None for an operator. Unavailable where there is none left for it."""
        settings = self._settings
        most = settings.max_streams if project_id is None else settings.max_streams_per_project
        with self._lock:
            if self._seated.total() >= settings.max_streams or self._seated[project_id] >= most:
                raise Unavailable("Too many streams of events are open; try again later.")
            self._seated[project_id] += 1
        return Seat(lambda: self._leave(project_id))

    def listen(self, heard: Callable[[], None]) -> Callable[[], None]:
        """Have ``heard`` called whenever the journal has new numbers, from any thread; returns how to end it."""
        with self._lock:
            self._last += 1
            ticket = self._last
            self._listeners[ticket] = heard
        return lambda: self._unlisten(ticket)

    def dismiss(self) -> None:
        """Ask everybody to leave: the process ends."""
        self.is_dismissed = True
        self.wake()

    def wake(self) -> None:
        """Tell everybody that there is news."""
        with self._lock:
            listeners = tuple(self._listeners.values())
        for heard in listeners:
            heard()

    def _leave(self, project_id: str | None) -> None:
        with self._lock:
            self._seated[project_id] -= 1
            if not self._seated[project_id]:
                del self._seated[project_id]

    def _unlisten(self, ticket: int) -> None:
        with self._lock:
            self._listeners.pop(ticket, None)
