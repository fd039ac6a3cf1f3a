"""The pages: address, what they gather, their template, and the command that tells the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from kilonova.console import board
from kilonova.console.answers import answer
from kilonova.console.board.feed import KINDS
from kilonova.console.errors import CloudError
from kilonova.console.web import commands
from kilonova.console.web.commands import Asked, Command
from kilonova.console.web.sessions import Session

STATUSES: Final = (
    "ACTIVE", "BUILD", "ERROR", "SHUTOFF", "PAUSED", "SUSPENDED", "RESCUE", "VERIFY_RESIZE", "RESIZE", "MIGRATING",
    "REBOOT", "HARD_REBOOT", "SHELVED", "SHELVED_OFFLOADED",
)  # fmt: skip
_NO_COMMAND: Final = {"command": ""}
"""What is found on a page wins over its command: where the cloud cannot tell it, no command does."""
_SPANS: Final = (1, 6, 24, 168)
"""Hours of failures, and of what was taken of a host, to choose from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One row. ``title`` is None for pages that no menu has; ``is_live`` is False for those that stand still."""

    path: str
    template: str
    gather: Callable[[Session, Asked], Mapping[str, Any]]
    command: Command
    title: str | None = None
    is_live: bool = True


def everyones(session: Session, asked: Asked) -> bool:
    """Whether all projects are meant: to who administers the cloud, unless they ask for their own."""
    return session.is_admin and asked.get("projects") != "own"


def _overview(session: Session, asked: Asked) -> Mapping[str, Any]:
    found = board.overview(session.client, all_projects=everyones(session, asked))
    for host in found.hosts.hosts:
        session.samples.add(f"host/{host.name}", found.look.at, {bar.name: bar.percent for bar in host.bars})
    return {"overview": found}


def _servers(session: Session, asked: Asked) -> Mapping[str, Any]:
    wanted = {name: asked.get(name, "")[:255] for name in ("status", "host", "marker")}
    search, everyone = asked.get("q", "")[:255], everyones(session, asked)
    found = board.find_servers(session.client, all_projects=everyone, search=search, **wanted)
    return {"page": found, "search": search, "all_projects": everyone, "statuses": STATUSES, **wanted}


def _server(session: Session, asked: Asked) -> Mapping[str, Any]:
    return {"story": board.server_story(session.client, asked["id"], session.samples, session.notices)}


def _operation(session: Session, asked: Asked) -> Mapping[str, Any]:
    server = asked.get("server", "")
    found = board.find_operation(session.client, asked["id"], server_id=server, notices=session.notices)
    if found.heard:
        return {"story": found, **_NO_COMMAND}
    if not found.records:
        return {"story": found}
    # It is none of a server's actions, whose command the page has otherwise.
    return {"story": found, "command": commands.operation({"id": asked["id"]}, everyones(session, asked))}


def _hosts(session: Session, asked: Asked) -> Mapping[str, Any]:
    grouping = "aggregate" if asked.get("group") == "aggregate" else "zone"
    colour = "trouble" if asked.get("colour") == "trouble" else "load"
    found = board.hosts(session.client, session.samples, session.notices)
    return {"hosts": found, "grouping": grouping, "colour": colour}


def _host(session: Session, asked: Asked) -> Mapping[str, Any]:
    hours = _span(asked)
    host = board.checked_id(asked["id"])
    found = board.host_story(session.client, host, session.samples, session.notices, hours=hours)
    return {"story": found, "spans": _SPANS}


def _span(asked: Asked) -> int:
    """The hours that are asked for; a day where they are none of those to choose from."""
    text = asked.get("hours", "")
    return int(text) if text in map(str, _SPANS) else 24


def _failures(session: Session, asked: Asked) -> Mapping[str, Any]:
    hours = _span(asked)
    everyone = everyones(session, asked)
    found = board.failures(session.client, all_projects=everyone, hours=hours)
    return {"failures": found, "hours": hours, "spans": _SPANS, "all_projects": everyone}


def _explain(session: Session, asked: Asked) -> Mapping[str, Any]:
    question = asked.get("q", "").strip()[:255]
    if question:
        return {"question": question, "answer": answer(session.client, question, session.samples), "troubled": None}
    found = board.troubled(session.client, all_projects=everyones(session, asked))
    return {"question": "", "answer": None, "troubled": found}


def _usage(session: Session, asked: Asked) -> Mapping[str, Any]:
    everyone = everyones(session, asked)
    found = board.usage(session.client, all_projects=everyone, month=asked.get("month", ""))
    return {"usage": found, "all_projects": everyone}


def _feed(session: Session, asked: Asked) -> Mapping[str, Any]:
    topic, server = asked.get("topic", "").strip(), asked.get("server", "").strip()
    found = board.feed(session.client, topic=topic, server=server, notices=session.notices)
    told = {"feed": found, "topic": topic, "server": server, "kinds": KINDS}
    return told if found.head is not None else {**told, **_NO_COMMAND}


def _past(session: Session, asked: Asked) -> Mapping[str, Any]:
    names = ("at", "to", "tick")
    found = board.past(session.client, **{name: asked.get(name, "").strip() for name in names})
    if not found.is_told:
        return {"past": found, **_NO_COMMAND}
    at = found.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"past": found, "command": commands.past(at, session.client.state_address())}


PAGES: Final = (
    Page(
        path="/",
        template="overview.html",
        gather=_overview,
        command=commands.plain("kilonova status"),
        title="Overview",
    ),
    Page(path="/servers", template="servers.html", gather=_servers, command=commands.servers, title="Servers"),
    Page(path="/servers/{id}", template="server.html", gather=_server, command=commands.of("kilonova timeline")),
    Page(path="/operations/{id}", template="operation.html", gather=_operation, command=commands.operation),
    Page(
        path="/hosts",
        template="hosts.html",
        gather=_hosts,
        command=commands.plain("kilonova capacity --by host"),
        title="Hosts",
    ),
    Page(
        path="/hosts/{id}",
        template="host.html",
        gather=_host,
        command=commands.of("kilonova explain"),
    ),
    Page(path="/failures", template="failures.html", gather=_failures, command=commands.failures, title="Failures"),
    Page(path="/explain", template="explain.html", gather=_explain, command=commands.explain, title="Explain"),
    Page(path="/usage", template="usage.html", gather=_usage, command=commands.usage, title="Usage", is_live=False),
    Page(
        path="/feed",
        template="feed.html",
        gather=_feed,
        command=commands.plain("kilonova events --follow"),
        title="Feed",
    ),
    Page(path="/time", template="time.html", gather=_past, command=commands.plain(""), title="Time", is_live=False),
)


def usage_rows(session: Session, asked: Asked) -> list[Mapping[str, Any]]:
    """The rows of the page on usage, for a spreadsheet. CloudError where the cloud tells none."""
    found = board.usage(session.client, all_projects=everyones(session, asked), month=asked.get("month", ""))
    if "usage" in found.look.unknown:
        raise CloudError("This cloud does not tell usage to this login.", status=403)
    return list(found.rows)
