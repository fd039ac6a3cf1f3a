"""What the cloud says is said in Chinese too: gathered from where it says it, so that a new saying is missed here."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import kilonova.domain
from kilonova.console.board.hosts import TROUBLES
from kilonova.console.explain import Said
from kilonova.console.titles import TITLES
from kilonova.console.words import retold, sayings, words
from kilonova.domain.faults import FaultCause
from kilonova.domain.operations import OPERATIONS
from kilonova.domain.refusals import REASONS

_DOMAIN = Path(kilonova.domain.__file__).parent
_CONDITIONS = (_DOMAIN / "conditions.py", _DOMAIN / "server_conditions.py", _DOMAIN.parent / "services" / "findings.py")
_DECISIONS = (_DOMAIN / "filters.py", _DOMAIN / "groups.py", _DOMAIN / "placement.py")
_DRIVERS = _DOMAIN.parent / "drivers"
_JANITOR = _DOMAIN.parent / "services" / "janitor.py"
_REASON = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)*")


def _texts(file: Path) -> Iterator[str]:
    """Every text in a module that is no docstring, with 7 in place of whatever is put into it."""
    tree = ast.parse(file.read_text("utf-8"))
    passed_over = {id(part) for node in ast.walk(tree) for part in _not_said(node)}
    for node in ast.walk(tree):
        if id(node) in passed_over:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _not_said(node: ast.AST) -> Iterator[ast.AST]:
    """Docstrings, parts of longer texts, and what an error says."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        yield node.value
    if isinstance(node, ast.JoinedStr):
        yield from (part for value in node.values for part in ast.walk(value))
    if isinstance(node, ast.Raise | ast.AnnAssign):
        yield from ast.walk(node)


def _failures_say() -> set[str]:
    """What drivers say of a failure to its server's owner: beside the cause, or in a variable of that name."""
    found: set[str] = set()
    for file in sorted(_DRIVERS.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            found.update(text for part in _of_failure(node) for text in _spelled(part))
    return found


def _of_failure(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "GuestFailure":
        yield from node.args[1:2]
    if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "text" for to in node.targets):
        yield node.value
    if isinstance(node, ast.Tuple) and any(ast.unparse(part).startswith("FaultCause.") for part in node.elts[:-1]):
        yield node.elts[-1]


def _spelled(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from (text for part in (node.body, node.orelse) for text in _spelled(part))
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _janitor_says() -> set[str]:
    """Why it gave up what it closed: the second thing that it hands on with an action."""
    found = {text for node in ast.walk(ast.parse(_JANITOR.read_text("utf-8"))) for text in _reason_of(node)}
    return {text for text in found if " " in text}


def _reason_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("self._guarded", "_interrupted"):
        yield from (text for part in node.args[1:2] for text in _spelled(part))


def _conditions_say() -> set[str]:
    found = {text for file in _CONDITIONS for text in _texts(file)}
    return {text for text in found if " " in text.strip()}


def _reasons() -> set[str]:
    found = {text for file in _CONDITIONS for text in _texts(file) if _REASON.fullmatch(text)}
    failed = {"".join(word.capitalize() for word in cause.code.split("_")) for cause in FaultCause}
    return found | failed | REASONS


def test_every_reason_of_a_condition_is_known() -> None:
    assert {"Beating", "NoCapacity", "TwoAgents", "DiskFull"} <= _reasons()
    assert sorted(_reasons() - sayings("zh").keys() - {"True", "False"}) == []


def test_every_message_of_a_condition_is_known() -> None:
    assert "silent for 7 s; down after 7 s" in _conditions_say()
    said = {text.replace("clock is 7 s 7", "clock is 7 s ahead") for text in _conditions_say()}
    assert [text for text in sorted(said) if retold(text, "zh") == text and text.strip("7 ,of")] == []


def test_every_reason_of_a_decision_is_known() -> None:
    said = {text for file in _DECISIONS for text in _texts(file) if " " in text.strip()}
    assert {"tried before", "short of 7", "taken by members of an anti-affinity group"} <= said
    parts = {" (nearest: asked 7, free 7)", " and ", "7 7", "7 fitting", "7 77", "outside zone 7"}
    assert [text for text in sorted(said - parts) if retold(text, "zh") == text] == []
    assert retold("3 candidates: 1 fitting, 2 outside zone 7", "zh") == "3 台候选主机：1 台合适，2 台不在可用域 7"


def test_every_message_of_a_failure_is_known() -> None:
    said = _failures_say()
    assert {"the host's disk is full", "image 7 7", "the server's disk is damaged"} <= said
    assert len(said) > 50
    passed_on = {"image 7 7"}
    assert [text for text in sorted(said - passed_on) if retold(text, "zh") == text] == []
    kernel = "image 7 is not the kernel it claims to be: Linux for x86 is what boots here"
    aborted = retold(f"Build of instance 8 aborted: {kernel}", "zh")
    assert kernel in said
    assert "内核" in aborted
    assert "kernel" not in aborted


def test_every_reason_for_giving_up_is_known() -> None:
    assert {"It did not end in time.", "It was begun 7 times and never ended."} <= _janitor_says()
    assert [text for text in sorted(_janitor_says()) if retold(text, "zh") == text] == []


def test_every_operation_and_trouble_is_known() -> None:
    actions = {operation.action for operation in OPERATIONS.values() if operation.action}
    assert actions - sayings("zh").keys() == set()
    assert actions - TITLES.keys() == set()
    assert set(TROUBLES.values()) - words("zh").keys() == set()


@pytest.mark.parametrize(
    "text",
    [
        "new memory",
        "900000 GiB",
        "2 disks, 3 fans",
        "",
        "x" * 10_000,
    ],
)
def test_other_peoples_words_stay_as_they_are(text: str) -> None:
    assert retold(text, "zh") == text
    assert retold("disabled", "en") == "disabled"


def test_a_message_of_nova_is_retold_with_its_reason() -> None:
    said = "No valid host was found. 3 candidates: 3 short of memory (nearest: asked 8 MiB, free 4 MiB)"
    told = retold(said, "zh")
    assert told.startswith("没有找到合适的主机。3 台候选主机：3 台内存不足")
    assert "8 MiB" in told
    assert "4 MiB" in told
    assert retold("simulated: the host's disk is full", "zh") == "模拟：主机磁盘已满"


@pytest.mark.parametrize(
    "said, told",
    [
        ("The operation 'pause' was given up. It did not end in time.", "操作“暂停”已放弃：未能按时结束"),
        ("The operation 'pause' was given up. ", "操作“暂停”已放弃"),
        ("The server's host is down: vm-1", "云服务器的主机中断：vm-1"),
        ("The guest's process ended unexpectedly: signal 9", "客户机进程意外结束：signal 9"),
        ("Somebody's own words.", "Somebody's own words."),
    ],
)
def test_a_message_is_known_with_and_without_its_full_stop(said: str, told: str) -> None:
    assert retold(said, "zh") == told


def test_only_what_the_cloud_said_is_retold_and_names_are_not() -> None:
    said = Said(text="{name} {host} {why}", facts={"name": "down", "host": "disabled", "why": "down"})
    assert said.told(str, lambda text: retold(text, "zh")) == "down disabled 中断"


def test_slots_are_the_same_in_both_languages() -> None:
    def named(text: str) -> set[str]:
        return set(re.findall(r"{(\w+)}", text))

    assert [text for text, other in sayings("zh").items() if named(text) != named(other)] == []
