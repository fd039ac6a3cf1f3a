"""Nova's policies as its contract has them: ``tests/data/policies``, read into tables."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from kilonova.api.own import ROUTES as OWN_ROUTES
from kilonova.api.resources import ROUTES
from kilonova.api.routes import Route

_DATA: Final = Path(__file__).parent / "data" / "policies"
_FREE: Final = ("token", "gone")
_ALIAS: Final = "/os-volumes_boot"


def _lines(name: str) -> Iterator[str]:
    for line in (_DATA / name).read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line


def _full(rule: str) -> str:
    is_whole = rule in (*_FREE, "context_is_admin") or rule.startswith(("compute:", "network:", "kilonova:"))
    return rule if is_whole else f"os_compute_api:{rule}"


def _rules() -> Iterator[tuple[str, str]]:
    for line in _lines("rules.txt"):
        default, *rules = line.split()
        yield from ((_full(rule), default) for rule in rules)


def _guards() -> Iterator[tuple[str, str]]:
    for line in _lines("routes.txt"):
        request, _, rule = line.rpartition("  ")
        yield request, _full(rule)


RULES: Final[Mapping[str, str]] = dict(_rules())
"""The default of every rule: admin, manager, member, reader, service, owner, any or nobody."""

GUARDS: Final[Mapping[str, str]] = dict(_guards())
"""The rule of every request, by method, path and action; ``token`` and ``gone`` are open to whoever is signed in."""

MOUNTED: Final[tuple[tuple[str, Route], ...]] = (
    *(("", row) for row in ROUTES),
    *(("/state/v1", row) for row in OWN_ROUTES),
)
"""Every row of both surfaces, with what stands before its path."""


def request_of(prefix: str, row: Route) -> str:
    """The request of a row as the table spells it; what is an alias of servers is spelt as those."""
    path = row.path.replace(_ALIAS, "/servers", 1)
    return f"{row.method} {prefix}{path}" + (f" {row.action}" if row.action else "")
