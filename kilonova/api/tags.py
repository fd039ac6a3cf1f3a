"""ETags of lists: who asks again and again is told in a few bytes that nothing changed (RFC 9110 §8.8, §13.1.2)."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha1

from kilonova.api.http import Reply


def tagged(reply: Reply, headers: Mapping[str, str]) -> Reply:
    """The reply with its ETag; 304 without a body where the request's ``If-None-Match`` has it already.

    The tag is of the body alone: the same list at another microversion, or for another caller, has another body.
    SHA-1, as many processors have it built in: it need not withstand anyone, who would fool but themselves.
    """
    if reply.status != 200:
        return reply
    tag = f'"{sha1(reply.body, usedforsecurity=False).hexdigest()}"'
    if _matches(headers.get("if-none-match", ""), tag):
        return replace(reply, status=304, body=b"", headers={**reply.headers, "ETag": tag})
    return replace(reply, headers={**reply.headers, "ETag": tag})


def _matches(asked: str, tag: str) -> bool:
    """Compared weakly, as a proxy on the way may have made a strong tag a weak one."""
    if asked.strip() == "*":
        return True
    return any(each.strip().removeprefix("W/") == tag for each in asked.split(","))
