"""The image service in a process of its own: its state directory is the argument, its port is the first line."""

import socket
import sys
import time
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from kilonova.domain.model import Instant
from kilonova.images.embedded import EmbeddedImages
from kilonova.images.http import image_app
from kilonova.store.database import Database
from kilonova.store.images import StoredImages
from tests.plane.gallery import BadgeReader


def main() -> None:
    """Serve until killed."""
    state = Path(sys.argv[1])
    database = Database(f"sqlite:///{state / 'state.db'}")
    database.open()
    images = EmbeddedImages(StoredImages(database), state / "images", clock=lambda: Instant(time.time_ns() // 1000))
    images.recover()
    app = Starlette(routes=[Mount("/image", image_app(images, identity=BadgeReader()))])
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
