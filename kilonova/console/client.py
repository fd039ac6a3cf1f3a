"""A client of one cloud: signs in, finds the compute service, and asks it. Where it is a Kilonova, that too."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from kilonova.console.accounts import Login
from kilonova.console.errors import CloudError, SignedOut

BEYOND_ALL: Final = 2**53
"""A number beyond all that a journal ever gives."""
_SECONDS: Final = 30.0
_COMPUTE: Final = "/compute"
_VERSION: Final = "latest"
_DOUBT_SECONDS: Final = 60.0
"""How long a cloud without ``/state/v1`` is taken for one before it is asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who a login is, as the identity service says."""

    user_id: str
    project_id: str | None
    project_name: str | None
    roles: frozenset[str]


class Client:
    """Calls on behalf of one login. Signs in at the first call, and again where the token has run out."""

    def __init__(self, login: Login, *, transport: httpx2.BaseTransport | None = None) -> None:
        self._login = login
        self._http = httpx2.Client(timeout=_SECONDS, verify=login.verify, transport=transport)
        self._token: str | None = None
        self._compute = ""
        self._person: Person | None = None
        self._has_state: bool | None = None
        self._doubted_at = 0.0

    def close(self) -> None:
        """Let go of the connections: whoever still asks is told SignedOut."""
        self._http.close()

    @property
    def is_open(self) -> bool:
        """Whether this was not closed yet."""
        return not self._http.is_closed

    def sign_in(self) -> Person:
        """Sign in now, and say as whom. CloudError where that is refused.

        Until that is done, and where it is refused, whoever asks in another thread does so with the token of before.
        """
        if self._http.is_closed:
            raise SignedOut
        reply = self._ask("POST", f"{self._login.auth_url}/auth/tokens", json={"auth": _auth(self._login)})
        if reply.is_error:
            source = f" with {self._login.source}" if self._login.source else ""
            raise CloudError(f"Signing in{source} failed: {_told(reply)}", status=reply.status_code)
        token = reply.json()["token"]
        self._compute = _endpoint(token.get("catalog") or [], self._login)
        project = token.get("project") or {}
        person = Person(
            user_id=token["user"]["id"],
            project_id=project.get("id"),
            project_name=project.get("name"),
            roles=frozenset(role["name"] for role in token.get("roles", [])),
        )
        self._token, self._person = reply.headers["X-Subject-Token"], person
        return person

    def sign_in_once(self) -> Person:
        """As whom this login is signed in; signs in where it is not yet."""
        return self._ensure_token()

    def compute(self, path: str, *, version: str = _VERSION, **query: Any) -> Any:
        """What Nova's API answers at a path such as ``/servers/detail``, parsed. CloudError for a refusal."""
        return self._call("GET", lambda: self._compute + path, query, None, version=version).json()

    def order(self, path: str, body: Any, *, version: str = _VERSION) -> Any:
        """What Nova's API answers to a POST of the body, parsed. CloudError for a refusal."""
        return self._call("POST", lambda: self._compute + path, {}, body, version=version).json()

    def has_state(self) -> bool:
        """Whether this cloud has ``/state/v1``: asked once, and again after a minute where it had not."""
        if self._has_state or (self._has_state is False and time.monotonic() - self._doubted_at < _DOUBT_SECONDS):
            return self._has_state
        try:
            answer = self.state("/events", after=BEYOND_ALL, limit=1)
            self._has_state = isinstance(answer, dict) and "head" in answer
        except (CloudError, ValueError) as error:
            if isinstance(error, CloudError) and error.status == 401:
                raise
            self._has_state = False
        self._doubted_at = time.monotonic()
        return self._has_state

    def state_address(self) -> str:
        """Where ``/state/v1`` of this cloud is, as the catalogue has it. CloudError where there is none."""
        self._ensure_token()
        return self._state_root()

    def waiting(self) -> tuple[str, dict[str, str], bool | str]:
        """How to wait for events by other means than this client: address, headers, and what is verified."""
        address = self.state_address()
        return f"{address}/events", {"X-Auth-Token": self._token or ""}, self._login.verify

    def state(self, path: str, *, method: str = "GET", body: Any = None, **query: Any) -> Any:
        """What Kilonova's own surface answers at a path below ``/state/v1``, None for an empty answer.

        CloudError where there is none.
        """
        reply = self._call(method, lambda: self._state_root() + path, query, body)
        return reply.json() if reply.content else None

    def get_project(self, name: str) -> str:
        """The id of a project by its name or id. CloudError where there is none, or several are called so."""
        known = self.list_projects()
        found = [id for id, called in known.items() if name in (id, called)]
        if len(found) > 1:
            raise CloudError(f"Several projects are called {name!r}; say which by its id.")
        if not found:
            raise CloudError(f"There is no project {name!r} that this login may see.")
        return found[0]

    def list_projects(self) -> dict[str, str]:
        """Names by id, of all projects where the login may see them, else of those that it has a role on."""
        for path in ("/projects", "/auth/projects"):
            try:
                answer = self._identity(path)
            except CloudError as error:
                if error.status != 403:
                    raise
            else:
                return {each["id"]: each["name"] for each in answer["projects"]}
        return {}

    def _identity(self, path: str) -> Any:
        return self._call("GET", lambda: self._login.auth_url + path, {}, None).json()

    def _state_root(self) -> str:
        parts = urlsplit(self._compute)
        before, found, _ = parts.path.partition(_COMPUTE)
        if not found:
            raise CloudError("This cloud is no Kilonova: it has no /state/v1.")
        return f"{parts.scheme}://{parts.netloc}{before}/state/v1"

    def _call(
        self, method: str, url: Callable[[], str], query: Mapping[str, Any], body: Any, *, version: str = _VERSION
    ) -> httpx2.Response:
        """Ask; ``url`` is called once the catalogue is known. Signs in anew where the token has run out."""
        self._ensure_token()
        params = {name: value for name, value in query.items() if value is not None}
        how: dict[str, Any] = {"params": params, "json": body}
        reply = self._send(method, url(), version, how)
        if reply.status_code == 401:
            self.sign_in()
            reply = self._send(method, url(), version, how)
        if reply.is_error:
            raise CloudError(_told(reply), status=reply.status_code)
        return reply

    def _send(self, method: str, url: str, version: str, how: dict[str, Any]) -> httpx2.Response:
        headers = {"X-Auth-Token": self._token or "", "OpenStack-API-Version": f"compute {version}"}
        return self._ask(method, url, headers=headers, **how)

    def _ensure_token(self) -> Person:
        if self._http.is_closed:
            raise SignedOut
        if self._token is not None and self._person is not None:
            return self._person
        return self.sign_in()

    def _ask(self, method: str, url: str, **how: Any) -> httpx2.Response:
        try:
            return self._http.request(method, url, **how)
        except (httpx2.HTTPError, httpx2.InvalidURL, RuntimeError) as error:
            if self._http.is_closed:
                raise SignedOut from error
            if isinstance(error, RuntimeError):
                raise
            raise CloudError(f"{url} does not answer: {error}") from error


def _auth(login: Login) -> dict[str, Any]:
    user = {"name": login.username, "password": login.password, "domain": {"name": login.user_domain_name}}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
    if login.project_id:
        auth["scope"] = {"project": {"id": login.project_id}}
    elif login.project_name:
        auth["scope"] = {"project": {"name": login.project_name, "domain": {"name": login.project_domain_name}}}
    return auth


def _endpoint(catalog: list[dict[str, Any]], login: Login) -> str:
    for service in catalog:
        if service.get("type") != "compute":
            continue
        for endpoint in service.get("endpoints", []):
            is_ours = login.region_name in (None, endpoint.get("region"), endpoint.get("region_id"))
            if endpoint.get("interface") == login.interface and is_ours:
                return str(endpoint["url"]).rstrip("/")
    raise CloudError("The catalogue has no compute service for this login; is a project named?")


def _told(reply: httpx2.Response) -> str:
    """The message of an error body, whatever its key is."""
    try:
        document = reply.json()
    except ValueError:
        return f"HTTP {reply.status_code}"
    faults = document.values() if isinstance(document, dict) else ()
    texts = [fault["message"] for fault in faults if isinstance(fault, dict) and "message" in fault]
    return str(texts[0]) if texts else f"HTTP {reply.status_code}"
