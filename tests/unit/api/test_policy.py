"""Who may do what, by Nova's defaults (contract §0.6)."""

import pytest

from kilonova.api.policy import DEFAULTS, Policy
from kilonova.domain.errors import Forbidden
from tests.policy_table import GUARDS, MOUNTED, request_of
from tests.policy_table import RULES as CONTRACT
from tests.unit.api.cloud import DEMO, OTHER, Tokens

RULES = {
    "os_compute_api:os-services:list": {"admin"},
    "os_compute_api:os-migrate-server:migrate": {"admin", "manager"},
    "os_compute_api:servers:create": {"admin", "manager", "member"},
    "os_compute_api:servers:show": {"admin", "manager", "member", "reader"},
    "os_compute_api:os-server-external-events:create": {"admin", "service"},
    "os_compute_api:limits": {"admin", "manager", "member", "reader", "service", "none"},
    "compute:servers:resize:cross_cell": set(),
}
ROLES = ["admin", "manager", "member", "reader", "service", "none"]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("rule", RULES)
def test_a_rule_lets_in_exactly_its_roles(rule: str, role: str) -> None:
    caller = Tokens().authenticate(f"u:{DEMO}:{role}")
    assert Policy().passes(rule, caller, project_id=DEMO) is (role in RULES[rule])


@pytest.mark.parametrize("role", ["manager", "member", "reader"])
def test_a_role_counts_only_in_its_own_project(role: str) -> None:
    caller = Tokens().authenticate(f"u:{DEMO}:{role}")
    assert not Policy().passes("os_compute_api:servers:show", caller, project_id=OTHER)
    assert not Policy().passes("os_compute_api:servers:show", caller, project_id=None)


def test_a_token_without_a_project_is_a_reader_nowhere() -> None:
    caller = Tokens().authenticate("u::reader")
    assert not Policy().passes("os_compute_api:servers:show", caller, project_id=None)


def test_a_key_pair_belongs_to_its_user() -> None:
    caller = Tokens().authenticate(f"u:{DEMO}:reader")
    assert Policy().passes("os_compute_api:os-keypairs:show", caller, user_id="u")
    assert not Policy().passes("os_compute_api:os-keypairs:show", caller, user_id="v")


def test_a_refusal_names_the_rule_in_novas_words() -> None:
    caller = Tokens().authenticate(f"u:{DEMO}:member")
    with pytest.raises(Forbidden, match=r"^Policy doesn't allow os_compute_api:os-evacuate to be performed\.$"):
        Policy().check("os_compute_api:os-evacuate", caller, project_id=DEMO)


def test_an_operator_may_put_a_rule_in_place_of_a_default() -> None:
    caller = Tokens().authenticate(f"u:{DEMO}:admin")
    assert not Policy({"os_compute_api:limits": "!"}).passes("os_compute_api:limits", caller)
    assert Policy().passes("os_compute_api:limits", caller)


def test_an_operator_may_put_a_base_rule_in_place_of_a_default() -> None:
    support = Tokens().authenticate(f"u:{OTHER}:support")
    policy = Policy({"project_reader_or_admin": "rule:project_reader_api or rule:context_is_admin or role:support"})
    assert policy.passes("os_compute_api:servers:show", support, project_id=DEMO)
    assert not policy.passes("os_compute_api:servers:update", support, project_id=DEMO)


def test_an_unknown_rule_is_a_mistake_and_not_a_permission() -> None:
    with pytest.raises(KeyError):
        Policy().passes("os_compute_api:nonsense", Tokens().authenticate(f"u:{DEMO}:admin"))


def test_the_rules_are_those_of_the_contract() -> None:
    assert set(DEFAULTS) == set(CONTRACT)


def test_the_contract_says_who_may_ask_for_what_every_route_serves() -> None:
    unsaid = {request_of(prefix, row) for prefix, row in MOUNTED} - set(GUARDS)
    assert not unsaid, "a new route wants a line in tests/data/policies/routes.txt, out of the contract"


def test_every_guarding_rule_has_a_default() -> None:
    assert set(GUARDS.values()) <= {*CONTRACT, "token", "gone"}
