"""The language of policy rules, against what oslo.policy makes of the same texts."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.api.rules import RuleUnreadable, compile_rules, read_rule
from tests.unit.api.cloud import DEMO, OTHER, Tokens

MEMBER = Tokens().authenticate(f"u:{DEMO}:member")
RULES = {"context_is_admin": "role:admin", "mine": "project_id:%(project_id)s", "both": "rule:mine and role:member"}


def passes(text: object, *, project_id: str | None = DEMO, user_id: str | None = "u", role: str = "member") -> bool:
    caller = Tokens().authenticate(f"u:{DEMO}:{role}")
    rules = {name: read_rule(each) for name, each in RULES.items()} | {"asked": read_rule(text)}  # type: ignore[arg-type]
    return compile_rules(rules)["asked"](caller, project_id, user_id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "role:member",
        "role:MEMBER",
        "role:reader",
        "not role:admin",
        "not !",
        "not not @",
        "! or @",
        "@ or ! and !",
        "(! and !) or @",
        "not ( role:admin or role:service )",
        "not (role:admin or role:service) and @",
        "role:member AND NOT role:admin",
        "rule:mine",
        "rule:both",
        "project_id:%(project_id)s",
        "user_id:%(user_id)s",
        "user_id:u",
        "'u':%(user_id)s",
        '"u":%(user_id)s',
        "True:True",
        "None:None",
        "domain_id:None",
        "is_admin:False",
        "is_admin_project:True",
        "role:%(user_id)sr or role:member",
        [],
        [["role:member", "project_id:%(project_id)s"]],
        [["role:admin"], ["role:member"]],
        ["role:member"],
    ],
)
def test_what_lets_a_member_in_to_what_is_theirs(text: object) -> None:
    assert passes(text)


@pytest.mark.parametrize(
    "text",
    [
        "!",
        "role:admin",
        "role:mem",
        "not role:member",
        "not @ or !",
        "! or @ and !",
        "(@ or @) and !",
        "is_admin:True",
        "user_id:v",
        "user_id:%(project_id)s",
        "'v':%(user_id)s",
        "system_scope:all",
        [["role:member", "role:admin"], ["!"]],
    ],
)
def test_what_keeps_a_member_out_of_what_is_theirs(text: object) -> None:
    assert not passes(text)


def test_a_thing_of_another_project_or_user_or_of_nobody_is_not_the_callers() -> None:
    assert not passes("project_id:%(project_id)s", project_id=OTHER)
    assert not passes("project_id:%(project_id)s", project_id=None)
    assert not passes("user_id:%(user_id)s", user_id="v")
    assert not passes("user_id:%(user_id)s", user_id=None)
    assert passes("role:%(user_id)s", user_id="Member")
    assert not passes("role:%(user_id)s", user_id=None)
    assert passes("role:%(user_id)sr", user_id="membe")


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("role:admin or", "ends too early"),
        ("or role:admin", "has 'or' where a check should stand"),
        ("(role:admin", "has a parenthesis that is not closed"),
        ("role:admin)", "has '\\)' where it should end"),
        ("()", "has '\\)' where a check should stand"),
        ("role:admin role:member", "has 'role:member' where it should end"),
        ("admin", "has 'admin', which is no check such as role:admin"),
        ("role:", "has 'role:', which is no check"),
        ("http://example.org/%(project_id)s", "asks the web server http://example.org"),
        ("project_id:%(tenant)s", "has %\\(tenant\\)s, but of a target only"),
        ("project_id:%(project_id)d", "has %\\(project_id\\)d, but of a target only"),
        ("tenant:%(project_id)s", "asks for 'tenant' of the caller, of whom only roles and these are known: domain_id"),
        ("rule:nowhere", "asked asks for the rule nowhere, which is nowhere"),
        ("rule:asked", "asked asks for itself: asked → asked"),
        ([["admin"]], "has 'admin', which is no check"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_is_wrong(text: object, complaint: str) -> None:
    with pytest.raises(RuleUnreadable, match=complaint):
        passes(text)


@given(st.text(alphabet="()!@ andorte:%s_", max_size=30))
def test_whatever_is_written_is_a_rule_or_refused(text: str) -> None:
    with suppress(RuleUnreadable):
        assert isinstance(passes(text), bool)
