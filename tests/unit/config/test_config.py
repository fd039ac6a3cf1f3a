"""Settings: which source wins, what a value may be, and what is said of one that makes no sense."""

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.config import Settings, load
from kilonova.domain.errors import SettingsUnusable
from kilonova.domain.options import meaning_of, range_of


def _file(folder: Path, text: str, *, name: str = "kilonova.toml") -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def _refused(*files: Path, **environment: str) -> str:
    with pytest.raises(SettingsUnusable) as raised:
        load(files, environment=environment)
    return raised.value.message


def _options() -> list[Any]:
    return [
        pytest.param(group.name, declared, id=f"{group.name}.{declared.name}")
        for group in fields(Settings)
        for declared in fields(getattr(Settings(), group.name))
    ]


def test_without_any_source_every_setting_has_its_default() -> None:
    assert load(environment={}) == Settings()


def test_a_later_source_wins_over_an_earlier_one(tmp_path: Path) -> None:
    first = _file(tmp_path, "[quota]\ncores = 1\nram = 1\ninstances = 1\nkey_pairs = 1\n", name="first.toml")
    second = _file(tmp_path, "[quota]\nram = 2\ninstances = 2\nkey_pairs = 2\n", name="second.toml")
    environment = {"KILONOVA_QUOTA__INSTANCES": "3", "KILONOVA_QUOTA__KEY_PAIRS": "3"}
    quota = load([first, second], environment=environment, overrides={("quota", "key_pairs"): 4}).quota
    assert (quota.server_groups, quota.cores, quota.ram, quota.instances, quota.key_pairs) == (10, 1, 2, 3, 4)


def test_an_option_of_the_command_line_that_was_not_given_changes_nothing() -> None:
    settings = load(environment={"KILONOVA_KILONOVA__PORT": "9000"}, overrides={("kilonova", "port"): None})
    assert settings.kilonova.port == 9000


def test_a_group_in_capitals_is_found_by_the_environment() -> None:
    assert load(environment={"KILONOVA_DEFAULT__HOST": "cmp1"}).DEFAULT.host == "cmp1"


@pytest.mark.parametrize(
    "variable", ["KILONOVA_TEST_URL", "KILONOVA", "PATH", "OS__KILONOVA", "XKILONOVA_QUOTA__CORES"]
)
def test_a_variable_that_is_not_for_us_is_left_alone(variable: str) -> None:
    assert load(environment={variable: "1"}) == Settings()


def test_a_misspelt_option_is_refused_with_the_closest_that_there_is(tmp_path: Path) -> None:
    expected = "There is no setting coers in [quota]. Did you mean cores?"
    assert _refused(_file(tmp_path, "[quota]\ncoers = 1\n")) == expected
    assert _refused(KILONOVA_QUOTA__COERS="1") == expected


def test_a_misspelt_group_is_refused_with_the_closest_that_there_is(tmp_path: Path) -> None:
    expected = "There is no group of settings [qouta]. Did you mean quota?"
    assert _refused(_file(tmp_path, "[qouta]\ncores = 1\n")) == expected
    assert _refused(KILONOVA_QOUTA__CORES="1") == expected
    assert _refused(KILONOVA_DEFALT__HOST="a").endswith("Did you mean DEFAULT?")


def test_what_resembles_nothing_is_refused_without_a_guess() -> None:
    assert _refused(KILONOVA_QUOTA__XYZZY="1") == "There is no setting xyzzy in [quota]."


def test_an_option_outside_of_any_group_is_refused(tmp_path: Path) -> None:
    file = _file(tmp_path, "cores = 1\n")
    assert _refused(file) == f"In {file}, 'cores' stands outside a group such as [DEFAULT]."


def test_a_file_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    assert _refused(missing) == f"The settings in {missing} cannot be read: No such file or directory."


def test_a_file_that_is_not_toml_is_told_with_the_place(tmp_path: Path) -> None:
    file = _file(tmp_path, "[quota\n")
    assert _refused(file).startswith(f"The settings in {file} are not TOML: ")
    assert "line 1" in _refused(file)


def test_a_file_that_is_not_text_is_told_as_such(tmp_path: Path) -> None:
    file = tmp_path / "kilonova.toml"
    file.write_bytes(b"\xff\xfe\x00")
    assert _refused(file).startswith(f"The settings in {file} are not TOML: ")


@pytest.mark.parametrize(
    "group, line, what",
    [
        ("quota", "cores = 'many'", "the setting cores in [quota] cannot be 'many': not a whole number."),
        ("quota", "cores = 1.5", "the setting cores in [quota] cannot be 1.5: not a whole number."),
        ("quota", "cores = true", "the setting cores in [quota] cannot be True: not a whole number."),
        ("quota", "cores = [1]", "the setting cores in [quota] cannot be [1]: not a whole number."),
        ("DEFAULT", "cpu_allocation_ratio = true", "cannot be True: not a number."),
        ("DEFAULT", "cpu_allocation_ratio = nan", "cannot be nan: not a number."),
        ("DEFAULT", "cpu_allocation_ratio = 'inf'", "cannot be 'inf': not a number."),
        ("DEFAULT", "cpu_allocation_ratio = {}", "cannot be {}: not a number."),
        ("DEFAULT", "host = ['a']", "cannot be ['a']: not a text."),
        ("DEFAULT", "host = 5", "cannot be 5: not a text."),
        ("api", "enable_instance_password = 'maybe'", "cannot be 'maybe': neither true nor false."),
        ("api", "enable_instance_password = 2", "cannot be 2: neither true nor false."),
        ("kilonova", "port = 70000", "cannot be 70000: the most is 65535."),
        ("kilonova", "port = -1", "cannot be -1: the least is 0."),
        ("quota", "ram = -2", "cannot be -2: the least is -1."),
        ("DEFAULT", "report_interval = 0", "cannot be 0: the least is 1."),
        ("DEFAULT", "cpu_allocation_ratio = -0.5", "cannot be -0.5: the least is 0."),
        ("kilonova", "threads = 0", "cannot be 0: the least is 1."),
        ("quota", "cores.more = 1", "cannot be {'more': 1}: not a whole number."),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_in_one_sentence(
    tmp_path: Path, group: str, line: str, what: str
) -> None:
    said = _refused(_file(tmp_path, f"[{group}]\n{line}\n"))
    assert said.lower().endswith(what.lower())
    assert "\n" not in said


@pytest.mark.parametrize("word", ["true", "True", "1", "yes", "on"])
def test_the_words_for_true_are_understood(word: str) -> None:
    assert load(environment={"KILONOVA_API__ENABLE_INSTANCE_PASSWORD": word}).api.enable_instance_password is True


@pytest.mark.parametrize("word", ["false", "FALSE", "0", "no", "off"])
def test_the_words_for_false_are_understood(word: str) -> None:
    assert load(environment={"KILONOVA_API__ENABLE_INSTANCE_PASSWORD": word}).api.enable_instance_password is False


def test_a_whole_number_is_good_where_a_fraction_could_be(tmp_path: Path) -> None:
    ratio = load(
        [_file(tmp_path, "[DEFAULT]\ncpu_allocation_ratio = 2\n")], environment={}
    ).DEFAULT.cpu_allocation_ratio
    assert (ratio, type(ratio)) == (2.0, float)


@given(st.integers(-1, 10**17))
def test_a_number_in_the_environment_is_the_number_that_it_spells(number: int) -> None:
    assert load(environment={"KILONOVA_QUOTA__RAM": f" {number} "}).quota.ram == number


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"])))
def test_a_text_in_the_environment_is_taken_as_it_is(text: str) -> None:
    assert load(environment={"KILONOVA_DEFAULT__NETWORK_LABEL": text}).DEFAULT.network_label == text


@pytest.mark.parametrize("group, declared", _options())
def test_every_option_says_what_it_means_and_has_a_default_in_its_own_range(group: str, declared: Any) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", declared.name)
    assert meaning_of(declared)[0].isupper()
    assert meaning_of(declared).endswith(".")
    assert declared.default is not MISSING
    assert type(declared.default) in (str, int, float, bool)
    least, most = range_of(declared)
    assert least is None or declared.default >= least
    assert most is None or declared.default <= most


@pytest.mark.parametrize("group, declared", _options())
def test_every_option_can_be_set_by_the_environment(group: str, declared: Any) -> None:
    variable = f"KILONOVA_{group.upper()}__{declared.name.upper()}"
    settings = load(environment={variable: str(declared.default)})
    assert settings == Settings()
