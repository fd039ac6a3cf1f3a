"""The tables of the embedded identity service, on every database."""

from dataclasses import replace
from typing import Any

import pytest

from kilonova.domain.accounts import (
    ApplicationCredential,
    Domain,
    Grant,
    Group,
    Project,
    Role,
    RoleInference,
    Token,
    User,
)
from kilonova.domain.errors import Conflict
from kilonova.domain.model import Instant
from kilonova.store.database import Database
from kilonova.store.identity import StoredIdentity

NOW = Instant(1_795_352_400_000_000)
DEFAULT = Domain(id="default", name="Default", description="of all")
DEMO = Project(id="p1", domain_id="default", name="demo")
ADA = User(id="u1", domain_id="default", name="ada", password_hash="$argon2id$", email="a@example", description="ü")
MEMBER = Role(id="r1", name="member")
GRANT = Grant(user_id="u1", project_id="p1", role_id="r1")
TOKEN = Token(
    digest="d" * 64,
    user_id="u1",
    project_id="p1",
    methods=("token", "password"),
    audit_ids=("a", "b"),
    issued_at=NOW,
    expires_at=Instant(NOW + 1),
)
CREW = Group(id="g1", domain_id="default", name="crew")
BACKUP = ApplicationCredential(
    id="c1", user_id="u1", project_id="p1", name="backup", secret_hash="$argon2id$", role_ids=("r1", "r2")
)


@pytest.fixture
def records(database: Database) -> StoredIdentity:
    records = StoredIdentity(database)
    records.add_domain(DEFAULT)
    records.add_project(DEMO)
    records.add_role(MEMBER)
    records.add_user(ADA, [GRANT])
    return records


def test_accounts_come_back_as_they_were_kept(records: StoredIdentity) -> None:
    assert records.find_domain("default") == records.find_domain_by_name("Default") == DEFAULT
    assert records.find_project("p1") == records.find_project_by_name("demo", "default") == DEMO
    assert records.find_user("u1") == records.find_user_by_name("ada", "default") == ADA
    assert records.find_role("r1") == MEMBER
    assert records.list_grants(user_id="u1") == records.list_grants(project_id="p1") == [GRANT]


def test_what_is_not_there_is_none(records: StoredIdentity) -> None:
    assert records.find_user("u2") is None
    assert records.find_user_by_name("ada", "other") is None
    assert records.find_token("0" * 64) is None
    assert records.list_grants(user_id="u2") == []


def test_names_that_differ_in_case_are_different(records: StoredIdentity) -> None:
    records.add_user(replace(ADA, id="u2", name="Ada"))
    found = records.find_user_by_name("Ada", "default")
    assert found is not None
    assert found.id == "u2"


def test_a_name_that_is_taken_is_refused(records: StoredIdentity) -> None:
    with pytest.raises(Conflict):
        records.add_user(replace(ADA, id="u2"))
    records.add_user(replace(ADA, id="u2", name="eve"))
    with pytest.raises(Conflict):
        records.update_user(replace(ADA, id="u2"))


def test_a_user_whose_grants_cannot_be_kept_is_not_kept_either(records: StoredIdentity) -> None:
    with pytest.raises(Conflict):
        records.add_user(replace(ADA, id="u2", name="eve"), [Grant(user_id="u2", project_id="nowhere", role_id="r1")])
    assert records.find_user("u2") is None


def test_changes_are_kept(records: StoredIdentity) -> None:
    records.update_user(replace(ADA, enabled=False, email=None))
    records.update_project(replace(DEMO, name="demo2"))
    assert records.find_user("u1") == replace(ADA, enabled=False, email=None)
    assert records.find_project("p1") == replace(DEMO, name="demo2")


def test_a_grant_is_given_once_and_taken_once(records: StoredIdentity) -> None:
    records.add_grant(GRANT)
    assert records.list_grants() == [GRANT]
    assert [records.delete_grant(GRANT) for _ in range(2)] == [True, False]


def test_a_token_is_revoked_once(records: StoredIdentity) -> None:
    records.add_token(TOKEN)
    assert records.find_token(TOKEN.digest) == TOKEN
    assert [records.revoke_token(TOKEN.digest, NOW) for _ in range(2)] == [True, False]
    assert records.find_token(TOKEN.digest) == replace(TOKEN, revoked_at=NOW)


def test_all_tokens_of_a_user_are_revoked_together(records: StoredIdentity) -> None:
    records.add_token(TOKEN)
    records.add_token(replace(TOKEN, digest="e" * 64, project_id=None))
    records.revoke_tokens_of_user("u1", NOW)
    assert not any(records.revoke_token(digest * 64, NOW) for digest in "de")


def test_only_expired_tokens_are_purged(records: StoredIdentity) -> None:
    records.add_token(TOKEN)
    records.add_token(replace(TOKEN, digest="e" * 64, expires_at=Instant(NOW + 2)))
    assert records.purge_tokens(Instant(NOW + 2)) == 1
    assert records.find_token("e" * 64) is not None


@pytest.mark.parametrize("noun", ["user", "project"])
def test_what_is_deleted_takes_its_grants_and_tokens_along(records: StoredIdentity, noun: str) -> None:
    records.add_token(TOKEN)
    if noun == "user":
        records.delete_user("u1")
    else:
        records.delete_project("p1")
    assert records.find_token(TOKEN.digest) is None
    assert records.list_grants() == []


def test_a_token_of_a_user_who_is_gone_is_refused(records: StoredIdentity) -> None:
    records.delete_user("u1")
    with pytest.raises(Conflict):
        records.add_token(TOKEN)
    with pytest.raises(Conflict):
        records.add_grant(GRANT)


@pytest.mark.parametrize("target", [{"project_id": "p1"}, {"domain_id": "default"}, {"is_system": True}])
@pytest.mark.parametrize("actor", [{"user_id": "u1"}, {"group_id": "g1"}])
def test_whoever_is_granted_a_role_on_whatever_has_it_once(
    records: StoredIdentity, actor: dict[str, str], target: dict[str, str]
) -> None:
    records.delete_grant(GRANT)
    records.add_group(CREW)
    grant = Grant(role_id="r1", **actor, **target)  # type: ignore[arg-type]
    for _ in range(2):
        records.add_grant(grant)
    assert records.list_grants() == records.list_grants(**actor, **target) == [grant]  # type: ignore[arg-type]
    assert records.list_grants(user_id="u2") == records.list_grants(project_id="p2") == []
    assert [records.delete_grant(grant) for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    "wrong",
    [{}, {"user_id": "u1"}, {"project_id": "p1"}, {"user_id": "u1", "group_id": "g1", "is_system": True}],
)
def test_a_grant_to_nobody_or_on_nothing_cannot_be_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="one user or group"):
        Grant(role_id="r1", **wrong)


def test_members_come_and_go_and_the_group_takes_its_grants_along(records: StoredIdentity) -> None:
    records.add_group(CREW)
    records.add_grant(Grant(role_id="r1", group_id="g1", project_id="p1"))
    for _ in range(2):
        records.add_member("u1", "g1")
    assert (records.list_members("g1"), records.list_groups_of("u1")) == ([ADA], [CREW])
    assert [records.remove_member("u1", "g1") for _ in range(2)] == [True, False]
    records.add_member("u1", "g1")
    records.update_group(replace(CREW, name="band"))
    assert records.find_group("g1") == records.list_groups()[0] == replace(CREW, name="band")
    records.delete_group("g1")
    assert (records.list_groups_of("u1"), records.list_grants()) == ([], [GRANT])
    with pytest.raises(Conflict):
        records.add_member("u1", "g1")


def test_a_role_brings_another_once_and_takes_all_of_it_along(records: StoredIdentity) -> None:
    records.add_role(Role(id="r2", name="reader"))
    inference = RoleInference(prior_role_id="r1", implied_role_id="r2")
    for _ in range(2):
        records.add_inference(inference)
    assert records.list_inferences() == [inference]
    assert [records.delete_inference(inference) for _ in range(2)] == [True, False]
    records.add_inference(inference)
    records.update_role(replace(MEMBER, name="pilot"))
    records.delete_role("r1")
    assert (records.list_inferences(), records.list_grants()) == ([], [])


def test_an_application_credential_takes_its_tokens_along(records: StoredIdentity) -> None:
    records.add_application_credential(BACKUP)
    records.add_token(replace(TOKEN, application_credential_id="c1"))
    assert records.find_application_credential("c1") == BACKUP
    assert records.list_application_credentials("u1") == [BACKUP]
    with pytest.raises(Conflict):
        records.add_application_credential(replace(BACKUP, id="c2"))
    records.delete_application_credential("c1")
    assert records.find_token(TOKEN.digest) is None
    assert records.find_application_credential("c1") is None


@pytest.mark.parametrize("scope", [{"domain_id": "default"}, {"is_system": True}])
def test_a_token_of_a_domain_or_of_the_system_comes_back_as_it_was_kept(
    records: StoredIdentity, scope: dict[str, Any]
) -> None:
    token = replace(TOKEN, project_id=None, **scope)
    records.add_token(token)
    assert records.find_token(TOKEN.digest) == token


def test_a_domain_takes_everything_in_it_along(records: StoredIdentity) -> None:
    records.add_domain(replace(DEFAULT, id="lab", name="Lab", extra_json='{"a": 1}'))
    records.update_domain(replace(DEFAULT, id="lab", name="lab"))
    assert records.find_domain("lab") == replace(DEFAULT, id="lab", name="lab")
    records.add_group(CREW)
    records.add_member("u1", "g1")
    records.add_application_credential(BACKUP)
    records.add_token(replace(TOKEN, application_credential_id="c1"))
    records.delete_domain("default")
    assert (records.list_users(), records.list_projects(), records.list_groups()) == ([], [], [])
    assert records.find_token(TOKEN.digest) is None
    assert [domain.id for domain in records.list_domains()] == ["lab"]
