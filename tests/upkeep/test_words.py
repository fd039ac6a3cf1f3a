"""Names that say something."""

import ast

from tests.upkeep.sources import definitions, dotted, imported_modules, listing, project_files, sources

_EMPTY_SUFFIXES = ("Manager", "Helper", "Handler", "Impl", "Base", "Info")
_EMPTY_MODULES = {"utils", "util", "helpers", "helper", "common", "misc"}
_FEWEST_WORDS = 3
_SLEEPS_ALLOWED = "tests/waiting.py"


def test_no_class_is_named_after_nothing() -> None:
    broken = [
        str(definition)
        for source in sources("kilonova/", "tests/", "scripts/", "bench/")
        for definition in definitions(source)
        if isinstance(definition.node, ast.ClassDef) and definition.node.name.endswith(_EMPTY_SUFFIXES)
    ]
    rule = f"Say what it is or does; {', '.join(_EMPTY_SUFFIXES)} say neither:"
    assert not broken, listing(broken, rule)


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    broken = [
        path
        for path in project_files()
        if path.endswith(".py") and _EMPTY_MODULES & set(path.removesuffix(".py").split("/"))
    ]
    assert not broken, listing(broken, "Name a module after what it hides:")


def test_test_names_are_sentences() -> None:
    broken = [
        str(definition)
        for source in sources("tests/")
        for definition in definitions(source)
        if definition.node.name.startswith("test_") and len(definition.node.name.split("_")) - 1 < _FEWEST_WORDS
    ]
    assert not broken, listing(broken, "A test's name says what holds: test_a_paused_instance_cannot_be_stopped.")


def test_no_test_mocks_our_own_code() -> None:
    broken = [
        f"{source.at(node)} {module}"
        for source in sources("tests/")
        for node, module in imported_modules(source.tree)
        if module in {"mock", "unittest.mock"} or (module == "unittest" and _names_mock(node))
    ]
    assert not broken, listing(broken, "There is one fake per seam, and no mock of our own code:")


def test_no_test_ever_sleeps() -> None:
    broken = [
        source.at(node)
        for source in sources("tests/")
        if source.path != _SLEEPS_ALLOWED
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and dotted(node.func) in {"time.sleep", "asyncio.sleep", "sleep"}
    ]
    rule = "Step the loops (plane.settle()); for another process there is tests.waiting.wait_until:"
    assert not broken, listing(broken, rule)


def _names_mock(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and any(alias.name == "mock" for alias in node.names)
