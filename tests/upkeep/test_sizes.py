"""Sizes that a reader can take in. The lists of exceptions only ever shrink."""

import ast
import statistics

from tests.upkeep.sources import Definition, Source, decorators, definitions, listing, sources

MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 6
MEDIAN_FUNCTION_LINES = 10
NINETIETH_FUNCTION_LINES = 30

# File → the lines it may have until it is divided. Lower a number or take the row away; never add one.
LONG_FILES: dict[str, int] = {
    "kilonova/domain/operations.py": 700,  # one table of plain data, a row an operation: it is looked up, not read
}
# "file name" of a function → the lines it may have; the same rule.
LONG_FUNCTIONS: dict[str, int] = {}

_EVERYTHING = ("kilonova/", "tests/", "scripts/", "bench/", "docs/")


def test_no_file_is_longer_than_a_reader_wants_to_read() -> None:
    broken = [
        f"{source.path}: {lines} lines, allowed {LONG_FILES.get(source.path, MAX_FILE_LINES)}"
        for source in sources(*_EVERYTHING)
        if (lines := _lines(source)) > LONG_FILES.get(source.path, MAX_FILE_LINES)
    ]
    assert not broken, listing(broken, "Divide the file by what each part hides:")


def test_the_list_of_long_files_only_shrinks() -> None:
    lengths = {source.path: _lines(source) for source in sources(*_EVERYTHING)}
    broken = [path for path in LONG_FILES if lengths.get(path, 0) <= MAX_FILE_LINES]
    assert not broken, listing(broken, "These are short enough, or gone: take them off LONG_FILES.")


def test_no_function_is_longer_than_a_page() -> None:
    broken = [
        f"{definition}: {lines} lines, allowed {allowed}"
        for definition in _functions(*_EVERYTHING)
        if (lines := _code_lines(definition)) > (allowed := _allowed_lines(definition))
    ]
    assert not broken, listing(broken, "Give the steps of the function names of their own (its docstring is free):")


def test_most_functions_are_taken_in_at_a_glance() -> None:
    lengths = [_code_lines(definition) for definition in _functions("kilonova/")]
    assert statistics.median(lengths) < MEDIAN_FUNCTION_LINES
    assert statistics.quantiles(lengths, n=10)[-1] < NINETIETH_FUNCTION_LINES


def test_the_list_of_long_functions_only_shrinks() -> None:
    lengths = {_key(definition): _code_lines(definition) for definition in _functions(*_EVERYTHING)}
    broken = [key for key in LONG_FUNCTIONS if lengths.get(key, 0) <= MAX_FUNCTION_LINES]
    assert not broken, listing(broken, "These are short enough, or gone: take them off LONG_FUNCTIONS.")


def test_no_function_takes_more_parameters_than_a_caller_can_remember() -> None:
    broken = [
        f"{definition}: {count} parameters, allowed {MAX_PARAMETERS}"
        for definition in _functions("kilonova/", "scripts/", "bench/")
        if (count := _parameters(definition)) > MAX_PARAMETERS and not _is_command(definition)
    ]
    assert not broken, listing(broken, "Parameters that travel together want to be a record:")


def _lines(source: Source) -> int:
    return source.text.count("\n")


def _functions(*folders: str) -> list[Definition]:
    return [
        definition
        for source in sources(*folders)
        for definition in definitions(source)
        if not isinstance(definition.node, ast.ClassDef)
    ]


def _key(definition: Definition) -> str:
    return f"{definition.source.path} {definition.name}"


def _allowed_lines(definition: Definition) -> int:
    return LONG_FUNCTIONS.get(_key(definition), MAX_FUNCTION_LINES)


def _code_lines(definition: Definition) -> int:
    node = definition.node
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def _parameters(definition: Definition) -> int:
    node = definition.node
    assert not isinstance(node, ast.ClassDef)
    named = [*node.args.posonlyargs, *node.args.args]
    if definition.in_class and "staticmethod" not in decorators(node):
        named = named[1:]
    return len(named) + len(node.args.kwonlyargs)


def _is_command(definition: Definition) -> bool:
    """A command line has an argument per option."""
    return bool(decorators(definition.node) & {"command", "group"})
