"""A browser without scripts before the console of a house."""

import re
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from kilonova.console.accounts import Place
from kilonova.console.client import Client
from kilonova.console.intake import Notices
from kilonova.console.web import rendering
from kilonova.console.web.app import Console
from kilonova.console.web.sessions import Session
from kilonova.console.words import words
from kilonova.domain.model import Instant
from tests.plane.house import PASSWORD, House

AUTH = "http://cloud.test:8774/identity/v3"
CHINESE = {"accept-language": "zh-CN,zh;q=0.9"}


def untranslated(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Texts that pages asked for in Chinese, from now on, and that there are no words for."""
    unknown: set[str] = set()

    def strictly(text: str, language: str) -> str:
        assert language == "zh"
        unknown.update({text} - words("zh").keys())
        return words("zh").get(text, text)

    monkeypatch.setattr(rendering, "translated", strictly)
    return unknown


class Browser:
    """Pages and forms. ``elsewhere`` hides what only a Kilonova has: the console then stands before any Nova, and
    hears its message bus where there are ``notices``.

    The console has a clock of its own, with which the house's is made to agree: some minutes are left to pass.
    """

    def __init__(self, house: House, *, elsewhere: bool = False, notices: Notices | None = None) -> None:
        house.at = Instant(time.time_ns() // 1000 - 300_000_000)
        house.pass_seconds(1)
        self.seconds = 0.0
        self.transport = Counting(house.transport, hides="/state/" if elsewhere else None)
        console = Console(
            Place(auth_url=AUTH),
            connect=lambda login: Client(login, transport=self.transport),
            clock=lambda: self.seconds,
            notices=notices,
        )
        self.sessions = console.sessions
        self._http = TestClient(
            console.application(),
            base_url="http://console.test",
            follow_redirects=False,
            raise_server_exceptions=False,
        )

    def get(self, path: str, **how: Any) -> httpx2.Response:
        """Open a page."""
        return self._http.get(path, **how)

    def post(self, path: str, headers: dict[str, str] | None = None, **fields: str) -> httpx2.Response:
        """Send a form."""
        return self._http.post(path, data=fields, headers=headers)

    def sign_in(self, user: str = "admin", project: str = "demo", password: str = PASSWORD) -> httpx2.Response:
        """Come in."""
        return self.post("/sign-in", username=user, password=password, project=project)

    def page(self, path: str, **how: Any) -> str:
        """The text of a page that is there."""
        reply = self.get(path, **how)
        assert reply.status_code == 200, reply.text
        return reply.text

    def session(self) -> Session:
        """That of this browser."""
        found = self.sessions.find(self._http.cookies["kilonova_console"])
        assert found is not None
        return found

    def form_token(self) -> str:
        """What our own forms carry."""
        found = re.search(r'name="form_token" value="([^"]+)"', self.page("/explain"))
        assert found is not None
        return found[1]


class Counting(httpx2.BaseTransport):
    """Another transport, with what was asked; what is below ``hides`` is as on a server that has never heard of it.

    Once it ``breaks``, nothing is answered; ``meanwhile`` is done once while a question is under way.
    """

    def __init__(self, inner: httpx2.BaseTransport, *, hides: str | None = None) -> None:
        self._inner = inner
        self.hides = hides
        self.breaks = False
        self.meanwhile: Callable[[], None] | None = None
        self.asked: list[str] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass it on, or answer as an Apache would."""
        self.asked.append(f"{request.method} {request.url.path}")
        if self.meanwhile is not None:
            done, self.meanwhile = self.meanwhile, None
            done()
        if self.breaks:
            return httpx2.Response(503, json={"error": {"message": "the database is gone"}}, request=request)
        if self.hides is not None and request.url.path.startswith(self.hides):
            return httpx2.Response(404, text="<html>Not Found</html>", request=request)
        return self._inner.handle_request(request)
