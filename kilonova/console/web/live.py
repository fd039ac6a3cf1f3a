"""The stream that tells an open page that something changed, so that it looks again.

A Kilonova's journal is waited for. Any other cloud is looked at on a period, and at once where its message bus is heard
to tell something. No thread is held meanwhile.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx2
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from kilonova.console.client import BEYOND_ALL, Client
from kilonova.console.errors import CloudError, SignedOut
from kilonova.console.intake import Notices

_WAIT_SECONDS: Final = 15
_BLIND_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.5
"""Between two tellings: a page cannot be made anew faster than this."""
_BREATH_SECONDS: Final = 1.5
"""The least time between two tellings of what was heard."""
_MOST_KEYS: Final = 100
_READY: Final = "event: ready\ndata: {}\n\n"


def live(client: Client, notices: Notices | None = None, *, server: str = "") -> StreamingResponse:
    """Server-sent events: ``ready``, and ``changed`` with the keys of what changed.

    They end when the browser goes or its reader signs out. ``server`` is the one that the page is about: what is heard
    of others is no news there.
    """
    return StreamingResponse(changes(client, notices, server=server), media_type="text/event-stream")


async def changes(client: Client, notices: Notices | None = None, *, server: str = "") -> AsyncIterator[str]:
    """The events of the stream, one by one. The browser comes back when it ends, and then has to sign in."""
    yield "retry: 3000\n\n"
    try:
        if await run_in_threadpool(_has_journal, client):
            stream = _of_journal(client)
        else:
            stream = _blindly(client, await run_in_threadpool(_ear, client, notices, server))
        async for told in stream:
            yield told
    except SignedOut:
        return


async def _of_journal(client: Client) -> AsyncIterator[str]:
    """Whatever a Kilonova's journal tells, as soon as it does."""
    _, _, verify = await run_in_threadpool(client.waiting)
    async with httpx2.AsyncClient(timeout=_WAIT_SECONDS + 15, verify=verify) as http:
        last: int | None = None
        while True:
            try:
                answer = await _wait(client, http, last)
            except SignedOut:
                raise
            except (CloudError, httpx2.HTTPError, ValueError) as error:
                yield f"event: trouble\ndata: {json.dumps(_sentence(error))}\n\n"
                await asyncio.sleep(_BLIND_SECONDS)
                continue
            if last is None:
                # Whatever happened between the making of the page and now is in no later answer.
                yield _READY + _event([])
            else:
                yield _event(answer["events"]) if answer["events"] else ": still here\n\n"
            last = answer["head"] if last is None else answer["next"]
            await asyncio.sleep(_PAUSE_SECONDS)


class Ear:
    """Whether something was heard that a page may have to show: of one server, or of all that its reader may see."""

    def __init__(self, notices: Notices, *, project_id: str | None, server: str) -> None:
        self._notices = notices
        self._project_id = project_id
        self._server = server
        self._heard = notices.count

    def has_news(self) -> bool:
        """Whether there is anything since the last time that there was."""
        count = self._notices.count
        if count == self._heard:
            return False
        since, self._heard = self._heard, count
        return any(
            each.number > since and self._server in ("", each.server_id)
            for each in self._notices.newest(project_id=self._project_id)
        )


def _ear(client: Client, notices: Notices | None, server: str) -> Ear | None:
    if notices is None:
        return None
    person = client.sign_in_once()
    own = None if "admin" in person.roles else person.project_id or ""
    return Ear(notices, project_id=own, server=server)


async def _blindly(client: Client, ear: Ear | None) -> AsyncIterator[str]:
    """Now and then, and soon after something was heard; what it is, the page finds out by looking."""
    yield _READY
    while await _is_time_to_look(client, ear):
        yield _event([])
        # Every look asks a Nova a dozen things: a busy bus must not become a busy API.
        await asyncio.sleep(_BREATH_SECONDS)


async def _is_time_to_look(client: Client, ear: Ear | None) -> bool:
    """Wait until it is; never again once the client is closed."""
    waited = 0.0
    while client.is_open and waited < _BLIND_SECONDS and (ear is None or not ear.has_news()):
        await asyncio.sleep(_PAUSE_SECONDS)
        waited += _PAUSE_SECONDS
    return client.is_open


def _has_journal(client: Client) -> bool:
    try:
        return client.has_state()
    except CloudError:
        return False


async def _wait(client: Client, http: httpx2.AsyncClient, last: int | None) -> dict[str, Any]:
    """What came after the last number, as soon as there is something; the journal's end where there is no number."""
    url, headers, _ = await run_in_threadpool(client.waiting)
    query = {"after": BEYOND_ALL, "limit": 1} if last is None else {"after": last, "limit": 200, "wait": _WAIT_SECONDS}
    reply = await http.get(url, params=query, headers=headers)
    if reply.status_code == 401:
        # The token has run out: have a new one made by the next look.
        await run_in_threadpool(client.sign_in)
    if reply.is_error:
        raise CloudError(f"HTTP {reply.status_code}", status=reply.status_code)
    answer: dict[str, Any] = reply.json()
    return answer


def _sentence(error: Exception) -> str:
    return error.message if isinstance(error, CloudError) else "the cloud does not answer"


def _event(rows: list[dict[str, Any]]) -> str:
    keys = sorted({str(row.get("key")) for row in rows})
    return f"event: changed\ndata: {json.dumps(keys[:_MOST_KEYS])}\n\n"
