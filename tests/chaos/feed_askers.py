"""Who asks a cloud for changes, over HTTP, from several threads; a plane that is away is asked again."""

import threading
from collections import Counter
from random import Random
from typing import Any

import httpx

from tests.chaos.storm_cloud import StormCloud

_THREADS = 3
_ACTIONS: tuple[dict[str, Any], ...] = (
    *({action: None} for action in ("os-stop", "os-start", "pause", "unpause", "suspend", "resume", "lock", "unlock")),
    {"reboot": {"type": "HARD"}},
)
_PATIENCE_SECONDS = 0.3


class Askers:
    """Ask until they are told to stop, or somebody answered what nobody may answer."""

    def __init__(self, cloud: StormCloud, *, servers: int, seed: int) -> None:
        self._cloud = cloud
        self._ends = threading.Event()
        self.answers: Counter[str] = Counter()
        """How often there was which answer; ``unheard`` where there was none."""
        self._servers = [self._order(number) for number in range(servers)]
        self._threads = [
            threading.Thread(target=self._ask, args=(Random(seed * 100 + number), number), daemon=True)  # noqa: S311
            for number in range(_THREADS)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after what is being asked."""
        self._ends.set()
        for thread in self._threads:
            thread.join(60)

    def _order(self, number: int) -> str:
        image = self._cloud.call("GET", "//image/v2/images").json()["images"][0]["id"]
        server = {"name": f"web{number}", "flavorRef": "42", "imageRef": image, "networks": "none"}
        reply = self._cloud.call("POST", "/servers", {"server": server}, version="2.96")
        assert reply.status_code == 202, reply.text
        uuid: str = reply.json()["server"]["id"]
        return uuid

    def _ask(self, chance: Random, which: int) -> None:
        mine = self._servers[which::_THREADS]
        while not self._ends.is_set():
            path = f"/servers/{chance.choice(mine)}"
            try:
                if chance.random() < 0.1:
                    named = {"server": {"name": f"web{chance.randrange(1000)}"}}
                    reply = self._cloud.call("PUT", path, named, version="2.96")
                else:
                    reply = self._cloud.call("POST", f"{path}/action", chance.choice(_ACTIONS), version="2.96")
            except httpx.TransportError:
                self.answers["unheard"] += 1
                self._ends.wait(_PATIENCE_SECONDS)
                continue
            self.answers[str(reply.status_code)] += 1
