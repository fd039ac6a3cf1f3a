"""The pages: address, what they gather, their template, and the command that tells the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from kilonova.console import board
from kilonova.console.web.sessions import Session
from kilonova.console.words import translated

Asked = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One row. ``command`` has ``{id}`` where the address has one; ``title`` is None for pages that no menu has."""

    path: str
    template: str
    gather: Callable[[Session, Asked], Mapping[str, Any]]
    command: str
    title: str | None = None


def _everyones(session: Session, asked: Asked) -> bool:
    return session.is_admin and asked.get("projects") != "own"


def _overview(session: Session, asked: Asked) -> Mapping[str, Any]:
    return {"overview": board.overview(session.client, all_projects=_everyones(session, asked))}


def _servers(session: Session, asked: Asked) -> Mapping[str, Any]:
    search, status = asked.get("q", ""), asked.get("status", "")
    everyone = _everyones(session, asked)
    found = board.list_servers(session.client, all_projects=everyone, search=search, status=status)
    return {"servers": found, "search": search, "status": status, "all_projects": everyone}


def _server(session: Session, asked: Asked) -> Mapping[str, Any]:
    return {"story": board.server_story(session.client, asked["id"])}


def _hosts(session: Session, _: Asked) -> Mapping[str, Any]:
    return {"hosts": board.list_hosts(session.client)}


def _failures(session: Session, asked: Asked) -> Mapping[str, Any]:
    return {"failures": board.list_failures(session.client, all_projects=_everyones(session, asked))}


def _usage(session: Session, _: Asked) -> Mapping[str, Any]:
    look = board.Look(client=session.client)
    limits = look.compute("limits", "/limits", {"limits": {"absolute": {}}})["limits"]["absolute"]
    used = look.state("usage", "/usage", {"usage": []}, group_by="project,flavor")["usage"]
    return {"limits": _bars(limits), "usage": used, "look": look}


def _bars(limits: Mapping[str, Any]) -> list[board.Bar]:
    pairs = (
        ("servers", "totalInstancesUsed", "maxTotalInstances"),
        ("vCPUs", "totalCoresUsed", "maxTotalCores"),
        ("memory, MiB", "totalRAMUsed", "maxTotalRAMSize"),
        ("server groups", "totalServerGroupsUsed", "maxServerGroups"),
    )
    return [board.Bar(name=name, used=limits[used], total=limits[most]) for name, used, most in pairs if used in limits]


def _feed(session: Session, _: Asked) -> Mapping[str, Any]:
    look = board.Look(client=session.client)
    head = look.state("journal", "/events", {"head": 0}, after=2**53, limit=1)["head"]
    answer = look.state("journal", "/events", {"events": []}, after=max(0, head - 200), limit=200)
    sinks = look.state("sinks", "/sinks", {"sinks": []})["sinks"] if session.is_admin else []
    return {"events": list(reversed(answer["events"])), "head": head, "sinks": sinks, "look": look}


PAGES: Final = (
    Page(path="/", template="overview.html", gather=_overview, command="kilonova status", title="Overview"),
    Page(
        path="/servers",
        template="servers.html",
        gather=_servers,
        command="openstack server list --long",
        title="Servers",
    ),
    Page(path="/servers/{id}", template="server.html", gather=_server, command="kilonova explain {id}"),
    Page(path="/hosts", template="hosts.html", gather=_hosts, command="openstack hypervisor list", title="Hosts"),
    Page(path="/failures", template="failures.html", gather=_failures, command="kilonova failures", title="Failures"),
    Page(path="/usage", template="usage.html", gather=_usage, command="kilonova usage report", title="Usage"),
    Page(path="/feed", template="feed.html", gather=_feed, command="kilonova events --follow", title="Feed"),
)


def render(template: str, found: Mapping[str, Any]) -> str:
    """The page's text; all that is put into it is escaped."""
    language = found["language"]
    now = datetime.now(UTC)
    text: str = (
        _environment()
        .get_template(template)
        .render(
            pages=[page for page in PAGES if page.title],
            here=found.get("here"),
            made_at=now.strftime("%H:%M:%S UTC"),
            t=lambda text: translated(text, language),
            **{name: value for name, value in found.items() if name != "here"},
        )
    )
    return text


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"moment": _moment, "span": _span, "tone": _tone}
    return environment


def _moment(value: Any) -> str:
    """A time for people, always in UTC, with how it is known."""
    if value is None:
        return "–"
    text = value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)
    return text.replace("T", " ").replace("+00:00", "").removesuffix("Z").partition(".")[0]


def _span(seconds: float | None) -> str:
    """A duration for people."""
    if seconds is None:
        return "…"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


_TONES: Final = {
    "ACTIVE": "good",
    "ERROR": "bad",
    "BUILD": "wait",
    "DELETED": "off",
    "SHUTOFF": "off",
    "up": "good",
    "down": "bad",
    "ok": "good",
    "failed": "bad",
    "open": "wait",
    "True": "good",
    "False": "bad",
}


def _tone(status: Any) -> str:
    return _TONES.get(str(status), "wait")
