"""What a Kilonova's journal tells of a request that was for no server, or that no operation is kept of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kilonova.console.board.look import Look
from kilonova.console.differences import Turn, differences
from kilonova.console.errors import CloudError
from kilonova.console.explain import Explanation, Said
from kilonova.console.explain.rules import each_once, spoken
from kilonova.console.timeline import instant

_MOST: Final = 1000
THINGS: Final = {
    "instance": "server",
    "service": "host",
    "quota": "quota of project",
    "quota_class": "quota class",
    "server_group": "server group",
    "keypair": "key pair",
    "aggregate": "aggregate",
    "flavor": "flavor",
}
"""What kinds of rows are about."""
SENTENCES: Final = {
    "create": "The {what} {name} was made by {who} at {at}.",
    "delete": "The {what} {name} was deleted by {who} at {at}.",
    "": "The {what} {name} was changed by {who} at {at}.",
}
SEVERAL: Final = "{count} things were changed by {who} at {at}."
_LIMITED: Final = ("quota", "quota_class")
_NAMES: Final = ("display_name", "name", "host")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row of the journal. ``what`` is the kind of its thing in a word, ``who`` asked for it, empty for nobody.

    ``server_id`` is empty where the thing is no server that has a page.
    """

    at: datetime
    topic: str
    operation: str
    what: str
    key: str
    name: str
    who: str
    server_id: str
    turns: Sequence[Turn]

    def __str__(self) -> str:
        return self.told(str)

    def told(self, translate: Callable[[str], str], retell: Callable[[str], str] = str) -> str:
        """What it changed of which thing, in one line, in another language."""
        turned = "; ".join(turn.told(translate, retell) for turn in self.turns)
        return f"{self.topic} {self.name}{': ' if turned else ''}{turned}"


def recorded(look: Look, request_id: str) -> list[Record]:
    """What the journal has of the request, in order; nothing where there is no journal, or not for this login."""
    rows = look.state("journal", "/events", {"events": []}, request=request_id, limit=_MOST)["events"]
    projects = _projects(look) if any(row["kind"] == "quota" for row in rows) else {}
    gone = gone_servers(look, rows)
    return [_record(row, projects, gone) for row in rows]


def gone_servers(look: Look, rows: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Servers that these rows tell the end of, and whose pages this login may therefore not see."""
    if "admin" in look.client.sign_in_once().roles:
        return frozenset()
    mine = (row for row in rows if row["kind"] == "instance")
    return frozenset(row["key"] for row in mine if (row.get("snapshot") or {}).get("deleted_at"))


def explain_records(records: Sequence[Record]) -> Explanation:
    """Who asked for what, and when. What is in the journal was done: its rows are written with what they tell of."""
    first = records[0]
    facts = {
        "what": first.what,
        "name": first.name,
        "who": next((each.who for each in records if each.who), "the cloud itself"),
        "at": spoken(first.at),
        "count": len({(each.what, each.key) for each in records}),
    }
    text = SEVERAL if facts["count"] != 1 else SENTENCES.get(first.operation, SENTENCES[""])
    return Explanation(
        rule="recorded",
        why=(Said(text=text, facts=facts),),
        do=Said(text="Nothing to do."),
        evidence=each_once(records),
        tone="good",
    )


def _record(row: Mapping[str, Any], projects: Mapping[str, str], gone: frozenset[str]) -> Record:
    kind, key, snapshot = row["kind"], row["key"], row.get("snapshot") or {}
    # Of limits the journal has those that were asked for, and not what they were before.
    before = row.get("previous") or ({"limits": {}} if kind in _LIMITED else {})
    context = (row.get("facts") or {}).get("context") or {}
    name = projects.get(key) or next((snapshot[each] for each in _NAMES if snapshot.get(each)), key)
    return Record(
        at=instant(row["occurred_at"]),
        topic=row["topic"],
        operation=row.get("operation") or "",
        what=THINGS.get(kind, kind.replace("_", " ")),
        key=key,
        name=str(name),
        who=str(context.get("user_name") or row.get("user_id") or ""),
        server_id=key if kind == "instance" and key not in gone else "",
        turns=differences(before, snapshot),
    )


def _projects(look: Look) -> Mapping[str, str]:
    """Names of projects by id; none where the identity service does not tell."""
    try:
        return look.client.list_projects()
    except CloudError as error:
        if error.status == 401:
            raise
        return {}
