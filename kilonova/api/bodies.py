"""Bodies both ways: what was sent becomes plain data, what a handler returns becomes a reply."""

from typing import Any, Final

import msgspec

from kilonova.api.call import Accepted, Aged, Call, Page, Plain, Shown, Text
from kilonova.api.errors import MALFORMED
from kilonova.api.http import NUL, Incoming, Reply
from kilonova.api.routes import Many, One, Route
from kilonova.domain.errors import Invalid, UnsupportedMedia

_READ: Final = frozenset({"", "text/plain", "application/json", "application/vnd.openstack.compute+json"})
_WITH_BODY: Final = frozenset({"POST", "PUT"})
_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder()


def decoded(incoming: Incoming) -> Any:
    """The data in a request's body, None where there is none. UnsupportedMedia or Invalid where it is not JSON.

    A missing type and ``text/plain`` are read as JSON; the body of a GET or DELETE is not looked at.
    """
    if incoming.method not in _WITH_BODY:
        return None
    media = incoming.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in _READ:
        raise UnsupportedMedia("Unsupported Content-Type")
    if not incoming.body:
        return None
    try:
        body = _decoder.decode(incoming.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(MALFORMED) from error
    if b"\\u0000" in incoming.body and _has_nul(body):
        raise Invalid(NUL)
    return body


def _has_nul(value: Any) -> bool:
    """Whether a text anywhere in the data has a NUL, which no database of ours keeps."""
    if isinstance(value, dict):
        return any(_has_nul(each) for pair in value.items() for each in pair)
    if isinstance(value, list):
        return any(_has_nul(each) for each in value)
    return isinstance(value, str) and "\0" in value


def action_of(body: Any) -> str:
    """The key of an action's body. Invalid unless it is an object with exactly one (contract §0.5)."""
    if not isinstance(body, dict) or len(body) != 1:
        raise Invalid(MALFORMED)
    return str(next(iter(body)))


def replied(result: Any, call: Call, route: Route) -> Reply:
    """What a handler returned, as the reply that its route promises; a ``Reply`` is one already."""
    if isinstance(result, Reply):
        return result
    status = route.status.at(call.version)
    headers: dict[str, str] = {}
    if isinstance(result, Accepted):
        status = result.status or status
        if result.location:
            headers["Location"] = result.location
        result = result.body
    if isinstance(result, Aged):
        headers["Age"] = str(int(result.seconds))
        result = result.body
    if result is None:
        return Reply(status=status, headers=headers)
    if isinstance(result, Text):
        return Reply(status=status, body=result.content, content_type=result.content_type, headers=headers)
    return Reply(status=status, body=_encoder.encode(_shaped(result, call, route)), headers=headers)


def _shaped(result: Any, call: Call, route: Route) -> Any:
    if isinstance(result, Plain):
        return result.value
    match route.returns:
        case One() as one:
            shown = result if isinstance(result, Shown) else Shown(record=result, view=call)
            render = one.shape.at(call.version, _granted(one, call))
            return {one.name: render(shown.record, shown.view)}
        case Many() as many:
            return _listed(many, result, call)
        case None:
            return result


def _listed(many: Many, page: Page, call: Call) -> dict[str, Any]:
    render = many.shape.at(call.version, _granted(many, call))
    view = call if page.view is None else page.view
    items: list[Any] = [render(record, view) for record in page.records]
    if many.item:
        items = [{many.item: item} for item in items]
    body: dict[str, Any] = {many.key: items}
    if page.marker is not None:
        body[many.links_key] = [{"rel": "next", "href": call.next_link(page.marker)}]
    return body


def _granted(returns: One | Many, call: Call) -> frozenset[str]:
    rules = returns.shape.rules
    return call.policy.granted(rules, call.caller, project_id=call.caller.project_id) if rules else rules
