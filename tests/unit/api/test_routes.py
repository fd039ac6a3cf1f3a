"""The registry: who answers what, and that every row is whole."""

import pytest

from kilonova.api.call import Call
from kilonova.api.own import ROUTES as STATE_ROUTES
from kilonova.api.policy import DEFAULTS
from kilonova.api.resources import ROUTES
from kilonova.api.routes import Route, Router, Target, route
from kilonova.domain.operations import OPERATIONS
from kilonova.wire.version import MIN, NOVA_MAX, Microversion


def _handle(call: Call) -> str:
    return call.path


def _row(line: str, since: str = "2.1", until: str | None = None) -> Route:
    method, path = line.split()
    return route(method, path, _handle, policy=None, since=since, until=until)


def _found(router: Router, line: str, version: Microversion = MIN) -> tuple[str, dict[str, str]] | None:
    method, path = line.split()
    match = router.find(method, [part for part in path.split("/") if part])
    row = match and match.choices.at(version)
    return (row.path, match.params(row)) if match and row else None


ROUTER = Router(
    [
        _row("GET /servers"),
        _row("GET /servers/{server_id}"),
        _row("GET /servers/detail"),
        _row("DELETE /servers/{server_id}"),
        _row("GET /servers/{server_id}/tags/{tag}", since="2.26"),
        _row("GET /old", until="2.35"),
        _row("GET /old", since="2.53"),
    ]
)


@pytest.mark.parametrize(
    "line, path, params",
    [
        ("GET /servers", "/servers", {}),
        ("GET /servers/", "/servers", {}),
        ("GET /servers/detail", "/servers/detail", {}),
        ("GET /servers/x", "/servers/{server_id}", {"server_id": "x"}),
        ("DELETE /servers/detail", "/servers/{server_id}", {"server_id": "detail"}),
    ],
)
def test_a_word_comes_before_a_parameter(line: str, path: str, params: dict[str, str]) -> None:
    assert _found(ROUTER, line) == (path, params)


def test_parameters_are_known_by_their_names() -> None:
    wanted = ("/servers/{server_id}/tags/{tag}", {"server_id": "x", "tag": "y"})
    assert _found(ROUTER, "GET /servers/x/tags/y", NOVA_MAX) == wanted


def test_a_path_can_be_there_at_some_versions_only() -> None:
    at = [_found(ROUTER, "GET /old", Microversion(2, minor)) is not None for minor in (1, 35, 36, 52, 53)]
    assert at == [True, True, False, False, True]


def test_two_rows_cannot_answer_the_same_request() -> None:
    with pytest.raises(ValueError, match="answer the same request"):
        Router([_row("GET /a/{b}", until="2.9"), _row("GET /a/{c}", since="2.9")])


def test_the_registry_has_no_overlap() -> None:
    Router(ROUTES)
    Router(STATE_ROUTES)


@pytest.mark.parametrize("row", [*ROUTES, *STATE_ROUTES], ids=lambda row: row.name)
def test_every_row_has_a_policy_that_exists(row: Route) -> None:
    assert row.policy is None or row.policy in DEFAULTS


@pytest.mark.parametrize("row", ROUTES, ids=lambda row: row.name)
def test_every_row_below_a_server_is_about_that_server(row: Route) -> None:
    assert row.is_gone or ("{server_id}" in row.path) == (row.target is Target.SERVER)


def test_every_operation_that_can_be_asked_for_has_its_action() -> None:
    actions = {row.action: row for row in ROUTES if row.action}
    for operation in OPERATIONS.values():
        if operation.request:
            row = actions[operation.request]
            assert (row.policy, row.status.at(NOVA_MAX)) == (operation.policy, operation.status), operation.name
            assert str(row.span.since) == operation.since


def test_every_rule_of_an_operation_exists() -> None:
    missing = {operation.policy for operation in OPERATIONS.values()} - set(DEFAULTS)
    assert missing <= {
        "os_compute_api:servers:migrations:force_complete",
        "os_compute_api:servers:migrations:delete",
    }


def test_only_reads_of_a_few_rows_by_their_keys_are_answered_on_the_event_loop() -> None:
    assert {row.path for row in [*ROUTES, *STATE_ROUTES] if row.is_quick} == {
        "/flavors/{flavor_id}",
        "/flavors/{flavor_id}/os-extra_specs",
        "/flavors/{flavor_id}/os-extra_specs/{key}",
        "/os-keypairs/{name}",
        "/os-volumes_boot/{server_id}",
        "/servers/{server_id}",
        "/servers/{server_id}/ips",
        "/servers/{server_id}/ips/{label}",
        "/servers/{server_id}/metadata",
        "/servers/{server_id}/metadata/{key}",
        "/servers/{server_id}/tags",
        "/servers/{server_id}/tags/{tag}",
    }
    assert all(row.method == "GET" for row in ROUTES if row.is_quick)
