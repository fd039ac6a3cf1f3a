"""The console as an ASGI application: signing in, pages, and the stream that keeps them live."""

import csv
import io
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kilonova.console.accounts import Login, Place
from kilonova.console.board import screen_address
from kilonova.console.client import Client
from kilonova.console.errors import CloudError
from kilonova.console.intake import Notices
from kilonova.console.web import filters
from kilonova.console.web.guards import guarded, is_ours, local, read_form
from kilonova.console.web.live import live
from kilonova.console.web.pages import PAGES, Page, everyones, usage_rows
from kilonova.console.web.rendering import render
from kilonova.console.web.sessions import Session, Sessions

_COOKIE: Final = "kilonova_console"
_LANGUAGE: Final = "kilonova_language"
_FILES: Final = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_TOLD_STATUSES: Final = (400, 403, 404, 409)
_AMOUNTS: Final = ("project", "name", "flavor", "servers", "hours", "vcpu_hours", "memory_mb_hours", "disk_gb_hours")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

Connect = Callable[[Login], Client]
Endpoint = Callable[[Request], Awaitable[Response]]


class Console:
    """The web console of one cloud; ``place`` says where that is, as whom is asked of who comes.

    ``notices`` is what is heard on the cloud's message bus, None where that is not listened to. ``asks_domain`` is for
    clouds that may have several domains of users.
    """

    def __init__(
        self,
        place: Place,
        *,
        connect: Connect = Client,
        clock: Callable[[], float] = time.monotonic,
        notices: Notices | None = None,
        asks_domain: bool = False,
    ) -> None:
        self._place = place
        self._asks_domain = asks_domain
        self._connect = connect
        self.sessions = Sessions(clock, notices)

    def application(self) -> Starlette:
        """What answers below ``/console``."""
        return Starlette(
            routes=[
                Route("/static/{name}", self._static),
                Route("/sign-in", self._sign_in_page),
                Route("/sign-in", _posted(self._sign_in), methods=["POST"]),
                Route("/sign-out", _posted(self._sign_out), methods=["POST"]),
                Route("/language", _posted(self._language), methods=["POST"]),
                Route("/filters", _posted(self._filters), methods=["POST"]),
                Route("/servers/{id}/screen", _posted(self._screen), methods=["POST"]),
                Route("/live", self._live),
                Route("/usage.csv", self._usage_csv),
                *(Route(page.path, self._shown(page)) for page in PAGES),
            ],
            exception_handlers={404: self._missing, 405: self._missing, Exception: self._broken},
        )

    async def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _FILES:
            return guarded(Response("not found", 404))
        content = resources.files(__package__).joinpath("static", name).read_bytes()
        return guarded(Response(content, media_type=_FILES[name]), {"Cache-Control": "max-age=300"})

    async def _sign_in_page(self, request: Request) -> Response:
        return self._html(request, None, "sign_in.html", self._signing_in(request.query_params.get("next", "/")))

    async def _sign_in(self, request: Request, form: Mapping[str, str]) -> Response:
        login = self._place.login(
            form.get("username", ""),
            form.get("password", ""),
            form.get("project", "") or None,
            domain=form.get("domain", "") if self._asks_domain else "",
        )
        onward = local(form.get("next", "/"))
        client = self._connect(login)
        try:
            person = await run_in_threadpool(client.sign_in)
        except CloudError as error:
            client.close()
            status = 401 if error.status is not None else 502
            return self._html(request, None, "sign_in.html", self._signing_in(onward, error.message), status=status)
        session = self.sessions.add(
            client, user=login.username, project=person.project_name or "", is_admin="admin" in person.roles
        )
        reply = RedirectResponse(f"{_root(request)}{onward}", 303)
        _keep(reply, request, _COOKIE, session.id)
        return guarded(reply)

    def _signing_in(self, onward: str, message: str = "") -> dict[str, Any]:
        domain = self._place.user_domain_name if self._asks_domain else None
        return {"message": message, "next": local(onward), "domain": domain}

    async def _sign_out(self, request: Request, form: Mapping[str, str]) -> Response:
        session = self._session(request)
        if session is not None and session.owns(form.get("form_token", "")):
            self.sessions.remove(session)
        return guarded(RedirectResponse(f"{_root(request)}/sign-in", 303))

    async def _language(self, request: Request, form: Mapping[str, str]) -> Response:
        reply = RedirectResponse(f"{_root(request)}{local(form.get('back', '/'))}", 303)
        _keep(reply, request, _LANGUAGE, "zh" if form.get("language") == "zh" else "en", seconds=filters.SECONDS)
        return guarded(reply)

    async def _filters(self, request: Request, form: Mapping[str, str]) -> Response:
        session = self._session(request)
        query = filters.query_of(form.get("query", ""))
        reply = RedirectResponse(f"{_root(request)}/servers?{query}", 303)
        if session is not None and session.owns(form.get("form_token", "")):
            kept = filters.read(request.cookies.get(filters.COOKIE))
            wanted = filters.changed(kept, name=form.get("name", ""), query=query, is_removed="remove" in form)
            _keep(reply, request, filters.COOKIE, filters.written(wanted), seconds=filters.SECONDS)
        return guarded(reply)

    async def _screen(self, request: Request, form: Mapping[str, str]) -> Response:
        """A page that leads on to a server's screen: forms may not, which is what keeps them from leading elsewhere."""
        session, server_id = self._session(request), request.path_params["id"]
        if session is None or not session.owns(form.get("form_token", "")):
            return guarded(RedirectResponse(f"{_root(request)}/servers/{quote(server_id, safe='')}", 303))
        try:
            address = await run_in_threadpool(screen_address, session.client, server_id)
        except CloudError as error:
            return self._trouble(request, session, error)
        reply = self._html(request, session, "screen.html", {"address": address})
        return guarded(reply, {"Refresh": f"0; url={address}"})

    async def _live(self, request: Request) -> Response:
        session = self._session(request)
        if session is None:
            return guarded(Response("sign in first", 401))
        server = request.query_params.get("server", "")
        return guarded(live(session.client, session.notices, server=server), {"X-Accel-Buffering": "no"})

    async def _usage_csv(self, request: Request) -> Response:
        session = self._session(request)
        if session is None:
            return self._to_sign_in(request)
        try:
            rows = await run_in_threadpool(usage_rows, session, _asked(request))
        except CloudError as error:
            return self._trouble(request, session, error)
        text = io.StringIO()
        table = csv.DictWriter(text, _AMOUNTS, extrasaction="ignore", lineterminator="\r\n")
        table.writeheader()
        table.writerows({name: _cell(row.get(name)) for name in _AMOUNTS} for row in rows)
        reply = Response(text.getvalue(), media_type="text/csv; charset=utf-8")
        return guarded(reply, {"Content-Disposition": 'attachment; filename="usage.csv"'})

    def _shown(self, page: Page) -> Endpoint:
        async def show(request: Request) -> Response:
            session = self._session(request)
            if session is None:
                return self._to_sign_in(request)
            asked = _asked(request)
            search = asked.get("q", "").strip()
            if page.path == "/servers" and search.startswith("req-"):
                return guarded(RedirectResponse(f"{_root(request)}/operations/{quote(search, safe='')}", 303))
            try:
                found = await run_in_threadpool(page.gather, session, asked)
            except CloudError as error:
                return self._trouble(request, session, error, page)
            command = page.command(asked, everyones(session, asked))
            kept = filters.read(request.cookies.get(filters.COOKIE))
            facts = {"here": page, "command": command, "query": request.url.query, "kept": kept, **found}
            return await run_in_threadpool(self._html, request, session, page.template, facts)

        return show

    def _trouble(self, request: Request, session: Session, error: CloudError, page: Page | None = None) -> Response:
        """What the cloud refused, in a page. Whom the cloud no longer knows has to sign in again."""
        if error.status == 401:
            self.sessions.remove(session)
            return self._to_sign_in(request)
        status = error.status if error.status in _TOLD_STATUSES else 502
        facts = {"here": page, "message": error.message, "status": status}
        return self._html(request, session, "trouble.html", facts, status=status)

    async def _missing(self, request: Request, _: Exception) -> Response:
        facts = {"message": "There is no such page.", "status": 404}
        return self._html(request, self._session(request), "trouble.html", facts, 404)

    async def _broken(self, request: Request, _: Exception) -> Response:
        """A defect of ours; whoever serves the application logs it."""
        message = "Something in the console itself is wrong; its log says more."
        return self._html(request, None, "trouble.html", {"message": message, "status": 500}, 500)

    def _session(self, request: Request) -> Session | None:
        return self.sessions.find(request.cookies.get(_COOKIE))

    def _to_sign_in(self, request: Request) -> Response:
        wanted = _path(request)
        onward = "?" + urlencode({"next": wanted}) if wanted != "/" else ""
        return guarded(RedirectResponse(f"{_root(request)}/sign-in{onward}", 303))

    def _html(
        self,
        request: Request,
        session: Session | None,
        template: str,
        found: Mapping[str, Any],
        status: int = 200,
    ) -> Response:
        language = request.cookies.get(_LANGUAGE) or _preferred(request.headers.get("accept-language", ""))
        facts = {"here": None, "command": "", "session": session, "root": _root(request), "language": language}
        text = render(template, {**facts, "back": _path(request), **found})
        return guarded(Response(text, status, media_type="text/html; charset=utf-8"))


def _posted(act: Callable[[Request, Mapping[str, str]], Awaitable[Response]]) -> Endpoint:
    """Acts on forms that a page of ours sent."""

    async def acting(request: Request) -> Response:
        form = await read_form(request)
        if not is_ours(request):
            return guarded(Response("This form was not sent by a page of this console.", 403))
        return await act(request, form)

    return acting


def _keep(reply: Response, request: Request, name: str, value: str, *, seconds: int | None = None) -> None:
    """Have the browser keep a value, and bring it with what is opened from elsewhere too: links to pages work so.

    Nothing but a form changes anything, and forms have their own guards.
    """
    reply.set_cookie(
        name,
        value,
        max_age=seconds,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
        path=_root(request) or "/",
    )


def _root(request: Request) -> str:
    root: str = request.scope["root_path"]
    return root


def _path(request: Request) -> str:
    """The page as it was asked for, below our root."""
    path = request.url.path.removeprefix(_root(request)) or "/"
    return local(f"{path}?{request.url.query}" if request.url.query else path)


def _cell(value: Any) -> Any:
    """A name is its maker's to choose: one that a spreadsheet would take for a formula is quoted."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _asked(request: Request) -> dict[str, str]:
    return {**dict(request.query_params), **request.path_params}


def _preferred(languages: str) -> str:
    return "zh" if languages.lower().startswith("zh") else "en"
