"""What every surface of the API shares: requests are read within bounds, answered in a pool, logged, and never lost."""

import asyncio
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import perf_counter_ns
from typing import Final
from urllib.parse import quote

from kilonova.api.errors import refused
from kilonova.api.http import (
    MAX_BODY_BYTES,
    Incoming,
    Receive,
    Reply,
    Scope,
    Send,
    global_request_id,
    new_request_id,
    read_request,
    send_reply,
    target_of,
)
from kilonova.api.outlet import flow
from kilonova.domain.errors import KilonovaError

_log: Final = logging.getLogger("kilonova.api")
_SECRET: Final = re.compile(r"(?<=/os-console-auth-tokens/).+", re.DOTALL)
"""What of a path opens something to whoever has it: it is not for the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a request will be answered. ``is_quick``: in microseconds, so that it needs no thread of its own.

    ``shows_request_id`` is false for the few documents that Nova serves in front of its pipeline.
    """

    answer: Callable[[], Reply]
    is_quick: bool = False
    shows_request_id: bool = True


class Frame:
    """Runs plans. ``threads`` bounds how many requests are worked on at once; more wait their turn.

    Who takes nothing of a stream for ``patience_seconds`` is disconnected.
    """

    def __init__(
        self,
        *,
        threads: int = 8,
        link_prefix: str | None = None,
        max_body: int = MAX_BODY_BYTES,
        patience_seconds: float = 30.0,
    ) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="api")
        self._link_prefix = link_prefix
        self._max_body = max_body
        self._patience_seconds = patience_seconds

    async def serve(self, plan: Callable[[Incoming], Plan], scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request with what ``plan`` says."""
        started, request_id = perf_counter_ns(), new_request_id()
        try:
            incoming = await read_request(
                scope, receive, request_id=request_id, link_prefix=self._link_prefix, max_body=self._max_body
            )
        except ConnectionAbortedError:
            return
        except KilonovaError as error:
            planned = Plan(answer=partial(refused, error), is_quick=True)
        else:
            planned = plan(incoming)
        reply = await self._answered(planned, request_id)
        await send_reply(send, reply, request_id if planned.shows_request_id else None)
        _note(scope, reply, request_id, (perf_counter_ns() - started) // 1000)
        if reply.stream is not None:
            ended = await flow(reply.stream, receive, send, patience_seconds=self._patience_seconds)
            _log.info("stream of %s: %s", request_id, ended, extra={"request_id": request_id})

    async def _answered(self, planned: Plan, request_id: str) -> Reply:
        if planned.is_quick:
            return safely(planned.answer, request_id)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, safely, planned.answer, request_id)

    def close(self) -> None:
        """Let what is being answered end, and end the threads."""
        self._pool.shutdown()


def safely(answer: Callable[[], Reply], request_id: str) -> Reply:
    """The answer, or the reply to the error that it ended in; one that nobody foresaw is logged whole."""
    try:
        return answer()
    except Exception as error:  # noqa: BLE001  whatever it was, the caller gets a reply and the operator a record
        return complaint(error, request_id)


def complaint(error: Exception, request_id: str) -> Reply:
    """The reply to an error; what nobody foresaw, and what the operator should know, goes to the log as well."""
    reply = refused(error)
    if reply.status == 500:
        _log.error("request %s failed", request_id, exc_info=error, extra={"request_id": request_id})
    elif reply.status >= 503:
        _log.warning("request %s: %s", request_id, error, extra={"request_id": request_id})
    return reply


def _note(scope: Scope, reply: Reply, request_id: str, micros: int) -> None:
    facts: dict[str, object] = {"request_id": request_id, "status": reply.status, "micros": micros}
    if (whole := global_request_id(scope)) is not None:
        facts["global_request_id"] = whole
    _log.info(
        "%s %s %d %dB %dus %s",
        scope["method"],
        _logged_target(scope),
        reply.status,
        len(reply.body),
        micros,
        request_id,
        extra=facts,
    )


def _logged_target(scope: Scope) -> str:
    """The path as it came, without secrets, however they are spelt there."""
    is_secret = _SECRET.search(scope["path"]) is not None
    return quote(_SECRET.sub("*", scope["path"]), safe="/*") if is_secret else target_of(scope)
