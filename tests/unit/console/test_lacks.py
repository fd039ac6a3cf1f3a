"""What to do for each thing that a host can lack."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.console.explain.lacks import ADVICE, GENERAL, KINDS, MIXED, advise, find_reasons
from kilonova.domain import filters, groups


def _reasons() -> Iterator[str]:
    """Whatever the filters may say of a host, with 7 in place of what is put into it."""
    for module in (filters, groups):
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text("utf-8"))):
            if isinstance(node, ast.Call):
                named = [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
                is_lack = isinstance(node.func, ast.Name) and node.func.id == "_lack"
                yield from (_text(each) for each in (named or node.args[1:2] if is_lack else named))
            elif isinstance(node, ast.Return) and isinstance(node.value, ast.Constant) and module is groups:
                yield str(node.value.value)


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else ""


_REASONS = sorted({reason for reason in _reasons() if reason not in ("", "0", "None")})


def test_the_reasons_are_gathered() -> None:
    assert {"down", "short of 7", "outside zone 7", "taken by members of an anti-affinity group"} <= set(_REASONS)
    assert len(_REASONS) > 20


@pytest.mark.parametrize("reason", _REASONS)
def test_every_reason_of_a_filter_has_advice_of_its_own(reason: str) -> None:
    assert advise([reason]) not in (GENERAL, MIXED)
    kinds = {kind for kind, pattern in KINDS if pattern.fullmatch(reason)}
    assert len(kinds) == 1, "what a reason tells of is not doubtful"


def test_every_kind_is_mended_and_every_row_mends_kinds() -> None:
    kinds = {kind for kind, _ in KINDS}
    assert kinds == {kind for mended, _ in ADVICE for kind in mended}
    for place, (mended, advice) in enumerate(ADVICE):
        before = [earlier for earlier, _ in ADVICE[:place]]
        assert not any(mended <= earlier for earlier in before), f"never chosen: {advice}"


def test_hosts_that_lacked_different_things_are_a_case_of_their_own() -> None:
    assert advise(["kept for other projects", "short of disk"]) == MIXED
    assert "another zone" in advise(["outside zone az1", "short of memory"])
    assert "soft-affinity" in advise(["apart from the members of an affinity group", "short of memory"])


def test_the_servers_own_host_is_no_lack_where_others_lacked_something() -> None:
    assert advise(["the server's own host", "short of disk"]) == advise(["short of disk"])
    assert advise(["tried before", "disabled"]) == advise(["disabled"])


@pytest.mark.parametrize(
    "said, reasons",
    [
        ("1 candidate, short of 7 vcpus (asked 8, free 1)", ["short of 7 vcpus (asked 8, free 1)"]),
        (
            "1 candidate, short of 7 vcpus (asked 8, free 1) and short of 1 GiB disk (asked 2, free 1)",
            ["short of 7 vcpus (asked 8, free 1)", "short of 1 GiB disk (asked 2, free 1)"],
        ),
        (
            "3 candidates: 2 short of disk (nearest: asked 9 GiB, free 2 GiB), 1 disabled",
            ["short of disk (nearest: asked 9 GiB, free 2 GiB)", "disabled"],
        ),
        ("no compute host has reported yet", ["no compute host has reported yet"]),
    ],
)
def test_reasons_are_read_from_the_fault_where_no_decision_tells_them(said: str, reasons: list[str]) -> None:
    assert find_reasons({}, said) == reasons
    assert advise(reasons) not in (GENERAL, MIXED)


@pytest.mark.parametrize("said", ["There are not enough hosts available.", "", "7 moons"])
def test_what_another_nova_says_gets_the_general_advice(said: str) -> None:
    assert advise(find_reasons({}, said)) == GENERAL


def test_a_decision_is_believed_before_the_fault() -> None:
    decision = {"summary": "3 candidates: 3 down", "document": {"counts": [{"reason": "disabled", "count": 3}]}}
    assert find_reasons(decision, "1 candidate, too busy") == ["disabled"]
    assert find_reasons({"summary": "3 candidates: 3 down"}, "1 candidate, too busy") == ["down"]
