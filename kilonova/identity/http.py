"""Keystone v3 over HTTP: versions, tokens and the catalog; ``nouns`` has the accounts."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kilonova.asgi.app import mounted_app
from kilonova.domain.errors import Forbidden, NotFound, NotSupported
from kilonova.identity import nouns, people, roles
from kilonova.identity.accounts import Accounts
from kilonova.identity.call import Call, IdentityRoom, endpoint, envelope, forbidden, framed
from kilonova.identity.catalog import Catalog
from kilonova.identity.credentials import ApplicationCredentials
from kilonova.identity.embedded import EmbeddedIdentity
from kilonova.identity.granting import Granting
from kilonova.identity.signin import read_sign_in
from kilonova.identity.views import domain_view, listing, project_view, token_view, version_view


def identity_app(identity: EmbeddedIdentity, *, catalog: Catalog, public_url: str | None = None) -> Starlette:
    """The service as an ASGI application, to be mounted at ``/identity``.

    ``public_url`` is the scheme and host to hand out in links and in the catalog; by default those by which the
    client asked, so that the catalog works through any address.
    """
    accounts = Accounts(identity)
    room = IdentityRoom(
        identity=identity,
        accounts=accounts,
        granting=Granting(identity, accounts),
        credentials=ApplicationCredentials(identity, accounts),
        catalog=catalog,
        public_url=public_url,
    )
    table = (*_ROUTES, *nouns.ROUTES, *people.ROUTES, *roles.ROUTES)
    routes = [Route(path, endpoint(handler, room), methods=[method]) for method, path, handler in table]
    return mounted_app(routes, _unrouted)


def _unrouted(_: Request, error: Exception) -> Response:
    status = HTTPStatus(error.status_code) if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        text = "The method is not allowed for the requested URL."
    else:
        text = "The resource could not be found."
    return framed(envelope(status, text))


def _versions(call: Call) -> Response:
    body = {"versions": {"values": [version_view(call.here)]}}
    return JSONResponse(body, status_code=300, headers={"Location": f"{call.here}/v3/"})


def _version(call: Call) -> Response:
    return JSONResponse({"version": version_view(call.here)})


def _sign_in(call: Call) -> Response:
    token, session = call.room.identity.sign_in(read_sign_in(call.body))
    body = token_view(session, _catalog_part(call))
    return JSONResponse(body, status_code=201, headers={"X-Subject-Token": token})


def _show_token(call: Call) -> Response:
    token = _subject(call, "validate_token")
    session = call.room.identity.show(token)
    return JSONResponse(token_view(session, _catalog_part(call)), headers={"X-Subject-Token": token})


def _revoke_token(call: Call) -> Response:
    call.room.identity.revoke(_subject(call, "revoke_token"))
    return Response(status_code=204)


def _subject(call: Call, action: str) -> str:
    """The token that is asked about: one's own, any of one's own, or for administrators and services any."""
    caller = call.caller()
    subject = call.request.headers.get("x-subject-token")
    if not subject:
        raise NotFound("Could not find token.")
    may_all = caller.administers_identity or (action == "validate_token" and "service" in caller.roles)
    if subject == call.token or may_all:
        return subject
    if call.room.identity.show(subject).user.id != caller.user_id:
        raise forbidden(action)
    return subject


def _auth_projects(call: Call) -> Response:
    projects = call.room.accounts.list_projects_of(call.caller().user_id)
    views = [project_view(project, call.here) for project in projects if project.enabled]
    return JSONResponse(listing("projects", views, f"{call.here}/v3/auth/projects"))


def _auth_domains(call: Call) -> Response:
    """Domains on which the caller has a role."""
    domains = call.room.accounts.list_domains_of(call.caller().user_id)
    views = [domain_view(domain, call.here) for domain in domains if domain.enabled]
    return JSONResponse(listing("domains", views, f"{call.here}/v3/auth/domains"))


def _auth_system(call: Call) -> Response:
    """Whether the caller has a role on the system."""
    grants = call.room.identity.sessions.grants_of(call.caller().user_id)
    views = [{"all": True}] if any(grant.is_system for grant in grants) else []
    return JSONResponse(listing("system", views, f"{call.here}/v3/auth/system"))


def _auth_catalog(call: Call) -> Response:
    caller = call.caller()
    if caller.project_id is None and caller.domain_id is None and not caller.is_system:
        raise Forbidden("An unscoped token has no service catalog; ask for a token of a project.")
    view = call.room.catalog.as_token_part(call.base)
    return JSONResponse(listing("catalog", view, f"{call.here}/v3/auth/catalog"))


def _catalog_part(call: Call) -> list[dict[str, object]] | None:
    return None if call.asks("nocatalog") else call.room.catalog.as_token_part(call.base)


def _services(call: Call) -> Response:
    call.admin("list_services")
    services = call.room.catalog.list_services()
    views = [view for view in services if call.query("type") in (None, view["type"])]
    views = [view for view in views if call.query("name") in (None, view["name"])]
    return JSONResponse(listing("services", views, f"{call.here}/v3/services"))


def _service(call: Call) -> Response:
    call.admin("get_service")
    return _one(call, "service", call.room.catalog.list_services())


def _endpoints(call: Call) -> Response:
    call.admin("list_endpoints")
    endpoints = call.room.catalog.list_endpoints(call.base)
    for key in ("interface", "service_id", "region_id"):
        endpoints = [view for view in endpoints if call.query(key) in (None, view[key])]
    return JSONResponse(listing("endpoints", endpoints, f"{call.here}/v3/endpoints"))


def _endpoint(call: Call) -> Response:
    call.admin("get_endpoint")
    return _one(call, "endpoint", call.room.catalog.list_endpoints(call.base))


def _regions(call: Call) -> Response:
    call.caller()
    return JSONResponse(listing("regions", call.room.catalog.list_regions(), f"{call.here}/v3/regions"))


def _region(call: Call) -> Response:
    call.caller()
    return _one(call, "region", call.room.catalog.list_regions())


def _fixed(call: Call) -> Response:
    call.admin("update_endpoint")
    raise NotSupported("The catalog is made from the settings when the cloud starts; it is not changed here.")


def _one(call: Call, noun: str, views: list[dict[str, object]]) -> Response:
    wanted = call.path("id")
    for view in views:
        if view["id"] == wanted:
            return JSONResponse({noun: view})
    raise NotFound(f"Could not find {noun}: {wanted}.")


_ROUTES: Final[tuple[tuple[str, str, Callable[[Call], Response]], ...]] = (
    ("GET", "/", _versions),
    ("GET", "/v3", _version),
    ("GET", "/v3/", _version),
    ("POST", "/v3/auth/tokens", _sign_in),
    ("GET", "/v3/auth/tokens", _show_token),
    ("DELETE", "/v3/auth/tokens", _revoke_token),
    ("GET", "/v3/auth/projects", _auth_projects),
    ("GET", "/v3/auth/domains", _auth_domains),
    ("GET", "/v3/auth/system", _auth_system),
    ("GET", "/v3/auth/catalog", _auth_catalog),
    ("GET", "/v3/services", _services),
    ("GET", "/v3/services/{id}", _service),
    ("GET", "/v3/endpoints", _endpoints),
    ("GET", "/v3/endpoints/{id}", _endpoint),
    ("GET", "/v3/regions", _regions),
    ("GET", "/v3/regions/{id}", _region),
    *(("POST", f"/v3/{noun}", _fixed) for noun in ("services", "endpoints", "regions")),
    *(
        (method, f"/v3/{noun}/{{id}}", _fixed)
        for noun in ("services", "endpoints", "regions")
        for method in ("PATCH", "PUT", "DELETE")
    ),
)
