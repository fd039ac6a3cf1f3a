"""Which cloud is meant: as all openstack clients read it."""

from pathlib import Path

import pytest

from kilonova.console.accounts import find_login
from kilonova.console.errors import CloudError

_CLOUDS = """
clouds:
  kilonova: {auth: {auth_url: "http://here/identity/v3", username: admin, password: secret, project_name: demo}}
  other: {auth: {auth_url: "http://there/v3", username: mia, password: hers}, region_name: west, verify: false}
  broken: {auth: {username: mia}}
"""


def _environment(tmp_path: Path, text: str = _CLOUDS, **more: str) -> dict[str, str]:
    file = tmp_path / "clouds.yaml"
    file.write_text(text, "utf-8")
    return {"OS_CLIENT_CONFIG_FILE": str(file), **more}


def test_without_a_word_it_is_this_machines_own(tmp_path: Path) -> None:
    login = find_login(environment=_environment(tmp_path))
    assert (login.auth_url, login.username, login.project_name) == ("http://here/identity/v3", "admin", "demo")


def test_a_named_cloud_is_taken(tmp_path: Path) -> None:
    login = find_login("other", _environment(tmp_path))
    assert login.source.startswith("cloud other of /")
    assert (login.auth_url, login.region_name, login.verify) == ("http://there/v3", "west", False)


def test_the_environment_names_a_cloud_or_is_one(tmp_path: Path) -> None:
    assert find_login(environment=_environment(tmp_path, OS_CLOUD="other")).username == "mia"
    whole = {"OS_AUTH_URL": "http://x/v3/", "OS_USERNAME": "a", "OS_PASSWORD": "b", "OS_PROJECT_NAME": "p"}
    assert find_login(environment=whole).auth_url == "http://x/v3"


@pytest.mark.parametrize("name, text", [("nix", _CLOUDS), ("broken", _CLOUDS), ("kilonova", "clouds: ["), ("x", "[]")])
def test_a_login_that_cannot_be_is_told_in_a_sentence(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(CloudError, match=r"cloud|auth_url|YAML"):
        find_login(name, _environment(tmp_path, text))


def test_a_password_is_in_no_text(tmp_path: Path) -> None:
    assert "secret" not in repr(find_login(environment=_environment(tmp_path)))
