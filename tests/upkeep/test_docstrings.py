"""Every public name says what its caller may rely on."""

import ast

from tests.upkeep.sources import Definition, decorators, definitions, listing, sources

_MIGRATIONS = "kilonova/store/migrations/"
# Their text is the getter's, or another signature's.
_SAID_ELSEWHERE = {"overload", "setter", "deleter"}


def test_every_module_has_a_docstring() -> None:
    broken = [
        source.path
        for source in sources("kilonova/", "scripts/")
        if source.tree.body and not ast.get_docstring(source.tree)
    ]
    assert not broken, listing(broken, "A module says in one sentence what it hides from its reader:")


def test_every_public_class_and_function_has_a_docstring() -> None:
    broken = [
        str(definition)
        for source in sources("kilonova/")
        if not source.path.startswith(_MIGRATIONS)
        for definition in definitions(source)
        if _must_speak(definition) and not ast.get_docstring(definition.node)
    ]
    assert not broken, listing(broken, "A public name says what the caller may rely on (meaning, units, errors):")


def _must_speak(definition: Definition) -> bool:
    return definition.public and not decorators(definition.node) & _SAID_ELSEWHERE
