from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.domain.errors import Forbidden, Invalid, KilonovaError, NotSupported, Unauthenticated
from kilonova.identity.signin import Reference, Secret, WantedScope, read_sign_in

ADA = {"name": "ada", "domain": {"name": "Default"}, "password": "lovelace"}


def body(identity: dict[str, Any], scope: Any = None) -> dict[str, Any]:
    auth: dict[str, Any] = {"identity": identity}
    if scope is not None:
        auth["scope"] = scope
    return {"auth": auth}


def password(user: dict[str, Any]) -> dict[str, Any]:
    return {"methods": ["password"], "password": {"user": user}}


def test_a_user_is_named_by_name_and_domain_name() -> None:
    request = read_sign_in(body(password(ADA)))
    assert request.user == Reference(name="ada", domain_name="Default")
    assert request.password == "lovelace"
    assert request.scope == WantedScope()


def test_a_user_is_named_by_id_alone() -> None:
    assert read_sign_in(body(password({"id": "u1", "password": "x"}))).user == Reference(id="u1")


def test_a_project_is_named_by_name_and_domain_id() -> None:
    scope = {"project": {"name": "demo", "domain": {"id": "default"}}}
    wanted = WantedScope(project=Reference(name="demo", domain_id="default"))
    assert read_sign_in(body(password(ADA), scope)).scope == wanted


@pytest.mark.parametrize("scope", ["unscoped", {"unscoped": {}}])
def test_no_scope_at_all_can_be_asked_for(scope: Any) -> None:
    assert read_sign_in(body(password(ADA), scope)).scope == WantedScope(unscoped=True)


def test_a_domain_and_the_system_can_be_asked_for() -> None:
    for domain in ({"id": "default"}, {"name": "Default"}):
        wanted = Reference(domain_id=domain.get("id"), domain_name=domain.get("name"))
        assert read_sign_in(body(password(ADA), {"domain": domain})).scope == WantedScope(domain=wanted)
    assert read_sign_in(body(password(ADA), {"system": {"all": True}})).scope == WantedScope(is_system=True)


SECRET = {"methods": ["application_credential"], "application_credential": {"id": "c1", "secret": "s"}}


def test_an_application_credential_is_named_by_id_or_by_name_and_user() -> None:
    assert read_sign_in(body(SECRET)).secret == Secret(id="c1", name=None, user=None, secret="s")
    named = {"name": "backup", "secret": "s", "user": {"id": "u1"}}
    request = read_sign_in(body({"methods": ["application_credential"], "application_credential": named}))
    assert request.secret == Secret(id=None, name="backup", user=Reference(id="u1"), secret="s")


def test_an_application_credential_brings_its_own_scope() -> None:
    with pytest.raises(Forbidden, match="cannot request a scope"):
        read_sign_in(body(SECRET, {"project": {"id": "p1"}}))


def test_a_token_stands_for_its_user() -> None:
    request = read_sign_in(body({"methods": ["token"], "token": {"id": "abc"}}))
    assert (request.user, request.token) == (None, "abc")


def test_an_unknown_method_is_refused_as_in_keystone() -> None:
    with pytest.raises(Unauthenticated, match="unsupported method"):
        read_sign_in(body({"methods": ["totp"], "totp": {}}))


def test_the_scope_of_a_trust_is_said_not_to_be_offered() -> None:
    with pytest.raises(NotSupported):
        read_sign_in(body(password(ADA), {"OS-TRUST:trust": {}}))


@pytest.mark.parametrize(
    "malformed",
    [
        None,
        [],
        {},
        {"auth": None},
        {"auth": {"identity": []}},
        body({"methods": []}),
        body({"methods": "password"}),
        body({"methods": ["password"]}),
        body({"methods": ["token"], "token": {"id": 7}}),
        body(password({"name": "ada", "password": "x"})),
        body(password({"domain": {"id": "default"}, "password": "x"})),
        body(password({"id": "u1"})),
        body(password({"id": "u1", "password": 7})),
        body(password({"id": 7, "password": "x"})),
        body(password(ADA), {"project": {"name": "demo"}}),
        body(password(ADA), {"domain": {}}),
        body(password(ADA), {"system": {"all": False}}),
        body({"methods": ["application_credential"]}),
        body({"methods": ["application_credential"], "application_credential": {"secret": "s"}}),
        body({"methods": ["application_credential"], "application_credential": {"name": "x", "secret": "s"}}),
        body({"methods": ["application_credential"], "application_credential": {"id": "x"}}),
        body(password(ADA), {"project": "demo"}),
        body(password(ADA), "everything"),
    ],
)
def test_a_malformed_request_is_refused_with_a_reason(malformed: Any) -> None:
    with pytest.raises(Invalid):
        read_sign_in(malformed)


KEYS = ["auth", "identity", "methods", "password", "token", "user", "id", "name", "domain", "scope", "project"]
KEYS += ["system", "all", "secret", "application_credential"]
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["password", "token", "unscoped", "application_credential"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(ANYTHING, ANYTHING)
def test_whatever_is_sent_is_read_or_refused(identity: Any, scope: Any) -> None:
    for sent in (identity, {"auth": identity}, {"auth": {"identity": identity, "scope": scope}}):
        try:
            request = read_sign_in(sent)
        except KilonovaError:
            continue
        assert request.user or request.token is not None or request.secret
