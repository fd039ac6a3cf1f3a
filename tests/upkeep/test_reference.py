"""The generated pages, and how one that is out of step is told."""

from pathlib import Path

import pytest

from kilonova.api.policy import DEFAULTS
from kilonova.domain.operations import OPERATIONS
from scripts.generate_docs import PAGES, main, out_of_step


def test_pages_that_were_just_written_are_in_step(tmp_path: Path) -> None:
    assert main(["--folder", str(tmp_path)]) == 0
    assert out_of_step(tmp_path) == []
    assert main(["--folder", str(tmp_path), "--check"]) == 0


def test_a_page_that_is_changed_missing_or_made_from_nothing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--folder", str(tmp_path)])
    with (tmp_path / "settings.md").open("a") as page:
        page.write("by hand\n")
    (tmp_path / "faults.md").unlink()
    (tmp_path / "stray.md").write_text("# Stray\n")
    assert main(["--folder", str(tmp_path), "--check"]) == 1
    told = capsys.readouterr().err
    assert [name for name in [*PAGES, "stray.md"] if name in told] == ["settings.md", "faults.md", "stray.md"]


@pytest.mark.parametrize("name", PAGES)
def test_every_page_says_that_it_is_generated_and_by_what(name: str) -> None:
    page = PAGES[name]()
    assert "Generated from" in page
    assert "make docs" in page
    assert page == PAGES[name](), "the same page every time"


def test_the_pages_have_every_operation_and_every_rule() -> None:
    operations, policies = PAGES["operations.md"](), PAGES["policies.md"]()
    assert not [name for name in OPERATIONS if f"`{name}`" not in operations and f"*{name}*" not in operations]
    assert not [rule for rule in DEFAULTS if f"| `{rule}` |" not in policies]
