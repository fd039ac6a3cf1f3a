"""Making the requests of the samples, and judging the answers."""

from typing import Any, Final

import httpx2

from tests.compat.golden.estate import Estate, NotBuilt
from tests.compat.golden.fitting import fitted
from tests.compat.golden.golden_data import Sample, find_sample
from tests.compat.golden.outside import is_to_fail, refusal
from tests.compat.golden.row import Row
from tests.compat.golden.shape import differences, free_differences

_HOST_OF_SERVER: Final = "OS-EXT-SRV-ATTR:host"


def failures(sample: Sample, row: Row, estate: Estate) -> list[str]:
    """What is wrong with the answer to the sample's request, one line each; nothing where it conforms."""
    try:
        reply = answer(sample, row, estate)
        return _judged(sample, row, reply) or (_ended(sample, estate) if row.is_request else [])
    except NotBuilt as problem:
        return [str(problem)]


def _ended(sample: Sample, estate: Estate) -> list[str]:
    """What is wrong with how it ended."""
    broken = estate.broken()
    if is_to_fail(sample):
        return [] if broken else ["accepted, and did not fail as it is to"]
    return broken


def _judged(sample: Sample, row: Row, reply: httpx2.Response) -> list[str]:
    if (refused := refusal(sample)) is not None:
        return _not_refused(reply, refused[0])
    if not reply.is_success:
        return [f"answered {reply.status_code} {reply.text[:300]}"]
    if row.is_request:
        return []
    return _compared(sample, row, reply.json()) if reply.content else [f"answered {reply.status_code} without a body"]


def answer(sample: Sample, row: Row, estate: Estate) -> httpx2.Response:
    """What the plane answers to the request of a sample."""
    path = estate.filled(row.path).split("#")[0]
    body = fitted(_body(sample, row), estate)
    version = row.version or sample.version
    return estate.ask(row.method, _limited(path, sample), body, version=version, is_admin=_is_admin(sample, row))


def _body(sample: Sample, row: Row) -> Any:
    """What is sent: the sample itself, what its row says, or the request sample that its row names."""
    if row.is_request:
        return sample.body
    if not isinstance(row.body, str):
        return row.body
    named = find_sample(sample.api, row.body, sample.version)
    assert named is not None, f"{sample.api} has no sample {row.body}"
    return named.body


def _is_admin(sample: Sample, row: Row) -> bool:
    if row.is_admin is not None:
        return row.is_admin
    servers = sample.body.get("servers", [sample.body.get("server")])
    full = [each for each in servers if isinstance(each, dict) and "hostId" in each and "OS-DCF:diskConfig" in each]
    return row.is_request or not full or any(_HOST_OF_SERVER in each for each in full)


def _limited(path: str, sample: Sample) -> str:
    """The path, with a limit of one where the sample has a link to the next page."""
    if _has_next(sample.body):
        return f"{path}{'&' if '?' in path else '?'}limit=1"
    return path


def _has_next(body: Any) -> bool:
    """Whether the body links to a next page."""
    pages = [body[key] for key in body if key.endswith("links")] if isinstance(body, dict) else []
    return any(link.get("rel") == "next" for page in pages for link in page)


def _not_refused(reply: httpx2.Response, status: int) -> list[str]:
    """What is wrong with an answer that should be a clear no: its status, or its form."""
    if reply.status_code != status:
        return [f"expected {status}, answered {reply.status_code} {reply.text[:300]}"]
    faults = list(reply.json().values())
    is_clear = len(faults) == 1 and faults[0].get("code") == status and faults[0].get("message")
    return [] if is_clear else [f"no fault in Nova's form: {reply.text[:300]}"]


def _compared(sample: Sample, row: Row, got: Any) -> list[str]:
    found = (free_differences if row.is_free else differences)(sample.body, got)
    return found or (_unequal(sample.body, got) if row.exact else [])


def _unequal(expected: Any, got: Any, place: str = "body") -> list[str]:
    """Which values differ; descriptions are prose, and everyone's own."""
    if isinstance(expected, dict):
        return [
            line
            for key in expected
            if key != "description"
            for line in _unequal(expected[key], got.get(key), f"{place}.{key}")
        ]
    if isinstance(expected, list) and len(expected) == len(got):
        return [
            line
            for number, (each, ours) in enumerate(zip(expected, got, strict=True))
            for line in _unequal(each, ours, f"{place}[{number}]")
        ]
    return [] if expected == got else [f"{place}: expected {expected!r:.80}, got {got!r:.80}"]
