"""The project's own files as the upkeep tests see them: texts, syntax trees, what is public in them."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One Python file: where it is, below the root, and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    def at(self, node: ast.AST) -> str:
        """Say where ``node`` is, so that a terminal or an editor can jump there."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A class or function: its dotted name inside the file, and whether a caller elsewhere may use it."""

    source: Source
    name: str
    node: FunctionNode | ast.ClassDef
    public: bool
    in_class: bool

    def __str__(self) -> str:
        """Say where it is and what it is called."""
        return f"{self.source.at(self.node)} {self.name}"


@cache
def project_files() -> tuple[str, ...]:
    """List every file that is in the repository or could be committed as it stands (not ignored)."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(sorted(path for path in set(listed.splitlines()) if (ROOT / path).is_file()))


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Parse every Python file below ``folders``."""
    paths = [path for path in project_files() if path.endswith(".py") and path.startswith(folders)]
    return tuple(_parse(path) for path in paths)


@cache
def _parse(path: str) -> Source:
    text = (ROOT / path).read_text(encoding="utf-8")
    return Source(path=path, text=text, tree=ast.parse(text, filename=path))


def definitions(source: Source) -> Iterator[Definition]:
    """Yield every class and function of a file, nested ones included."""
    yield from _below(source, source.tree, prefix="", public=True)


def _below(source: Source, parent: ast.AST, *, prefix: str, public: bool) -> Iterator[Definition]:
    for node in ast.iter_child_nodes(parent):
        if not isinstance(node, FunctionNode | ast.ClassDef):
            yield from _below(source, node, prefix=prefix, public=public)
            continue
        name = f"{prefix}{node.name}"
        is_public = public and not node.name.startswith("_")
        in_class = isinstance(parent, ast.ClassDef)
        yield Definition(source=source, name=name, node=node, public=is_public, in_class=in_class)
        # What is inside a function is nobody else's, whatever it is called.
        inner_public = is_public and isinstance(node, ast.ClassDef)
        yield from _below(source, node, prefix=f"{name}.", public=inner_public)


def decorators(node: FunctionNode | ast.ClassDef) -> set[str]:
    """Give the last word of each decorator: ``{"command", "option"}`` for a click command."""
    names = set()
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        names.add(dotted(called).rpartition(".")[2])
    return names


def dotted(node: ast.AST) -> str:
    """Spell a name as it stands in the code: ``datetime.now``; the empty string for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}".lstrip(".")
    return ""


def imported_modules(tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    """Yield each import with the full name of the module that it reads, wherever in the file it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            yield node, node.module or ""


def listing(broken: list[str], rule: str) -> str:
    """Put a failure into words: the rule, and each place where it is broken."""
    return "\n".join([rule, *(f"  {line}" for line in broken)])
