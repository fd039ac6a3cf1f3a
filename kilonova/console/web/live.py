"""The stream that tells an open page that something changed, so that it looks again.

A Kilonova's journal is waited for; any other cloud is looked at on a period. No thread is held meanwhile.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx2
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from kilonova.console.client import Client
from kilonova.console.errors import CloudError

_WAIT_SECONDS: Final = 15
_BLIND_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.5
"""Between two tellings: a page cannot be made anew faster than this."""
_MOST_KEYS: Final = 100
_READY: Final = "event: ready\ndata: {}\n\n"


def live(client: Client) -> StreamingResponse:
    """Server-sent events: ``ready``, and ``changed`` with the keys of what changed, until the browser goes."""
    return StreamingResponse(_changes(client), media_type="text/event-stream")


async def _changes(client: Client) -> AsyncIterator[str]:
    yield "retry: 3000\n\n"
    if not await run_in_threadpool(_has_journal, client):
        async for told in _blindly():
            yield told
        return
    _, _, verify = await run_in_threadpool(client.waiting)
    async with httpx2.AsyncClient(timeout=_WAIT_SECONDS + 15, verify=verify) as http:
        last: int | None = None
        while True:
            try:
                answer = await _wait(client, http, last)
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


async def _blindly() -> AsyncIterator[str]:
    yield _READY
    while True:
        await asyncio.sleep(_BLIND_SECONDS)
        yield _event([])


def _has_journal(client: Client) -> bool:
    try:
        return client.has_state()
    except CloudError:
        return False


async def _wait(client: Client, http: httpx2.AsyncClient, last: int | None) -> dict[str, Any]:
    """What came after the last number, as soon as there is something; the journal's end where there is no number."""
    url, headers, _ = await run_in_threadpool(client.waiting)
    query = {"after": 2**53, "limit": 1} if last is None else {"after": last, "limit": 200, "wait": _WAIT_SECONDS}
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
