"""Write the reference pages from the tables that the code itself reads.

python -m scripts.generate_docs            writes docs/reference/*.md
python -m scripts.generate_docs --check    writes nothing; exits 1 and names the pages that are out of step
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from kilonova.api import policy
from kilonova.api.history import HISTORY, MAXIMUM, Verdict
from kilonova.api.own import ROUTES as OWN_ROUTES
from kilonova.api.resources import ROUTES
from kilonova.config import Settings
from kilonova.domain.faults import FaultCause
from kilonova.domain.operations import OPERATIONS, Operation
from kilonova.domain.options import meaning_of, range_of
from kilonova.domain.states import PowerState, TaskState, VmState
from tests.compat.golden.conformance import blocks
from tests.compat.notifications import page as notifications

REFERENCE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference"
_GENERATED: Final = "*Generated from {source} by `make docs` (`scripts/generate_docs.py`): change that, not this page.*"

_Cell = str | int | float | None


def operations_page() -> str:
    """Every operation on a server: where it may start, where it leads, and what its traces are called."""
    rows = list(OPERATIONS.values())
    ready = sum(row.is_ready for row in rows)
    return _page(
        "Operations on servers",
        "`kilonova/domain/operations.py`",
        f"Kilonova knows {len(rows)} operations and carries out {ready} of them; the others answer 501 until their "
        "workflow is there. Names and states are Nova's.",
        "## What starts where",
        "From each settled state: where each operation leads, in which task state it is meanwhile (after the slash), "
        "and what can be done without leaving the state. Operations in *italics* or with (not yet) are not "
        "carried out yet. One that fails leads back to where it began, or to `error` where the table below says so.",
        *(_from_state(state, rows) for state in VmState if state is not VmState.DELETED),
        "## States",
        "`*` is every state that a living server can be in; a task state in *while* does not stop the operation.",
        _table(
            "Operation | Asked for by | Starts in | While | Meanwhile | Leads to | Power | After a failure | Ready",
            (_states_row(row) for row in rows),
        ),
        "## Who does it",
        _table(
            "Operation | Policy | Runs in | Driver call | Deadline | Success | Since | Minds a lock",
            (_doing_row(row) for row in rows),
        ),
        "## Names of its traces",
        "The instance action, its events, and the notifications in both formats (`.start`, `.end`, `.error` where Nova "
        "has them).",
        _table(
            "Operation | Instance action | Events | Legacy `compute.instance.` | Versioned `instance.`",
            (_names_row(row) for row in rows),
        ),
    )


def settings_page() -> str:
    """Every option of every group."""
    groups = [(group.name, getattr(Settings(), group.name)) for group in fields(Settings)]
    return _page(
        "Settings",
        "the settings that `kilonova/config.py` gathers",
        "From TOML files (`--config-file`, several may be given), the environment (`KILONOVA_<GROUP>__<OPTION>`) and "
        "the command line; the later wins. An option that is not here is refused.",
        *(block for name, group in groups for block in (f"## [{name}]", _options(name, group))),
    )


def microversions_page() -> str:
    """Every microversion of Nova and where Kilonova stands on it."""
    counts = {verdict: sum(step.verdict is verdict for step in HISTORY) for verdict in Verdict}
    meaning = {
        Verdict.DONE: "Kilonova behaves so from this version on",
        Verdict.INERT: "it concerns only what Kilonova does not have",
        Verdict.ABSENT: "Kilonova has the thing and does not behave so yet",
    }
    return _page(
        "Microversions",
        "`kilonova/api/history.py`",
        f"The maximum that is advertised is **{MAXIMUM}**: the last version before the first that is absent.",
        _table(
            "Verdict | Means | Versions", ((verdict.value, meaning[verdict], counts[verdict]) for verdict in Verdict)
        ),
        _table(
            "Version | What changed | Verdict", ((str(step.version), step.says, step.verdict.value) for step in HISTORY)
        ),
    )


def policies_page() -> str:
    """Every policy rule, its default, and what asks for it."""
    asking = _asking()
    return _page(
        "Policies",
        "`kilonova/api/policy.py`",
        "The rules are Nova's and so are their defaults, but for the role `auditor`, which Nova does not have: it "
        "reads what every project and the whole fleet has, and changes nothing. The setting `[oslo_policy] "
        "policy_file` names a `policy.yaml` whose rules stand in place of these; `kilonova policy list` prints what "
        "is in force.",
        "```yaml\n# Servers are their users' own, and a role of ours looks after hosts.\n"
        '"os_compute_api:servers:delete": "rule:context_is_admin or (role:member and user_id:%(user_id)s)"\n'
        '"os_compute_api:os-hypervisors:list": "rule:context_is_admin or role:operator"\n```',
        "Rules are written in oslo.policy's language: `role:`, `rule:`, what is known of the caller (`user_id`, "
        "`project_id`, `user_domain_id`, `project_domain_id`, `domain_id`, `system_scope`, `is_admin`, "
        "`is_admin_project`) or a literal against a text, `%(project_id)s` or `%(user_id)s` of the target; `and`, "
        "`or`, `not`, parentheses, `@` (everybody), `!` (nobody). The file is read at start; one that makes no sense "
        "stops it with the line and the rule.",
        "## What rules are made of",
        _table("Rule | Default", ((f"`{name}`", f"`{text}`") for name, text in policy.BASE.items())),
        "## What is asked for",
        "A rule without anything in the last column is known, but nothing that Kilonova serves asks for it by itself: "
        "a handler may, or what it guards is not there yet.",
        _table(
            "Rule | Default | Guards",
            (
                (f"`{rule}`", f"`{text}`", "<br>".join(asking.get(rule, [])))
                for rule, text in sorted(policy.DEFAULTS.items())
            ),
        ),
    )


def faults_page() -> str:
    """The catalogue of causes."""
    return _page(
        "Causes of faults",
        "`kilonova/domain/faults.py`",
        "A server's fault says what happened, with its numbers; its cause says what kind of trouble that is. Codes are "
        "stable, so that equal causes can be counted.",
        _table(
            "Code | What it is | What its owner can do next | What its operator should know | Lies with",
            (
                (f"`{one.code}`", one.title, one.remedy, one.operator, "the host" if one.is_of_host else "")
                for one in FaultCause
            ),
        ),
    )


def conformance_page() -> str:
    """How far the API is that of Nova's own samples, and of a real Nova's answers."""
    return _page("Conformance", "`tests/compat/golden`", *blocks())


def notifications_page() -> str:
    """What is told of what happens, in which words, and what of it is not as Nova tells it."""
    return _page("Notifications", "`kilonova/notifications` and `tests/compat/notifications`", *notifications.blocks())


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "operations.md": operations_page,
    "settings.md": settings_page,
    "microversions.md": microversions_page,
    "policies.md": policies_page,
    "faults.md": faults_page,
    "conformance.md": conformance_page,
    "notifications.md": notifications_page,
}


# --- Operations --------------------------------------------------------------------------------------------


def _from_state(state: VmState, rows: Iterable[Operation]) -> str:
    """A diagram of what leads out of a state, and a line of what does not."""
    startable = [row for row in rows if state in row.accepts]
    staying = [row for row in startable if row.becomes in (None, state) or _is_stopped_again(row, state)]
    leaving = [row for row in startable if row not in staying]
    lines = [f"### {state.value}", "", "```mermaid", "stateDiagram-v2", "    direction LR"]
    ends = sorted({row.becomes for row in leaving if row.becomes}, key=list(VmState).index)
    lines += [f'    state "{one.value}" as {_identifier(one)}' for one in (state, *ends) if "-" in one.value]
    lines += [
        f"    {_identifier(state)} --> {_identifier(end)}: {_label(row)}"
        for end in ends
        for row in leaving
        if row.becomes is end
    ]
    stays = ", ".join(_named(row) for row in staying)
    return "\n".join([*lines, "```", "", f"Without leaving it: {stays}."])


def _is_stopped_again(row: Operation, state: VmState) -> bool:
    return row.keeps_stopped and state is VmState.STOPPED


def _identifier(state: VmState) -> str:
    return state.value.replace("-", "_")


def _label(row: Operation) -> str:
    meanwhile = f" / {row.during.value}" if row.during else ""
    return f"{row.name}{meanwhile}{'' if row.is_ready else ' (not yet)'}"


def _named(row: Operation) -> str:
    return f"`{row.name}`" if row.is_ready else f"*{row.name}*"


def _states_row(row: Operation) -> list[_Cell]:
    return [
        _named(row),
        _asked_by(row),
        _states(row.accepts, frozenset(VmState) - {VmState.DELETED}),
        ("needs " if row.needs_task else "") + _states(row.accepts_tasks, frozenset(TaskState)),
        " → ".join(_code(task.value) for task in (row.during, *row.steps) if task),
        _code(row.becomes and row.becomes.value) + (", `stopped` if it was" if row.keeps_stopped else ""),
        PowerState(row.power).name.lower() if row.power is not None else "",
        _after_failure(row),
        "yes" if row.is_ready else "not yet",
    ]


def _asked_by(row: Operation) -> str:
    if row.request is None:
        return "its own route"
    return f"`{row.request}`" + (f" {row.variant}" if row.variant else "")


def _states(some: frozenset[Any], every: frozenset[Any]) -> str:
    """The states in the order of their declaration, so that the page never changes by itself."""
    if some == every:
        return "*"
    order = list(VmState) + list(TaskState)
    return ", ".join(f"`{state.value}`" for state in sorted(some, key=order.index))


def _after_failure(row: Operation) -> str:
    if row.fails_to is None:
        return "as before"
    guest_runs = f", `{row.becomes}` if the guest runs" if row.forgives_running else ""
    return f"`{row.fails_to}`{guest_runs}"


def _doing_row(row: Operation) -> list[_Cell]:
    return [
        _named(row),
        f"`{row.policy}`",
        row.runs.value,
        _code(row.driver),
        f"{row.deadline_seconds // 60} min",
        row.status,
        f"{row.since} to {row.until}" if row.until else row.since,
        "yes" if row.minds_lock else "no",
    ]


def _names_row(row: Operation) -> list[_Cell]:
    events = "<br>".join(f"`{event}`" for event in row.events)
    return [_named(row), _code(row.action), events, _code(row.legacy), _code(row.notifies)]


# --- Settings ----------------------------------------------------------------------------------------------


def _options(name: str, group: Any) -> str:
    return _table(
        "Option | Default | Range | Meaning | Environment",
        (
            (
                f"`{one.name}`",
                _default(one.default),
                _range(*range_of(one)),
                meaning_of(one),
                f"`KILONOVA_{name.upper()}__{one.name.upper()}`",
            )
            for one in fields(group)
        ),
    )


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value != "" else "empty"


def _range(least: float | None, most: float | None) -> str:
    if least is None and most is None:
        return ""
    return f"{'…' if least is None else f'{least:g}'} to {'…' if most is None else f'{most:g}'}"


# --- Policies ----------------------------------------------------------------------------------------------


def _asking() -> dict[str, list[str]]:
    """By rule: the routes and operations that ask for it."""
    asking: dict[str, list[str]] = {}
    for route in (*ROUTES, *OWN_ROUTES):
        action = f" `{route.action}`" if route.action else ""
        if route.policy and not route.is_gone:
            _note(asking, route.policy, f"`{route.method} {route.path}`{action}")
    for row in OPERATIONS.values():
        _note(asking, row.policy, f"operation `{row.name}`")
    return asking


def _note(asking: dict[str, list[str]], rule: str, what: str) -> None:
    told = asking.setdefault(rule, [])
    if what not in told:
        told.append(what)


# --- Markdown ----------------------------------------------------------------------------------------------


def _page(title: str, source: str, *blocks: str) -> str:
    return "\n\n".join([f"# {title}", _GENERATED.format(source=source), *blocks]) + "\n"


def _table(head: str, rows: Iterable[Iterable[_Cell]]) -> str:
    names = head.split(" | ")
    lines = [f"| {head} |", "|" + "---|" * len(names)]
    return "\n".join(lines + [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows])


def _cell(value: _Cell) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


# --- In step -----------------------------------------------------------------------------------------------


def out_of_step(folder: Path) -> list[str]:
    """The pages in the folder that are missing, differ from what the code says, or are made from nothing."""
    stray = {file.name for file in folder.glob("*.md")} - set(PAGES)
    changed = {name for name, page in PAGES.items() if _present(folder / name) != page()}
    return sorted(stray | changed)


def _present(file: Path) -> str | None:
    return file.read_text("utf-8") if file.exists() else None


def main(arguments: list[str] | None = None) -> int:
    """Write the pages, or check them; the exit status."""
    parser = argparse.ArgumentParser(description="Write the reference pages from the code's own tables.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is out of step")
    parser.add_argument("--folder", type=Path, default=REFERENCE, help="where the pages are")
    wanted = parser.parse_args(arguments)
    if wanted.check:
        stale = out_of_step(wanted.folder)
        for name in stale:
            print(f"docs/reference/{name} is out of step with the code; run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    wanted.folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (wanted.folder / name).write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
