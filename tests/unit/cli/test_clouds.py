"""``clouds.yaml``: what is in a user's file stays in it, to the byte."""

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilonova.cli.clouds import CLOUD, Access, Account, find_password, recall, remember

_ACCOUNT = Account(
    auth_url="http://127.0.0.1:8774/identity/v3",
    username="admin",
    password="s3cret-_x",
    project="demo",
    region="RegionOne",
)
_ENTRY = {
    "auth": {
        "auth_url": "http://127.0.0.1:8774/identity/v3",
        "username": "admin",
        "password": "s3cret-_x",
        "project_name": "demo",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    },
    "region_name": "RegionOne",
    "identity_api_version": 3,
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a user's home directory that nothing else knows."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("OS_CLIENT_CONFIG_FILE", raising=False)
    (tmp_path / "state").mkdir()
    return tmp_path


@pytest.fixture
def named(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a file that the user named as theirs; it is not there yet."""
    file = home / "mine.yaml"
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    return file


def _remembered(home: Path) -> Access:
    return remember(_ACCOUNT, beside=home / "state")


def _added(home: Path, file: Path, text: str) -> str:
    """Give the file's text after the account was added to it; it must have been."""
    file.write_bytes(text.encode())
    written = _remembered(home)
    assert written.is_default, written.told
    return file.read_bytes().decode()


def _refused(home: Path, file: Path, content: bytes) -> str:
    """Give the reason for which nothing was added to the file; it must be as it was."""
    file.write_bytes(content)
    written = _remembered(home)
    assert not written.is_default
    assert written.file == home / "state" / "clouds.yaml"
    assert file.read_bytes() == content
    assert "\n" not in written.told
    return written.told.partition("(")[2].removesuffix(")").replace(str(file), "FILE")


def _mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_first_file_is_made_where_clients_look_and_for_its_owner_alone(home: Path) -> None:
    written = _remembered(home)
    file = home / ".config" / "openstack" / "clouds.yaml"
    if Path("/etc/openstack/clouds.yaml").exists():
        pytest.skip("this machine has clouds of its own, which a new file would hide")
    assert (written.file, written.password, written.is_default) == (file, "s3cret-_x", True)
    assert yaml.safe_load(file.read_text()) == {"clouds": {CLOUD: _ENTRY}}
    assert (_mode(file), _mode(file.parent)) == (0o600, 0o700)


def test_the_account_is_kept_in_the_state_directory_too_for_its_owner_alone(home: Path, named: Path) -> None:
    _remembered(home)
    own = home / "state" / "clouds.yaml"
    assert yaml.safe_load(own.read_text()) == {"clouds": {CLOUD: _ENTRY}}
    assert _mode(own) == 0o600


def test_the_directory_of_settings_that_the_user_chose_is_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = home / "elsewhere" / "openstack"
    folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder.parent))
    (folder / "clouds.yaml").write_text("")
    assert _remembered(home).file == folder / "clouds.yaml"


def test_a_file_for_all_to_read_is_for_its_owner_alone_once_there_is_a_password_in_it(home: Path, named: Path) -> None:
    named.write_text("clouds:\n")
    named.chmod(0o644)
    _remembered(home)
    assert _mode(named) == 0o600


def test_a_file_behind_a_link_is_changed_and_the_link_stays(home: Path, named: Path) -> None:
    real = home / "dotfiles.yaml"
    real.write_text("# mine\n")
    named.symlink_to(real)
    assert _remembered(home).is_default
    assert named.is_symlink()
    assert real.read_text().startswith("# mine\nclouds:\n")


def test_nothing_temporary_is_left_beside_the_files(home: Path, named: Path) -> None:
    _remembered(home)
    assert sorted(path.name for path in home.iterdir()) == ["mine.yaml", "state"]
    assert [path.name for path in (home / "state").iterdir()] == ["clouds.yaml"]


_PLACES = [
    pytest.param("", id="empty"),
    pytest.param("# only a comment\n", id="comment"),
    pytest.param("---\n", id="document mark"),
    pytest.param("clouds:\n", id="no clouds yet"),
    pytest.param("clouds:", id="no line end"),
    pytest.param("clouds:   # mine\n", id="comment beside"),
    pytest.param("clouds:\n  # none yet\n", id="comment below"),
    pytest.param("clouds:\n  a:\n    region_name: x\n", id="one cloud"),
    pytest.param("clouds:\n    a:\n      region_name: x\n", id="indented by four"),
    pytest.param("clouds:\n # less deep\n    a: {region_name: x}\n", id="comment less deep"),
    pytest.param("clouds:\n      # deeper\n  a: {region_name: x}\n", id="comment deeper"),
    pytest.param("clouds:\n\n\n  a: {region_name: x}", id="blank lines, no line end"),
    pytest.param("cache:\n  expiration: 5\nclouds:\n  a: {}\nmore: 1\n", id="in the middle"),
    pytest.param("cache: 5\n", id="other keys only"),
    pytest.param("x: &x {region_name: r}\nclouds:\n  a: *x\n", id="anchors"),
    pytest.param("clouds:\n  a:\n    day: 2026-11-22\n    'on': yes\n    n: 0x1F\n    m: .nan\n", id="odd values"),
    pytest.param("clouds:\n  ünï: {region_name: ö}\n", id="letters of all kinds"),
]


@pytest.mark.parametrize("text", _PLACES)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_the_entry_is_added_and_every_line_that_was_there_stays(
    home: Path, named: Path, text: str, line_end: str
) -> None:
    before = text.replace("\n", line_end)
    after = _added(home, named, before)
    _assert_kept(before, after)
    if "\n" in before:
        assert after.count("\n") == after.count(line_end), "one kind of line end"


def _assert_kept(before: str, after: str) -> None:
    old: dict[str, Any] = yaml.safe_load(before) or {}
    new = yaml.safe_load(after)
    assert new == {**old, "clouds": {**(old.get("clouds") or {}), CLOUD: _ENTRY}}
    lines = iter(after.splitlines())
    missing = [line for line in before.splitlines() if line not in lines]
    assert not missing, "every line, in the old order"


@pytest.mark.parametrize(
    "content, reason",
    [
        pytest.param("clouds: {}\n", "style", id="flow"),
        pytest.param("{clouds: {a: {}}}\n", "style", id="flow all over"),
        pytest.param("{}\n", "style", id="empty flow"),
        pytest.param("clouds: &all\n  a: {}\n", "style", id="anchored"),
        pytest.param('"clouds":\n  a: {}\n', "style", id="quoted"),
        pytest.param("a: 1\n...\n", "style", id="document end"),
        pytest.param("clouds:\n  a: {}\nclouds:\n  b: {}\n", "style", id="twice"),
        pytest.param("note: |\n  text", "style", id="text without its line end"),
        pytest.param("clouds: [a]\n", "no mapping", id="list of clouds"),
        pytest.param("clouds: 5\n", "no mapping", id="number of clouds"),
        pytest.param("- a\n", "no mapping", id="list"),
        pytest.param("just words\n", "no mapping", id="words"),
        pytest.param("a: [\n", "read", id="not closed"),
        pytest.param("a:\n\tb: 1\n", "read", id="tab"),
        pytest.param("a: 1\n---\nb: 2\n", "read", id="two documents"),
        pytest.param("a: !!timestamp noon\n", "read", id="no time of day"),
        pytest.param("a: 2026-99-99\n", "read", id="no date"),
        pytest.param("a: !!python/object:os.system x\n", "read", id="foreign tag"),
        pytest.param("[" * 3000, "read", id="too deep"),
    ],
)
def test_what_cannot_be_added_to_is_left_as_it_is_with_the_reason(
    home: Path, named: Path, content: str, reason: str
) -> None:
    told = {
        "style": "FILE is written in a style that cannot be added to and was left as it is",
        "no mapping": "FILE has no mapping of clouds and was left as it is",
        "read": "FILE cannot be read as YAML and was left as it is",
    }
    assert _refused(home, named, content.encode()) == told[reason]


def test_a_file_that_is_not_utf_8_is_left_as_it_is(home: Path, named: Path) -> None:
    assert "cannot be read as YAML" in _refused(home, named, b"clouds:\n  \xe4: {}\n")


@pytest.mark.parametrize("entry", ["{auth: {password: mine}}", "{}", "null"])
def test_an_entry_of_this_name_is_the_users_and_stays(home: Path, named: Path, entry: str) -> None:
    content = f"clouds:\n  {CLOUD}: {entry}\n"
    assert _refused(home, named, content.encode()) == "FILE has a cloud kilonova already and was left as it is"


def test_an_entry_that_comes_from_elsewhere_in_the_file_is_seen(home: Path, named: Path) -> None:
    content = b"x: &x\n  kilonova: {region_name: mine}\nclouds:\n  <<: *x\n"
    assert "has a cloud kilonova already" in _refused(home, named, content)


def test_remembering_twice_adds_once(home: Path, named: Path) -> None:
    first = _remembered(home)
    text = named.read_bytes()
    assert _remembered(home) == first
    assert named.read_bytes() == text


def test_another_password_under_the_same_name_is_the_users_and_stays(home: Path, named: Path) -> None:
    _remembered(home)
    text = named.read_bytes()
    written = remember(replace(_ACCOUNT, password="other"), beside=home / "state")
    assert not written.is_default
    assert named.read_bytes() == text
    assert find_password(home / "state") == "other"


def test_the_password_that_was_kept_is_found_again(home: Path, named: Path) -> None:
    assert find_password(home / "state") is None
    _remembered(home)
    assert find_password(home / "state") == "s3cret-_x"


@pytest.mark.parametrize(
    "content",
    [b"", b"[", b"\xff", b"clouds:\n", b"clouds: {kilonova: {}}\n", b"clouds: {kilonova: {auth: [1]}}\n", b"7\n"],
)
def test_where_the_kept_file_is_damaged_there_is_no_password(home: Path, content: bytes) -> None:
    (home / "state" / "clouds.yaml").write_bytes(content)
    assert find_password(home / "state") is None


def test_a_file_that_cannot_be_written_is_told_with_the_reason(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(home / "file" / "clouds.yaml"))
    written = _remembered(home)
    assert not written.is_default
    assert "cannot be" in written.told


@pytest.mark.parametrize("name", ["clouds.yml", "clouds.json"])
def test_a_new_file_never_hides_one_that_clients_read_now(home: Path, name: str) -> None:
    folder = home / ".config" / "openstack"
    folder.mkdir(parents=True)
    (folder / name).write_text("{}")
    written = _remembered(home)
    assert not written.is_default
    assert not (folder / "clouds.yaml").exists()
    assert f"{folder / name} is there" in written.told


def test_without_a_home_directory_the_account_is_in_the_state_directory_only(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", "~nobody-of-this-name/clouds.yaml")
    written = _remembered(home)
    assert written.file == home / "state" / "clouds.yaml"
    assert "no home directory" in written.told


def test_where_nothing_can_be_written_it_is_told_to_write_the_password_down(home: Path, named: Path) -> None:
    """The password is known nowhere else: an error here would lose the cloud that was just made."""
    (home / "state" / "clouds.yaml").mkdir()
    named.mkdir()
    written = _remembered(home)
    assert written.password == "s3cret-_x"
    assert written.told.startswith("no file, write it down (")
    assert f"{home / 'state' / 'clouds.yaml'} cannot be written: Is a directory" in written.told
    assert [path.name for path in (home / "state").iterdir()] == ["clouds.yaml"], "nothing temporary is left"


def test_what_is_told_says_where_the_account_is_and_never_the_password(home: Path, named: Path) -> None:
    assert _remembered(home).told == f"{named}, cloud kilonova"


# --- any file at all -------------------------------------------------------------------------------------

_KEYS = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.dates()
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3), max_leaves=6
)
_CLOUDS = st.dictionaries(_KEYS, _VALUES, max_size=4)
_DOCUMENTS = st.builds(
    lambda before, clouds, after: {**before, **({} if clouds is None else {"clouds": clouds}), **after},
    st.dictionaries(_KEYS, _VALUES, max_size=2),
    st.none() | _CLOUDS,
    st.dictionaries(_KEYS, _VALUES, max_size=2),
)


@st.composite
def _files(draw: st.DrawFn) -> str:
    """Draw the text of some user's file: any document, in some style, with comments between its lines."""
    text: str = yaml.safe_dump(
        draw(_DOCUMENTS),
        sort_keys=False,
        default_flow_style=draw(st.sampled_from([False, None, True])),
        indent=draw(st.integers(2, 6)),
        allow_unicode=draw(st.booleans()),
        explicit_start=draw(st.booleans()),
    )
    comments = st.integers(0, 7).map(lambda depth: " " * depth + "# mine")
    lines = [entry for line in text.split("\n") for entry in ([draw(comments)] if draw(st.booleans()) else []) + [line]]
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=_files() | st.text(alphabet="clouds: \n#-{}[]'\"ab\t\r|>&*!\u2028é", max_size=60))
def test_nothing_that_was_in_a_file_is_ever_lost(home: Path, named: Path, text: str) -> None:
    named.write_bytes(text.encode())
    written = _remembered(home)
    after = named.read_bytes().decode()
    if written.is_default:
        _assert_kept(text, after)
    else:
        assert after == text


def test_a_later_start_knows_whether_the_users_file_means_this_very_cloud(home: Path) -> None:
    _remembered(home)
    own = home / "state"
    again = recall(_ACCOUNT, beside=own)
    assert (again.is_default, again.prefix, again.is_new) == (True, "", False)
    moved = recall(replace(_ACCOUNT, auth_url="http://127.0.0.1:9999/identity/v3"), beside=own)
    assert moved.prefix == f"OS_CLIENT_CONFIG_FILE={own / 'clouds.yaml'} "
    assert "9999" in (own / "clouds.yaml").read_text()
    assert "9999" not in (home / ".config" / "openstack" / "clouds.yaml").read_text()


def test_a_later_start_says_when_the_password_is_gone(home: Path) -> None:
    told = recall(replace(_ACCOUNT, password=""), beside=home / "state").told
    assert "is gone" in told


@pytest.mark.parametrize(
    "called, found, program",
    [
        (".venv/bin/kilonova", None, ".venv/bin/kilonova"),
        (".venv/bin/kilonova", "/usr/bin/kilonova", "kilonova"),
        ("kilonova/__main__.py", None, "kilonova"),
    ],
)
def test_what_to_try_first_reaches_this_very_cloud(
    home: Path, monkeypatch: pytest.MonkeyPatch, called: str, found: str | None, program: str
) -> None:
    monkeypatch.setattr("kilonova.cli.clouds.shutil.which", lambda _name: found)
    (openstack, status) = remember(_ACCOUNT, beside=home / "state").commands(called)
    assert (openstack.split()[:3], status) == (["openstack", "--os-cloud", CLOUD], f"{program} status")
    other = remember(replace(_ACCOUNT, auth_url="http://127.0.0.1:9/identity/v3"), beside=home / "state")
    assert all(command.startswith("OS_CLIENT_CONFIG_FILE=") for command in other.commands(called))
