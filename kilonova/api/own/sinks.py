"""``/state/v1/sinks``: who is told what happens, how far each is, and what an operator wants of them."""

from typing import Any, Final

from kilonova.api.call import Accepted, Call
from kilonova.api.own.parts import moment
from kilonova.api.routes import route
from kilonova.api.schemas.types import NAME, body, the
from kilonova.services.feed import SinkState
from kilonova.store.deliveries import Delivery
from kilonova.store.sinks import Gap


def list_sinks(call: Call) -> dict[str, Any]:
    """``GET /state/v1/sinks``: every sink with its state and lag."""
    return {"sinks": [_sink(each) for each in call.plane.feed.list_sinks()]}


def show_sink(call: Call) -> dict[str, Any]:
    """``GET /state/v1/sinks/{name}``: one sink, with what it was not told and its latest deliveries."""
    name, feed = call.params["name"], call.plane.feed
    return {
        "sink": {
            **_sink(feed.get_sink(name)),
            "gaps": [_gap(each) for each in feed.list_gaps(name)],
            "deliveries": [_delivery(each) for each in feed.list_deliveries(name)],
        }
    }


def add_sink(call: Call) -> Accepted:
    """``POST /state/v1/sinks``: a new one, told of all beyond ``after``, or of what is new from now on."""
    asked = call.body["sink"]
    made = call.plane.feed.add(asked["name"], asked["kind"], asked.get("settings", {}), after_seq=asked.get("after"))
    return Accepted(body={"sink": _sink(made)}, status=201)


def act(call: Call) -> dict[str, Any]:
    """``POST /state/v1/sinks/{name}/action``: ``pause``, ``resume``, ``rewind`` to a number, ``resend`` some rows."""
    name, feed = call.params["name"], call.plane.feed
    match call.body:
        case {"pause": _}:
            changed = feed.pause(name, is_paused=True)
        case {"resume": _}:
            changed = feed.pause(name, is_paused=False)
        case {"rewind": wanted}:
            changed = feed.rewind(name, to_seq=wanted["to"])
        case {"resend": wanted}:
            return {"delivery": feed.send_again(name, after_seq=wanted["after"], to_seq=wanted["to"])}
        case _:
            raise LookupError("the schema lets nothing else through")
    return {"sink": _sink(changed)}


def delete_sink(call: Call) -> None:
    """``DELETE /state/v1/sinks/{name}``."""
    call.plane.feed.delete(call.params["name"])


def _sink(it: SinkState) -> dict[str, Any]:
    record = it.record
    return {
        "name": record.name,
        "kind": record.kind,
        "origin": record.origin,
        "state": it.state,
        "cursor": record.cursor_seq,
        "lag": {"rows": it.lag_rows, "seconds": round(it.lag_seconds, 3)},
        "delivered": record.delivered,
        "delivered_at": moment(record.delivered_at),
        "failures": record.failures,
        "last_error": record.last_error,
        "failed_at": moment(record.failed_at),
        "retry_at": moment(record.retry_at),
        "missing": it.missing,
        "relay": record.lease_owner,
        "created_at": moment(record.created_at),
        "settings": dict(it.settings),
    }


def _gap(it: Gap) -> dict[str, Any]:
    return {
        "after": it.after_seq,
        "to": it.to_seq,
        "missing": it.missing,
        "reason": it.reason,
        "noted_at": moment(it.noted_at),
    }


def _delivery(it: Delivery) -> dict[str, Any]:
    return {
        "id": it.id,
        "after": it.after_seq,
        "to": it.to_seq,
        "messages": it.messages,
        "state": it.state,
        "is_again": it.is_again,
        "attempts": it.attempts,
        "answer": it.answer,
        "made_at": moment(it.made_at),
        "attempted_at": moment(it.attempted_at),
        "took_micros": it.took_micros,
    }


_SEQ: Final = {"type": "integer", "minimum": 0, "maximum": 2**62}
_NOTHING: Final = {"type": ["object", "null"], "additionalProperties": False}
_NEW: Final = the(
    {
        "sink": the(
            {"name": NAME, "kind": NAME, "settings": {"type": "object"}, "after": _SEQ}, required=("name", "kind")
        )
    },
    required=("sink",),
)
_ACTION: Final = {
    **the(
        {
            "pause": _NOTHING,
            "resume": _NOTHING,
            "rewind": the({"to": _SEQ}, required=("to",)),
            "resend": the({"after": _SEQ, "to": _SEQ}, required=("after", "to")),
        }
    ),
    "minProperties": 1,
    "maxProperties": 1,
}

ROUTES: Final = (
    route("GET", "/sinks", list_sinks, policy="kilonova:sinks:list"),
    route("POST", "/sinks", add_sink, policy="kilonova:sinks:add", status=201, body=body(_NEW)),
    route("GET", "/sinks/{name}", show_sink, policy="kilonova:sinks:list"),
    route("DELETE", "/sinks/{name}", delete_sink, policy="kilonova:sinks:delete", status=204),
    route("POST", "/sinks/{name}/action", act, policy="kilonova:sinks:update", body=body(_ACTION)),
)
