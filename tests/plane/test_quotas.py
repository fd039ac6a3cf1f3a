"""Limits of projects, users and classes: set, taken back, and kept to (contract §4)."""

from typing import Any

import pytest

from tests.plane.house import House

_CORES_TAKEN = "Quota limit {} for {} must be greater than or equal to already used and reserved {}."


def _project(house: House) -> str:
    found: str = house.call("GET", "//identity/v3/projects?name=demo").json()["projects"][0]["id"]
    return found


def _put(house: House, project: str, query: str = "", *, version: str = "2.96", **wanted: Any) -> Any:
    return house.call("PUT", f"/os-quota-sets/{project}{query}", {"quota_set": wanted}, version=version)


def _set(house: House, project: str, query: str = "", **wanted: Any) -> dict[str, int]:
    reply = _put(house, project, query, **wanted)
    assert reply.status_code == 200, reply.text
    found: dict[str, int] = reply.json()["quota_set"]
    return found


def _shown(house: House, project: str, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = house.call("GET", f"/os-quota-sets/{project}{query}").json()["quota_set"]
    return found


def _class(house: House, name: str, *, version: str = "2.96", **wanted: Any) -> Any:
    return house.call("PUT", f"/os-quota-class-sets/{name}", {"quota_class_set": wanted}, version=version)


def _order(house: House, **wanted: Any) -> tuple[int, str]:
    server = {"name": "s", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none", **wanted}
    return _message(house.call("POST", "/servers", {"server": server}))


def _message(reply: Any) -> tuple[int, str]:
    (content,) = reply.json().values()
    return reply.status_code, content.get("message", "")


def test_a_limit_that_was_set_shows_everywhere_and_goes_again(house: House) -> None:
    project = _project(house)
    changed = _set(house, project, cores=45, ram="1024")
    assert "id" not in changed
    assert (changed["cores"], changed["ram"], changed["instances"]) == (45, 1024, 10)
    assert {**changed, "id": project} == _shown(house, project)
    absolute = house.call("GET", "/limits").json()["limits"]["absolute"]
    assert (absolute["maxTotalCores"], absolute["maxTotalRAMSize"]) == (45, 1024)
    assert _shown(house, project, "/defaults")["cores"] == 20
    for _ in range(2):
        reply = house.call("DELETE", f"/os-quota-sets/{project}")
        assert (reply.status_code, reply.content) == (202, b"")
    assert _shown(house, project)["cores"] == 20


def test_a_request_for_nothing_tells_the_limits(house: House) -> None:
    project = _project(house)
    assert {**_set(house, project), "id": project} == _shown(house, project)


def test_servers_are_made_up_to_the_projects_own_limit(house: House) -> None:
    project = _project(house)
    _set(house, project, instances=1)
    house.boot()
    refusal = "Quota exceeded for instances: Requested 1, but already used 1 of 1 instances"
    assert _order(house) == (403, refusal)
    _set(house, project, instances=-1)
    assert _order(house)[0] == 202


def test_a_users_own_limit_is_kept_beside_the_projects(house: House) -> None:
    house.add_person("eva", "demo", "member")
    project = _project(house)
    user = house.call("GET", "//identity/v3/users?name=admin").json()["users"][0]["id"]
    assert _set(house, project, f"?user_id={user}", instances=1)["instances"] == 1
    house.boot()
    house.boot(user="eva")
    refusal = "Quota exceeded for instances: Requested 1, but already used 1 of 1 instances"
    assert _order(house) == (403, refusal)
    detail = _shown(house, project, f"/detail?user_id={user}")
    assert detail["instances"] == {"limit": 1, "in_use": 1, "reserved": 0}
    assert _shown(house, project, "/detail")["instances"] == {"limit": 10, "in_use": 2, "reserved": 0}
    house.call("DELETE", f"/os-quota-sets/{project}?user_id={user}")
    assert _shown(house, project, f"?user_id={user}")["instances"] == 10


def test_taking_back_a_projects_limits_takes_those_of_its_users(house: House) -> None:
    project = _project(house)
    _set(house, project, "?user_id=someone", cores=3)
    house.call("DELETE", f"/os-quota-sets/{project}")
    assert _shown(house, project, "?user_id=someone")["cores"] == 20


def test_a_limit_is_not_below_what_is_used_unless_by_force(house: House) -> None:
    project = _project(house)
    for _ in range(2):
        house.boot()
    said = _CORES_TAKEN.format(1, "instances", 2)
    assert _message(_put(house, project, cores=99, instances=1)) == (400, said)
    assert _shown(house, project)["cores"] == 20
    assert _set(house, project, force=True, instances=1)["instances"] == 1
    assert _message(_put(house, project, instances=0)) == (400, _CORES_TAKEN.format(0, "instances", 2))


def test_a_projects_limit_is_not_below_what_its_users_were_given(house: House) -> None:
    project = _project(house)
    _set(house, project, "?user_id=one", cores=8)
    _set(house, project, "?user_id=two", cores=4)
    assert _message(_put(house, project, cores=11)) == (400, _CORES_TAKEN.format(11, "cores", 12))
    assert _set(house, project, cores=12)["cores"] == 12


@pytest.mark.parametrize("limit", [999, -1])
def test_a_users_limit_is_not_above_the_projects_unless_by_force(house: House, limit: int) -> None:
    project = _project(house)
    said = f"Quota limit {limit} for instances must be less than or equal to 10."
    assert _message(_put(house, project, "?user_id=one", instances=limit)) == (400, said)
    assert _set(house, project, "?user_id=one", instances=limit, force="True")["instances"] == limit


@pytest.mark.parametrize(
    "version, wanted",
    [
        ("2.1", {"foo": 1}),
        ("2.36", {"fixed_ips": 1}),
        ("2.57", {"injected_files": 1}),
        ("2.96", {"cores": -2}),
        ("2.96", {"cores": "-2"}),
        ("2.96", {"cores": 2**31}),
        ("2.96", {"cores": str(2**31)}),
        ("2.96", {"cores": "many"}),
        ("2.96", {"cores": 1.5}),
        ("2.96", {"cores": None}),
        ("2.96", {"cores": ""}),
        ("2.96", {"force": "perhaps"}),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(house: House, version: str, wanted: dict[str, Any]) -> None:
    assert _put(house, _project(house), version=version, **wanted).status_code == 400


def test_an_unknown_parameter_is_an_error_from_2_75_on(house: House) -> None:
    project = _project(house)
    assert _put(house, project, "?foo=1", version="2.74").status_code == 200
    assert _put(house, project, "?foo=1", version="2.75").status_code == 400
    assert house.call("DELETE", f"/os-quota-sets/{project}?foo=1", version="2.75").status_code == 400


def test_limits_are_set_by_administrators(house: House) -> None:
    house.add_person("eva", "demo", "manager")
    project = _project(house)
    path, body = f"/os-quota-sets/{project}", {"quota_set": {"cores": 1}}
    rule = "Policy doesn't allow os_compute_api:{} to be performed."
    assert _message(house.call("PUT", path, body, user="eva")) == (403, rule.format("os-quota-sets:update"))
    assert _message(house.call("DELETE", path, user="eva")) == (403, rule.format("os-quota-sets:delete"))
    classes = house.call("PUT", "/os-quota-class-sets/default", {"quota_class_set": {}}, user="eva")
    assert _message(classes) == (403, rule.format("os-quota-class-sets:update"))


def test_the_default_class_is_for_all_projects_without_limits_of_their_own(house: House) -> None:
    project = _project(house)
    _set(house, project, ram=2048)
    changed = _class(house, "default", cores=7, ram=4096).json()["quota_class_set"]
    assert (changed["cores"], changed["ram"], "id" in changed) == (7, 4096, False)
    assert (_shown(house, project)["cores"], _shown(house, project)["ram"]) == (7, 2048)
    assert _shown(house, project, "/defaults")["ram"] == 4096
    assert house.call("GET", "/limits").json()["limits"]["absolute"]["maxTotalCores"] == 7
    assert _order(house, min_count=8, max_count=8) == (
        403,
        "Quota exceeded for cores: Requested 8, but already used 0 of 7 cores",
    )


def test_another_class_limits_nobody(house: House) -> None:
    assert _class(house, "gold", cores=1).json()["quota_class_set"]["cores"] == 1
    shown = house.call("GET", "/os-quota-class-sets/gold").json()["quota_class_set"]
    assert (shown["id"], shown["cores"], shown["instances"]) == ("gold", 1, 10)
    assert _shown(house, _project(house))["cores"] == 20


def test_a_class_has_the_keys_of_the_version(house: House) -> None:
    early = _class(house, "c", version="2.1", server_groups=3, fixed_ips=4).json()["quota_class_set"]
    assert early["fixed_ips"] == 4
    assert "server_groups" not in early
    assert _class(house, "c", version="2.50").json()["quota_class_set"]["server_groups"] == 3
    assert _class(house, "c", version="2.50", fixed_ips=4).status_code == 400
    assert _class(house, "c", version="2.57", injected_files=4).status_code == 400
    assert _class(house, "c", version="2.57", cores=-2).status_code == 400


def test_key_pairs_groups_and_metadata_keep_to_the_limits_in_force(house: House) -> None:
    project = _project(house)
    _set(house, project, key_pairs=0, server_groups=0, metadata_items=1)
    key = {"keypair": {"name": "k", "type": "ssh"}}
    reply = house.call("POST", "/os-keypairs", key, version="2.91")
    assert _message(reply) == (403, "Quota exceeded, too many key pairs.")
    group = {"server_group": {"name": "g", "policy": "affinity"}}
    reply = house.call("POST", "/os-server-groups", group)
    assert _message(reply) == (403, "Quota exceeded, too many server groups.")
    refusal = "Maximum number of metadata items exceeds 1"
    assert _order(house, metadata={"a": "1", "b": "2"}) == (403, refusal)
    server = house.boot(metadata={"a": "1"})
    reply = house.call("POST", f"/servers/{server['id']}/metadata", {"metadata": {"b": "2"}})
    assert _message(reply) == (403, refusal)


def test_a_group_has_as_many_servers_as_the_limit_in_force_allows(house: House) -> None:
    _set(house, _project(house), server_group_members=1)
    wanted = {"server_group": {"name": "g", "policy": "affinity"}}
    group = house.call("POST", "/os-server-groups", wanted).json()["server_group"]["id"]
    server = {"name": "s", "flavorRef": "42", "imageRef": house.image_id(), "networks": "none", "min_count": 2}
    reply = house.call("POST", "/servers", {"server": server, "os:scheduler_hints": {"group": group}})
    assert _message(reply) == (403, "Quota exceeded, too many servers in group")


def test_a_project_that_is_not_there_has_no_limits_and_loses_none(house: House) -> None:
    said = (400, "Project ID nobody is not a valid project.")
    assert _message(_put(house, "nobody", cores=1)) == said
    for path in ("", "/detail", "/defaults"):
        assert _message(house.call("GET", f"/os-quota-sets/nobody{path}")) == said
    assert house.call("DELETE", "/os-quota-sets/nobody").status_code == 202


def test_a_name_that_no_database_keeps_is_refused(house: House) -> None:
    assert house.call("DELETE", f"/os-quota-sets/{'x' * 256}").status_code == 400
    assert _class(house, "x" * 256).status_code == 400
