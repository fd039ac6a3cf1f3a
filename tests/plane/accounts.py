"""An identity service under test, with a clock that stands until it is moved."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Mount

from kilonova.domain.model import SECOND, Instant
from kilonova.identity.catalog import Catalog
from kilonova.identity.embedded import EmbeddedIdentity
from kilonova.identity.first_start import Bootstrapped, bootstrap_identity
from kilonova.identity.http import identity_app
from kilonova.store.database import Database
from kilonova.store.identity import StoredIdentity
from tests.plane.asgi_client import AsgiClient

PASSWORD = "correct horse"
FIRST = Instant(1_795_352_400 * SECOND)


@dataclass(kw_only=True)
class Cloud:
    """The service under test, with a clock that stands until it is moved."""

    path: Path
    now: Instant = FIRST
    client: AsgiClient = field(init=False)
    identity: EmbeddedIdentity = field(init=False)
    ids: Bootstrapped = field(init=False)
    database: Database = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.database = Database(f"sqlite:///{self.path / 'state.db'}")
        self.database.open()
        records = StoredIdentity(self.database)
        self.ids = bootstrap_identity(records, password=PASSWORD)
        self.identity = EmbeddedIdentity(records, clock=lambda: self.now)
        app = Starlette(routes=[Mount("/identity", identity_app(self.identity, catalog=Catalog()))])
        self.client = AsgiClient(app)

    def pass_seconds(self, seconds: float) -> None:
        self.now = Instant(self.now + round(seconds * SECOND))

    def sign_in(self, user: str = "admin", password: str = PASSWORD, *, project: str | None = "demo") -> Any:
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": user, "domain": {"id": "default"}, "password": password}},
        }
        return self.request_token(identity, project=project)

    def request_token(self, identity: dict[str, Any], *, project: str | None) -> Any:
        scope = {"project": {"name": project, "domain": {"name": "Default"}}} if project else "unscoped"
        return self.client("POST", "/identity/v3/auth/tokens", json={"auth": {"identity": identity, "scope": scope}})

    def rescope(self, token: str, *, project: str | None) -> Any:
        return self.request_token({"methods": ["token"], "token": {"id": token}}, project=project)

    def admin(self) -> AsgiClient:
        return self.client.as_(self.token())

    def token(self, user: str = "admin", password: str = PASSWORD, *, project: str | None = "demo") -> str:
        response = self.sign_in(user, password, project=project)
        assert response.status_code == 201, response.text
        return str(response.headers["x-subject-token"])

    def add_member(self, name: str = "ada", password: str = "lovelace", role: str = "member") -> str:
        admin = self.admin()
        user = {"user": {"name": name, "password": password}}
        user_id = str(admin("POST", "/identity/v3/users", json=user).json()["user"]["id"])
        assert admin("PUT", self.grant_path(user_id, role)).status_code == 204
        return user_id

    def grant_path(self, user_id: str, role: str = "member") -> str:
        role_id = next(found.id for found in self.identity.records.list_roles() if found.name == role)
        return f"/identity/v3/projects/{self.ids.demo_project_id}/users/{user_id}/roles/{role_id}"
