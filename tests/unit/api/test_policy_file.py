"""An operator's policy.yaml."""

from pathlib import Path

import pytest

from kilonova.api.policy_file import policy_in_force, read_policy_file
from kilonova.api.settings import PolicySettings
from kilonova.domain.errors import SettingsUnusable
from tests.unit.api.cloud import DEMO, Tokens

LIMITS = "os_compute_api:limits"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policy.yaml"


def test_rules_stand_in_place_of_the_defaults(file: Path) -> None:
    file.write_text(f'# ours\n"operators": "role:operator"\n"{LIMITS}": "rule:operators"\n')
    policy, doubts = policy_in_force(PolicySettings(policy_file=str(file)))
    asked = {role: policy.passes(LIMITS, Tokens().authenticate(f"u:{DEMO}:{role}")) for role in ("operator", "admin")}
    assert asked == {"operator": True, "admin": False}
    assert doubts == ()


def test_json_and_the_old_form_of_lists_are_read_too(file: Path) -> None:
    file.write_text(f'{{"{LIMITS}": [["role:admin", "project_id:%(project_id)s"], ["role:operator"]]}}')
    policy = read_policy_file(file).policy()
    assert policy.passes(LIMITS, Tokens().authenticate("u:p:admin"), project_id="p")
    assert not policy.passes(LIMITS, Tokens().authenticate("u:p:admin"), project_id="q")


def test_without_a_file_or_with_an_empty_one_the_defaults_are_in_force(file: Path) -> None:
    file.write_text("# nothing yet\n")
    assert policy_in_force(PolicySettings())[0].texts == read_policy_file(file).policy().texts


def test_a_rule_that_nothing_asks_for_is_doubted(file: Path) -> None:
    file.write_text('"os_compute_api:server:show": "!"\n')
    _, doubts = policy_in_force(PolicySettings(policy_file=str(file)))
    (doubt,) = doubts
    assert f"{file}, line 1, nothing asks for the rule os_compute_api:server:show." in doubt
    assert doubt.endswith("Did you mean os_compute_api:servers:show?")


@pytest.mark.parametrize(
    "text, complaint",
    [
        ('"a": "@"\n"b": "role:admin or"\n', ", line 2, the rule b ends too early."),
        ('"a": "@"\n\n"b": "rule:c"\n', ", line 3, the rule b asks for the rule c, which is nowhere."),
        ('"a": "rule:b"\n"b": "rule:a"\n', ", line 1, the rule a asks for itself: a → b → a."),
        ('"context_is_admin": "rule:admin_api"\n', ", line 1, the rule context_is_admin asks for itself"),
        ('"a": "@"\n"a": "!"\n', ", line 2, the rule a stands a second time, after line 1."),
        ('"a": 1\n', ", line 1, the rule a has to be a text, or a list of lists of texts."),
        ('"a":\n', ", line 1, the rule a has to be a text"),
        ('"a": {"b": "c"}\n', ", line 1, the rule a has to be a text"),
        ('"a": [["role:b", ["c"]]]\n', ", line 1, the rule a has to be a text"),
        ("- a\n", " has to be a mapping of names to rules."),
        ("a: [\n", " is not YAML: "),
        ("a: !!python/object:os.system ls\n", ", line 1, the rule a has to be a text"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_the_place(file: Path, text: str, complaint: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsUnusable) as refusal:
        policy_in_force(PolicySettings(policy_file=str(file)))
    assert str(file) + complaint in refusal.value.message


def test_a_file_that_is_not_there_is_refused(file: Path) -> None:
    with pytest.raises(SettingsUnusable, match=r"cannot be read: No such file or directory\."):
        policy_in_force(PolicySettings(policy_file=str(file)))
