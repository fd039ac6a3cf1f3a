"""The schema's revisions are one chain, and the code knows all of it."""

import re
from pathlib import Path

from kilonova.store.schema import REVISIONS

_VERSIONS = Path(__file__).parents[2] / "kilonova" / "store" / "migrations" / "versions"
_REVISION = re.compile(r'^revision: Final = "(\w+)"$', re.MULTILINE)
_BEFORE = re.compile(r'^down_revision: Final(?:\[[^\]]*\])? = "?(\w+)"?$', re.MULTILINE)


def test_every_migration_follows_the_one_before_it() -> None:
    chain: list[str] = []
    for file in sorted(_VERSIONS.glob("*.py")):
        text = file.read_text("utf-8")
        revision, before = _REVISION.search(text), _BEFORE.search(text)
        assert revision is not None, file.name
        assert before is not None, file.name
        assert file.name.startswith(f"{revision[1]}_"), file.name
        assert before[1] == (chain[-1] if chain else "None"), file.name
        chain.append(revision[1])
    assert tuple(chain) == REVISIONS
