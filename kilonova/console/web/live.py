"""The stream that tells an open page that something changed, so that it looks again.

A Kilonova's journal is asked what came after the last look; any other cloud is looked at on a period.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from kilonova.console.client import Client
from kilonova.console.errors import CloudError

_SECONDS: Final = 1.0
_BLIND_SECONDS: Final = 10.0
_HEARTBEAT_LOOKS: Final = 15


def live(client: Client) -> StreamingResponse:
    """Server-sent events: ``changed`` with the keys of what changed, until the browser goes."""
    return StreamingResponse(_changes(client), media_type="text/event-stream")


async def _changes(client: Client) -> AsyncIterator[str]:
    last = await run_in_threadpool(_head, client)
    looks = 0
    while True:
        await asyncio.sleep(_BLIND_SECONDS if last is None else _SECONDS)
        looks += 1
        if last is None:
            yield _event([])
            continue
        try:
            answer = await run_in_threadpool(_since, client, last)
        except CloudError as error:
            yield f"event: trouble\ndata: {json.dumps(error.message)}\n\n"
            continue
        if answer["events"]:
            last = answer["next"]
            yield _event(answer["events"])
        elif looks % _HEARTBEAT_LOOKS == 0:
            yield ": still here\n\n"


def _head(client: Client) -> int | None:
    """The journal's last number; None where there is no journal."""
    try:
        return int(client.state("/events", after=2**53, limit=1)["head"])
    except CloudError:
        return None


def _since(client: Client, last: int) -> dict[str, Any]:
    answer: dict[str, Any] = client.state("/events", after=last, limit=200)
    return answer


def _event(rows: list[dict[str, Any]]) -> str:
    keys = sorted({str(row.get("key")) for row in rows})
    return f"event: changed\ndata: {json.dumps(keys[:100])}\n\n"
