"""The console as an ASGI application: signing in, pages, and the stream that keeps them live.

Every reply forbids whatever the page does not need: no script but our own file, no frame, no form to elsewhere.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kilonova.console.accounts import Login
from kilonova.console.client import Client
from kilonova.console.errors import CloudError
from kilonova.console.web.live import live
from kilonova.console.web.pages import PAGES, Page, render
from kilonova.console.web.sessions import Session, Sessions

_COOKIE: Final = "kilonova_console"
_MOST_FORM_BYTES: Final = 16 * 1024
_GUARDS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_FILES: Final = {"console.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8"}

Connect = Callable[[Login], Client]
Endpoint = Callable[[Request], Awaitable[Response]]


class Console:
    """The web console of one cloud, whose identity service is at ``auth_url``."""

    def __init__(
        self, auth_url: str, *, connect: Connect = Client, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._auth_url = auth_url
        self._connect = connect
        self.sessions = Sessions(clock)

    def application(self) -> Starlette:
        """What answers below ``/console``."""
        return Starlette(
            routes=[
                Route("/static/{name}", self._static),
                Route("/sign-in", self._sign_in_page),
                Route("/sign-in", self._sign_in, methods=["POST"]),
                Route("/sign-out", self._sign_out, methods=["POST"]),
                Route("/language", self._language, methods=["POST"]),
                Route("/live", self._live),
                *(Route(page.path, self._shown(page)) for page in PAGES),
            ],
            exception_handlers={404: self._missing},
        )

    async def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _FILES:
            return self._guarded(Response("not found", 404))
        content = resources.files(__package__).joinpath("static", name).read_bytes()
        return self._guarded(Response(content, media_type=_FILES[name]), {"Cache-Control": "max-age=300"})

    async def _sign_in_page(self, request: Request) -> Response:
        return self._html(request, None, "sign_in.html", {"message": ""})

    async def _sign_in(self, request: Request) -> Response:
        form = await _form(request)
        login = Login(
            auth_url=self._auth_url,
            username=form.get("username", ""),
            password=form.get("password", ""),
            project_name=form.get("project", "") or None,
        )
        client = self._connect(login)
        try:
            person = await run_in_threadpool(client.sign_in)
        except CloudError as error:
            client.close()
            return self._html(request, None, "sign_in.html", {"message": error.message}, status=401)
        session = self.sessions.add(
            client, user=login.username, project=person.project_name or "", is_admin="admin" in person.roles
        )
        reply = RedirectResponse(f"{request.scope['root_path']}/", 303)
        reply.set_cookie(
            _COOKIE,
            session.id,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
            path=request.scope["root_path"] or "/",
        )
        return self._guarded(reply)

    async def _sign_out(self, request: Request) -> Response:
        session = self._session(request)
        form = await _form(request)
        if session is not None and session.owns(form.get("form_token", "")):
            self.sessions.remove(session)
        return self._guarded(RedirectResponse(f"{request.scope['root_path']}/sign-in", 303))

    async def _language(self, request: Request) -> Response:
        form = await _form(request)
        reply = RedirectResponse(f"{request.scope['root_path']}/", 303)
        reply.set_cookie("kilonova_language", "zh" if form.get("language") == "zh" else "en", samesite="strict")
        return self._guarded(reply)

    async def _live(self, request: Request) -> Response:
        session = self._session(request)
        if session is None:
            return self._guarded(Response("sign in first", 401))
        return self._guarded(live(session.client))

    def _shown(self, page: Page) -> Endpoint:
        async def show(request: Request) -> Response:
            session = self._session(request)
            if session is None:
                return self._guarded(RedirectResponse(f"{request.scope['root_path']}/sign-in", 303))
            try:
                found = await run_in_threadpool(page.gather, session, _asked(request))
            except CloudError as error:
                status = error.status if error.status in (403, 404) else 502
                return self._html(request, session, "trouble.html", {"message": error.message}, status=status)
            return self._html(request, session, page.template, {"here": page, **found})

        return show

    async def _missing(self, request: Request, _: Exception) -> Response:
        return self._html(request, self._session(request), "trouble.html", {"message": "There is no such page."}, 404)

    def _session(self, request: Request) -> Session | None:
        return self.sessions.find(request.cookies.get(_COOKIE))

    def _html(
        self,
        request: Request,
        session: Session | None,
        template: str,
        found: Mapping[str, Any],
        status: int = 200,
    ) -> Response:
        language = request.cookies.get("kilonova_language") or _preferred(request.headers.get("accept-language", ""))
        text = render(template, {**found, "session": session, "root": request.scope["root_path"], "language": language})
        return self._guarded(Response(text, status, media_type="text/html; charset=utf-8"))

    @staticmethod
    def _guarded(reply: Response, more: Mapping[str, str] | None = None) -> Response:
        for name, value in {**_GUARDS, **(more or {})}.items():
            reply.headers[name] = value
        return reply


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; of one that is too large, none."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_FORM_BYTES:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=20)
    return {name: values[-1] for name, values in fields.items()}


def _asked(request: Request) -> dict[str, str]:
    return {**dict(request.query_params), **request.path_params}


def _preferred(languages: str) -> str:
    return "zh" if languages.lower().startswith("zh") else "en"
