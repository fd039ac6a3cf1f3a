"""The pages: address, what they gather, their template, and the command that tells the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kilonova.console import board
from kilonova.console.board.feed import KINDS
from kilonova.console.errors import CloudError
from kilonova.console.web import commands
from kilonova.console.web.answers import answer
from kilonova.console.web.commands import Asked, Command
from kilonova.console.web.sessions import Session

STATUSES: Final = (
    "ACTIVE", "BUILD", "ERROR", "SHUTOFF", "PAUSED", "SUSPENDED", "RESCUE", "VERIFY_RESIZE", "RESIZE", "MIGRATING",
    "REBOOT", "HARD_REBOOT", "SHELVED", "SHELVED_OFFLOADED",
)  # fmt: skip
_SPANS: Final = (1, 6, 24, 168)
"""Hours of failures to choose from."""


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
    return {"story": board.server_story(session.client, asked["id"], session.samples)}


def _operation(session: Session, asked: Asked) -> Mapping[str, Any]:
    return {"story": board.find_operation(session.client, asked["id"], server_id=asked.get("server", ""))}


def _hosts(session: Session, asked: Asked) -> Mapping[str, Any]:
    grouping = "aggregate" if asked.get("group") == "aggregate" else "zone"
    colour = "trouble" if asked.get("colour") == "trouble" else "load"
    return {"hosts": board.hosts(session.client, session.samples), "grouping": grouping, "colour": colour}


def _host(session: Session, asked: Asked) -> Mapping[str, Any]:
    return {"story": board.host_story(session.client, board.checked_id(asked["id"]), session.samples)}


def _failures(session: Session, asked: Asked) -> Mapping[str, Any]:
    text = asked.get("hours", "24")
    hours = int(text) if text in map(str, _SPANS) else 24
    everyone = everyones(session, asked)
    found = board.failures(session.client, all_projects=everyone, hours=hours)
    return {"failures": found, "hours": hours, "spans": _SPANS, "all_projects": everyone}


def _explain(session: Session, asked: Asked) -> Mapping[str, Any]:
    question = asked.get("q", "").strip()[:255]
    return {"question": question, "answer": answer(session.client, question, session.samples) if question else None}


def _usage(session: Session, asked: Asked) -> Mapping[str, Any]:
    everyone = everyones(session, asked)
    found = board.usage(session.client, all_projects=everyone, month=asked.get("month", ""))
    return {"usage": found, "all_projects": everyone}


def _feed(session: Session, asked: Asked) -> Mapping[str, Any]:
    topic, server = asked.get("topic", "").strip(), asked.get("server", "").strip()
    return {
        "feed": board.feed(session.client, topic=topic, server=server),
        "topic": topic,
        "server": server,
        "kinds": KINDS,
    }


def _past(session: Session, asked: Asked) -> Mapping[str, Any]:
    names = ("at", "to", "tick")
    return {"past": board.past(session.client, **{name: asked.get(name, "").strip() for name in names})}


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
    Page(path="/time", template="time.html", gather=_past, command=commands.past, title="Time", is_live=False),
)


def usage_rows(session: Session, asked: Asked) -> list[Mapping[str, Any]]:
    """The rows of the page on usage, for a spreadsheet. CloudError where the cloud tells none."""
    found = board.usage(session.client, all_projects=everyones(session, asked), month=asked.get("month", ""))
    if "usage" in found.look.unknown:
        raise CloudError("This cloud does not tell usage to this login.", status=403)
    return list(found.rows)
