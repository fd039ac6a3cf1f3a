"""The middle is pure, and no error is swallowed."""

import ast
import sys
from collections.abc import Iterator

from tests.upkeep.sources import Source, dotted, imported_modules, listing, sources

_PURE = ("kilonova/domain/", "kilonova/wire/")
# Modules of the standard library that read a clock, draw lots, or reach outside the process.
_IMPURE = {
    *("asyncio", "concurrent", "glob", "http", "logging", "multiprocessing", "os", "pathlib", "random"),
    *("secrets", "select", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile"),
    *("threading", "time", "urllib"),
}
_CLOCKS_AND_LOTS = {"now", "utcnow", "today", "uuid1", "uuid4", "open", "print", "input"}
_WIDE = {"", "Exception", "BaseException"}


def test_the_domain_and_the_wire_formats_import_the_standard_library_only() -> None:
    broken = [
        f"{source.at(node)} {module}"
        for source in sources(*_PURE)
        for node, module in imported_modules(source.tree)
        if not module.startswith(("kilonova.domain", "kilonova.wire"))
        and module.partition(".")[0] not in sys.stdlib_module_names
    ]
    assert not broken, listing(broken, "The core can be read, tested and reused without installing anything:")


def test_the_domain_and_the_wire_formats_reach_nothing_outside() -> None:
    broken = [
        f"{source.at(node)} {module}"
        for source in sources(*_PURE)
        for node, module in imported_modules(source.tree)
        if module.partition(".")[0] in _IMPURE and module != "urllib.parse"
    ]
    assert not broken, listing(broken, "Time, ids, chance and I/O come as arguments:")


def test_the_domain_and_the_wire_formats_read_no_clock() -> None:
    broken = [
        f"{source.at(call)} {dotted(call.func)}()"
        for source in sources(*_PURE)
        for call in _calls(source)
        if dotted(call.func).rpartition(".")[2] in _CLOCKS_AND_LOTS
    ]
    assert not broken, listing(broken, "Time and ids are arguments; whoever calls passes `now`:")


def test_no_error_is_swallowed() -> None:
    broken = [
        f"{source.at(node)} except {dotted(node.type) if node.type else ''}".rstrip()
        for source in sources("kilonova/", "tests/", "scripts/", "bench/")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ExceptHandler) and (node.type is None or (_is_wide(node) and _is_silent(node)))
    ]
    rule = "Catch what you expect by its type; whoever catches everything logs it or raises it again:"
    assert not broken, listing(broken, rule)


def test_no_wide_suppression_hides_an_error() -> None:
    broken = [
        source.at(call)
        for source in sources("kilonova/", "tests/", "scripts/", "bench/")
        for call in _calls(source)
        if dotted(call.func).rpartition(".")[2] == "suppress"
        and any(dotted(argument) in _WIDE - {""} for argument in call.args)
    ]
    assert not broken, listing(broken, "suppress() names the error that is expected:")


def _calls(source: Source) -> Iterator[ast.Call]:
    return (node for node in ast.walk(source.tree) if isinstance(node, ast.Call))


def _is_wide(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or dotted(kind) in _WIDE for kind in caught)


def _is_silent(handler: ast.ExceptHandler) -> bool:
    return all(isinstance(step, ast.Pass | ast.Continue | ast.Break) or _is_ellipsis(step) for step in handler.body)


def _is_ellipsis(step: ast.stmt) -> bool:
    return isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant)
