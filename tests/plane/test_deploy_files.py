"""What is shipped for Prometheus and Grafana asks only for metrics that there are, and is what those programs read."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.plane.house import lived_in

_DEPLOY: Final = Path(__file__).parents[2] / "deploy"
_RULES: Final = _DEPLOY / "prometheus" / "kilonova.rules.yml"
_BOARD: Final = _DEPLOY / "grafana" / "kilonova.json"
_NAME: Final = re.compile(r"\bkilonova_[a-z_]+")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of all samples that there can be."""
    with lived_in(Path(tmp_path_factory.mktemp("deploy")), metrics={"public": True}) as house:
        text = house.raw("GET", "/metrics").text
    families = {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE ")}
    suffixes = {"histogram": ("_bucket", "_sum", "_count")}
    return {name + suffix for name, type_ in families.items() for suffix in suffixes.get(type_, ("",))}


def _rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(_RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def test_every_alert_asks_for_what_there_is(served: set[str]) -> None:
    for rule in _rules():
        assert set(_NAME.findall(rule["expr"])) <= served, rule["alert"]


def test_every_alert_says_how_bad_it_is_and_what_it_means() -> None:
    rules = _rules()
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"]


def test_every_panel_asks_for_what_there_is(served: set[str]) -> None:
    board = json.loads(_BOARD.read_text("utf-8"))
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in board["panels"]:
        asked = {name for target in panel["targets"] for name in _NAME.findall(target["expr"])}
        assert asked, panel["title"]
        assert asked <= served, panel["title"]


@pytest.mark.parametrize("kind, file", [("rules", _RULES), ("metrics", None)])
def test_promtool_finds_nothing_wrong(tmp_path: Path, kind: str, file: Path | None) -> None:
    promtool = shutil.which("promtool")
    if promtool is None and os.environ.get("CI"):
        pytest.fail("promtool is missing, and CI has to have it")
    if promtool is None:
        pytest.skip("promtool is not installed; Debian has it in the package prometheus")
    scraped = b""
    if file is None:
        with lived_in(tmp_path, metrics={"public": True, "openstack_names": False}) as house:
            house.boot()
            house.cloud.plane.monitor.step()
            scraped = house.raw("GET", "/metrics").content
    told = [str(file)] if file else []
    done = subprocess.run([promtool, "check", kind, *told], input=scraped, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
