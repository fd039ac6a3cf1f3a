"""Images that hosts fetch before anybody boots them there (contract §2.3, from microversion 2.81).

What was asked for is done in the background, a host at a time, and told in the journal host by host. It is a favour:
what a restart cuts off is not resumed, and a boot fetches what it needs anyway.
"""

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from kilonova.domain.aggregates import Aggregate
from kilonova.domain.changes import Phase
from kilonova.domain.errors import KilonovaError, NotFound, NotSupported
from kilonova.domain.images import Image, ImageStatus
from kilonova.domain.model import Clock, Request
from kilonova.services.gallery import Gallery
from kilonova.store import aggregates
from kilonova.store.database import Database

_log = logging.getLogger(__name__)

OPERATION: Final = "cache_images"
"""Its name in the journal."""


class ImageHost(Protocol):
    """A host that can fetch images: its agent."""

    def cache_image(self, image: Image) -> bool:
        """Fetch it, unless it is there; True if it was not. Raises NotSupported where the driver has no cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    request: Request
    aggregate: Aggregate
    image_ids: tuple[str, ...]
    host: str
    index: int


class ImageCaching:
    """Takes wishes from the API, and carries them out in ``step``."""

    def __init__(self, database: Database, clock: Clock, gallery: Gallery, hosts: Mapping[str, ImageHost]) -> None:
        self._database = database
        self._clock = clock
        self._gallery = gallery
        self._hosts = hosts
        self._wishes: deque[_Wish] = deque()
        self._lock = threading.Lock()

    def ask(self, request: Request, aggregate_id: int, image_ids: Sequence[str]) -> None:
        """Have the hosts of an aggregate fetch images. Raises NotFound in Nova's words."""
        with self._database.read() as connection:
            aggregate = aggregates.get_aggregate(connection, aggregate_id)
        wish = _Wish(request=request, aggregate=aggregate, image_ids=tuple(image_ids), host="", index=0)
        self._tell(wish, Phase.START, {"images": list(image_ids)})
        wishes = [replace(wish, host=host, index=n) for n, host in enumerate(aggregate.hosts, start=1)]
        with self._lock:
            self._wishes.extend(wishes)
        if not wishes:
            self._tell(wish, Phase.END, {"images": list(image_ids)})

    def step(self) -> bool:
        """Have one host fetch what it is to; True if there was one."""
        with self._lock:
            wish = self._wishes.popleft() if self._wishes else None
        if wish is None:
            return False
        cached, failed = self._fetched(wish)
        total = len(wish.aggregate.hosts)
        progress = {"images_cached": cached, "images_failed": failed, "index": wish.index, "total": total}
        self._tell(wish, Phase.STEP, {"host": wish.host, **progress})
        if wish.index == total:
            self._tell(wish, Phase.END, {"images": list(wish.image_ids)})
        return True

    def _fetched(self, wish: _Wish) -> tuple[list[str], list[str]]:
        """The images that the host has now, and those that it could not get."""
        cached: list[str] = []
        failed: list[str] = []
        for image_id in wish.image_ids:
            try:
                self._fetch(wish, image_id)
                cached.append(image_id)
            except (KilonovaError, OSError) as error:
                _log.warning("Host %s could not cache image %s: %s", wish.host, image_id, error)
                failed.append(image_id)
        return cached, failed

    def _fetch(self, wish: _Wish, image_id: str) -> None:
        image = self._gallery.find_image(image_id, project_id=wish.request.project_id)
        if image is None or image.status is not ImageStatus.ACTIVE:
            raise NotFound(f"Image {image_id} could not be found.")
        host = self._hosts.get(wish.host)
        if host is None:
            raise NotSupported(f"The agent of host {wish.host} is not in this process.")
        host.cache_image(image)

    def _tell(self, wish: _Wish, phase: Phase, facts: Mapping[str, Any]) -> None:
        with self._database.transaction() as tx:
            aggregates.tell(
                tx,
                wish.aggregate,
                now=self._clock(),
                operation=OPERATION,
                phase=phase,
                request=wish.request,
                facts=facts,
            )
