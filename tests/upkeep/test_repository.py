"""What may be in the repository at all."""

import re
import subprocess

from tests.upkeep.sources import ROOT, listing, project_files

# Spelled in pieces, so that this file passes its own test.
_REGISTRIES = re.compile(
    "|".join(
        [
            r"pypi\.(?:org|python)",
            r"pythonhosted" + r"\.org",
            r"npmjs" + r"\.(?:org|com)",
            r"deb\.debian" + r"\.org",
            r"archive\.ubuntu" + r"\.com",
            r"(?:^|\s)--(?:extra-)?index" + r"-url",
            r"(?:^|\s)--find" + r"-links",
        ]
    ),
    re.MULTILINE,
)
_PLACES = re.compile(r"(?<![\w./$}-])/(?:work|root)(?=/|\b)(?!:)")
_HASHED = re.compile(r"^[A-Za-z0-9._-]+==\S+.*\\$")


def _texts() -> list[tuple[str, str]]:
    found = []
    for path in project_files():
        content = (ROOT / path).read_bytes()
        if b"\0" not in content[:8000]:
            found.append((path, content.decode("utf-8")))
    return found


def _matches(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1} {match.group().strip()}"
        for path, text in _texts()
        for match in pattern.finditer(text)
    ]


def test_no_file_names_a_package_registry() -> None:
    rule = "Packages are named, never where they come from: that is a setting of the machine."
    assert not (broken := _matches(_REGISTRIES)), listing(broken, rule)


def test_no_file_holds_a_path_of_a_developers_machine() -> None:
    rule = "A path of one machine means nothing on another; write it relative to the repository."
    assert not (broken := _matches(_PLACES)), listing(broken, rule)


def test_no_link_leads_out_of_the_repository() -> None:
    command = ["git", "ls-files", "--stage"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    broken = [line.split("\t")[1] for line in listed if line.startswith("120000")]
    assert not broken, listing(broken, "A link, as to an environment that several checkouts share, is one machine's:")


def test_there_is_one_kind_of_lock_file() -> None:
    broken = [path for path in project_files() if path.endswith(("uv.lock", "poetry.lock", "Pipfile.lock"))]
    assert not broken, listing(broken, "requirements/*.txt are the lock (`make lock`); these are not:")


def test_every_locked_package_has_a_hash() -> None:
    broken = []
    for name in ("requirements/runtime.txt", "requirements/dev.txt"):
        lines = (ROOT / name).read_text().splitlines()
        for line, following in zip(lines, [*lines[1:], ""], strict=True):
            if "==" in line and not (_HASHED.match(line) and "--hash=sha256:" in following):
                broken.append(f"{name}: {line}")
    assert not broken, listing(broken, "A package without a hash would not be checked; run `make lock`:")


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
