"""A cloud whose operator has rules of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.domain.errors import SettingsUnusable
from tests.plane.house import House, lived_in

RULES = """
# Servers are their users' own; a role of ours looks after hosts; reading is not for service users.
"os_compute_api:servers:delete": "rule:context_is_admin or (role:member and user_id:%(user_id)s)"
"os_compute_api:os-hypervisors:list": "rule:context_is_admin or role:service"
"""


@pytest.fixture
def ruled(tmp_path: Path) -> Iterator[House]:
    """A cloud with these rules, and three people."""
    file = tmp_path / "policy.yaml"
    file.write_text(RULES)
    with lived_in(tmp_path / "state", oslo_policy={"policy_file": str(file)}) as house:
        for user, role in (("ada", "member"), ("bob", "member"), ("carl", "service")):
            house.add_person(user, "demo", role)
        yield house


def test_a_server_may_be_deleted_by_its_own_user_alone(ruled: House) -> None:
    server = ruled.boot(user="ada")
    path = f"/servers/{server['id']}"
    refused = ruled.call("DELETE", path, user="bob")
    text = "Policy doesn't allow os_compute_api:servers:delete to be performed."
    assert (refused.status_code, refused.json()["forbidden"]["message"]) == (403, text)
    assert ruled.call("PUT", path, {"server": {"name": "renamed"}}, user="bob").status_code == 200
    assert ruled.call("DELETE", path, user="ada").status_code == 204


def test_a_role_is_let_in_where_only_administrators_were(ruled: House) -> None:
    assert ruled.call("GET", "/os-hypervisors", user="carl").status_code == 200
    assert ruled.call("GET", "/os-hypervisors/detail", user="carl").status_code == 403
    assert ruled.call("GET", "/os-hypervisors", user="ada").status_code == 403


def test_a_cloud_does_not_start_on_rules_that_make_no_sense(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text('\n"os_compute_api:limits": "role:admin and"\n')
    complaint = r"policy.yaml, line 2, the rule os_compute_api:limits ends too early\."
    with (
        pytest.raises(SettingsUnusable, match=complaint),
        lived_in(tmp_path / "state", oslo_policy={"policy_file": str(file)}),
    ):
        pass
