"""An image service under test, with people of three projects to ask it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Mount

from kilonova.domain.errors import Unauthenticated
from kilonova.domain.model import Instant
from kilonova.images.embedded import EmbeddedImages
from kilonova.images.http import image_app
from kilonova.images.seam import Viewer
from kilonova.store.database import Database
from kilonova.store.images import StoredImages
from tests.plane.asgi_client import AsgiClient

DISK = b"\xeb\xfe" + bytes(510)
OCTETS = {"Content-Type": "application/octet-stream"}
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


@dataclass(frozen=True, kw_only=True)
class Badge:
    """A viewer, as the identity service would tell of one."""

    project_id: str | None
    roles: frozenset[str]
    is_admin: bool = False


BADGES = {
    "admin": Badge(project_id="admins", roles=frozenset({"admin", "manager", "member", "reader"}), is_admin=True),
    "ada": Badge(project_id="web", roles=frozenset({"member", "reader"})),
    "rita": Badge(project_id="web", roles=frozenset({"reader"})),
    "eve": Badge(project_id="other", roles=frozenset({"member", "reader"})),
    "stray": Badge(project_id=None, roles=frozenset()),
}


class BadgeReader:
    """The fake at the seam to identity: a token is a name."""

    def authenticate(self, token: str) -> Viewer:
        if token not in BADGES:
            raise Unauthenticated("nobody")
        return BADGES[token]


@dataclass(kw_only=True)
class Gallery:
    """The service under test; its clock moves by a second a look."""

    path: Path
    most_bytes: int | None = 64 << 20
    ticks: int = 1_795_352_400_000_000
    database: Database = field(init=False)
    images: EmbeddedImages = field(init=False)
    client: AsgiClient = field(init=False)

    def __post_init__(self) -> None:
        self.database = Database(f"sqlite:///{self.path / 'state.db'}")
        self.database.open()
        self.start()

    def start(self) -> None:
        records = StoredImages(self.database)
        self.images = EmbeddedImages(records, self.path / "images", clock=self.tick, most_bytes=self.most_bytes)
        app = Starlette(routes=[Mount("/image", image_app(self.images, identity=BadgeReader()))])
        self.client = AsgiClient(app)

    def tick(self) -> Instant:
        self.ticks += 1_000_000
        return Instant(self.ticks)

    def as_(self, name: str) -> AsgiClient:
        return self.client.as_(name)

    def create(self, name: str = "ada", **attributes: Any) -> str:
        wanted = {"name": "disk", "disk_format": "raw", "container_format": "bare"} | attributes
        response = self.as_(name)("POST", "/image/v2/images", json=wanted)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    def upload(self, image_id: str, data: bytes = DISK, name: str = "ada") -> Any:
        return self.as_(name)("PUT", f"/image/v2/images/{image_id}/file", content=data, headers=OCTETS)

    def create_with_data(self, name: str = "ada", **attributes: Any) -> str:
        image_id = self.create(name, **attributes)
        assert self.upload(image_id, name=name).status_code == 204
        return image_id

    def show(self, image_id: str, name: str = "ada") -> dict[str, Any]:
        shown: dict[str, Any] = self.as_(name)("GET", f"/image/v2/images/{image_id}").json()
        return shown

    def names(self, query: str = "", name: str = "ada") -> list[str]:
        response = self.as_(name)("GET", f"/image/v2/images?{query}")
        assert response.status_code == 200, response.text
        return [image["name"] for image in response.json()["images"]]

    def files(self) -> list[str]:
        return sorted(path.name for path in (self.path / "images").iterdir())
