"""The bus of the embedded shape: prods within one process."""

import threading
from collections import defaultdict
from collections.abc import Callable


class MemoryBus:
    """Calls the listeners of a topic in the thread of whoever prods."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)

    def listen(self, topic: str, heard: Callable[[], None]) -> None:
        """Call ``heard`` at every prod of the topic."""
        with self._lock:
            self._listeners[topic].append(heard)

    def trouble(self) -> str | None:
        """None: it is this process."""
        return None

    def prod(self, topic: str) -> None:
        """Call every listener of the topic; a topic without one is no error."""
        with self._lock:
            listeners = tuple(self._listeners.get(topic, ()))
        for heard in listeners:
            heard()
