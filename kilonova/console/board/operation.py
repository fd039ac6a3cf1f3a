"""One request, from the API to its end, on each server that it was for."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from kilonova.console.board.heard import heard_of_request
from kilonova.console.board.look import Look, checked_id
from kilonova.console.board.recorded import Record, explain_records, recorded
from kilonova.console.board.story import gather_evidence
from kilonova.console.client import Client
from kilonova.console.errors import CloudError
from kilonova.console.explain import Explanation, RequestEvidence, Said, explain, explain_request
from kilonova.console.explain.rules import spoken
from kilonova.console.intake import Notice, Notices
from kilonova.console.timeline import Entry, entries, from_journal, from_operation, instant, merged

_SEARCHED: Final = 100
"""Servers whose actions are looked through where only a request id is known, the latest changed of them."""
_DETAILED: Final = 5
_AT_ONCE: Final = 6
HEARD: Final = "This cloud keeps no action of this request. Its message bus told of it, first at {at}."
HEARD_FAILED: Final = "This cloud keeps no action of this request. Its message bus told that it failed, first at {at}."
ASK_AGAIN: Final = "Read what was told of it; when its cause is gone, ask again."
"""What explains a request of which nothing but notifications is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """One point on the way of a request: ``title`` in words, or the ``name`` of a step as the API spells it.

    ``detail`` is what the cloud said of it. ``seconds`` is how long it took there, None where that makes no sense or is
    not over.
    """

    at: datetime
    title: str = ""
    name: str = ""
    host: str = ""
    detail: str = ""
    tone: str = "good"
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a request did to one server. ``facts`` is what a Kilonova tells beyond the entry, else empty.

    ``received_at`` is when the API got the request, None where that is not known.
    """

    server: Mapping[str, Any]
    entry: Entry
    facts: Mapping[str, Any]
    received_at: datetime | None
    decisions: Sequence[Mapping[str, Any]]

    @property
    def stations(self) -> list[Station]:
        """Its way so far, in order."""
        found = [Station(at=self.received_at, title="The API got it")] if self.received_at is not None else []
        found.append(Station(at=self.entry.started_at, title="Accepted"))
        for each in self.decisions:
            is_placed = bool(each["chosen_host"])
            found.append(
                Station(
                    at=instant(each["decided_at"]),
                    title="Placed" if is_placed else "Not placed",
                    host=each["chosen_host"] or "",
                    detail="" if is_placed else each["summary"],
                    tone="good" if is_placed else "bad",
                )
            )
        for step in self.entry.steps:
            tone = "wait" if step.seconds is None else "good" if step.result == "Success" else "bad"
            found.append(
                Station(
                    at=step.started_at,
                    name=step.name,
                    host=step.host or "",
                    detail=step.result or "",
                    tone=tone,
                    seconds=step.seconds,
                )
            )
        return sorted(found, key=lambda station: station.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationStory:
    """One request. ``is_searched`` says that it was found by looking through the latest changed servers.

    Where it was no operation on a server, ``parts`` is empty: ``records`` are what the journal tells of it then, and
    ``heard`` what another Nova's message bus told, the oldest first.
    """

    request_id: str
    parts: Sequence[Part]
    explanation: Explanation
    is_searched: bool
    look: Look
    records: Sequence[Record] = ()
    heard: Sequence[Notice] = ()


def find_operation(
    client: Client, request_id: str, *, server_id: str = "", notices: Notices | None = None
) -> OperationStory:
    """The request of this id; ``server_id`` is where to look for it, if that is known. CloudError where it is none."""
    look = Look(client=client)
    checked_id(request_id)
    found = look.state("operations", f"/operations/{request_id}", {"operations": []})["operations"]
    if found:
        parts = [_of_operation(look, each) for each in found[:_DETAILED]]
        rest = [_bare(look, each) for each in found[_DETAILED:]]
        return _story(look, request_id, [*parts, *rest], is_searched=False)
    look.check_told("operations")
    records = recorded(look, request_id)
    if records:
        return _recorded(look, request_id, records)
    heard = heard_of_request(look, notices, request_id)
    actions = _actions(look, request_id, _searched(look, server_id, heard))
    look.check_told("operations", "actions")
    if not actions and heard:
        return _heard(look, request_id, heard)
    if not actions:
        raise CloudError(f"There is no request {request_id} that this login may see.", status=404)
    return _story(look, request_id, [_of_action(look, each) for each in actions], is_searched=not server_id)


def _story(look: Look, request_id: str, parts: Sequence[Part], *, is_searched: bool) -> OperationStory:
    deadlines = [instant(part.facts["deadline_at"]) for part in parts if part.facts.get("is_open")]
    evidence = RequestEvidence(
        request_id=request_id,
        entries=[part.entry for part in parts],
        names=[str(part.server.get("name") or part.entry.server_id) for part in parts],
        now=look.at,
        causes=[_why(look, part) for part in parts[:_DETAILED] if part.entry.outcome == "failed"],
        deadline_at=min(deadlines, default=None),
    )
    return OperationStory(
        request_id=request_id,
        parts=parts,
        explanation=explain_request(evidence),
        is_searched=is_searched,
        look=look,
    )


def _recorded(look: Look, request_id: str, records: Sequence[Record]) -> OperationStory:
    look.unknown[:] = [what for what in look.unknown if what != "operations"]
    return OperationStory(
        request_id=request_id,
        parts=(),
        explanation=explain_records(records),
        is_searched=False,
        look=look,
        records=records,
    )


def _heard(look: Look, request_id: str, heard: Sequence[Notice]) -> OperationStory:
    look.unknown[:] = [what for what in look.unknown if what not in ("operations", "actions", "journal")]
    has_failed = any(each.is_error for each in heard)
    return OperationStory(
        request_id=request_id,
        parts=(),
        explanation=Explanation(
            rule="heard",
            why=(Said(text=HEARD_FAILED if has_failed else HEARD, facts={"at": spoken(heard[0].at)}),),
            do=Said(text=ASK_AGAIN if has_failed else "Nothing to do."),
            tone="bad" if has_failed else "good",
        ),
        is_searched=False,
        look=look,
        heard=heard,
    )


def _why(look: Look, part: Part) -> Explanation:
    """Why it failed, as if nothing had been asked of the server since."""
    server = {**part.server, "id": part.entry.server_id}
    code = (part.facts.get("cause") or {}).get("code")
    evidence = replace(gather_evidence(look, server, [part.entry], None), cause=code)
    mine = [each for each in evidence.decisions if each.get("request_id") == part.entry.request_id]
    shown = {"name": server.get("name") or server["id"], "OS-EXT-STS:vm_state": "unknown", "status": "unknown"}
    if server.get("status") == "ERROR":
        shown |= {"status": "ERROR", "fault": server.get("fault") or {}}
    return explain(replace(evidence, server=shown, decisions=mine, conditions=()))


def _of_operation(look: Look, operation: Mapping[str, Any]) -> Part:
    server_id = operation["server"]
    rows = look.state("journal", "/events", {"events": []}, server=server_id, limit=1000)["events"]
    mine = [row for row in rows if _request_of(row) == operation["request_id"]]
    received = next((row["received_at"] for row in mine if row.get("received_at")), None)
    (entry,) = merged(entries([from_operation(operation)], now=look.at), from_journal(mine))
    return Part(
        server=_server(look, server_id, mine),
        entry=entry,
        facts=operation,
        received_at=None if received is None else instant(received),
        decisions=_decisions(look, server_id, operation["request_id"]),
    )


def _request_of(row: Mapping[str, Any]) -> Any:
    return row.get("request_id") or (row.get("snapshot") or {}).get("request_id")


def _bare(look: Look, operation: Mapping[str, Any]) -> Part:
    (entry,) = entries([from_operation(operation)], now=look.at)
    return Part(server={"id": operation["server"]}, entry=entry, facts=operation, received_at=None, decisions=())


def _of_action(look: Look, action: Mapping[str, Any]) -> Part:
    (entry,) = entries([action], now=look.at)
    return Part(server=_server(look, entry.server_id, ()), entry=entry, facts={}, received_at=None, decisions=())


def _server(look: Look, server_id: str, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The server as it is; of one that is gone, its name as the journal has it."""
    found: Mapping[str, Any] = look.compute("servers", f"/servers/{server_id}", {"server": {}})["server"]
    if found:
        return found
    name = next((row["snapshot"].get("display_name") for row in rows if row["kind"] == "instance"), "")
    return {"id": server_id, "name": name, "status": "DELETED"}


def _decisions(look: Look, server_id: str, request_id: str) -> list[Mapping[str, Any]]:
    found = look.state("decisions", "/decisions", {"decisions": []}, server=server_id)["decisions"]
    return [each for each in found if each.get("request_id") == request_id]


def _searched(look: Look, server_id: str, heard: Sequence[Notice]) -> list[str]:
    """Servers among whose actions the request may be."""
    if server_id:
        return [checked_id(server_id)]
    is_for_none = bool(heard) and not any(each.server_id for each in heard)
    return [] if is_for_none else _latest(look)


def _latest(look: Look) -> list[str]:
    everyone: dict[str, Any] = {"all_tenants": 1} if "admin" in look.client.sign_in_once().roles else {}
    query = {"limit": _SEARCHED, "sort_key": "updated_at", "sort_dir": "desc", **everyone}
    return [each["id"] for each in look.compute("servers", "/servers", {"servers": []}, **query)["servers"]]


def _actions(look: Look, request_id: str, server_ids: Sequence[str]) -> list[Mapping[str, Any]]:
    def ask(server_id: str) -> Mapping[str, Any] | None:
        path = f"/servers/{server_id}/os-instance-actions/{request_id}"
        action: Mapping[str, Any] | None = look.compute("actions", path, {"instanceAction": None})["instanceAction"]
        return action and {**action, "server_id": server_id}

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(ask, server_ids))
    if any(found):
        look.unknown[:] = [what for what in look.unknown if what != "actions"]
    return [each for each in found if each]
