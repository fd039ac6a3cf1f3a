"""Which servers a list holds, in which order, and where the next page is (contract §6.5, §0.7)."""

from typing import Any

import pytest

from kilonova.domain.model import after
from kilonova.domain.states import PowerState, TaskState, VmState
from tests.unit.api.cloud import DEMO, IMAGE_ID, OTHER, ApiCloud, capture


def _names(cloud: ApiCloud, query: str = "", **how: Any) -> list[str]:
    return [server["name"] for server in cloud.get(f"/servers{query}", **how)["servers"]]


def _refused(cloud: ApiCloud, query: str, **how: Any) -> tuple[int, str]:
    reply = cloud.call("GET", f"/servers{query}", **how)
    (fault,) = reply.json().values()
    return reply.status_code, fault["message"]


@pytest.fixture
def three(cloud: ApiCloud) -> dict[str, str]:
    """Servers a, b and c, a second apart."""
    made = {}
    for name in "abc":
        cloud.plane.at = after(cloud.plane.at, 1)
        made[name] = cloud.boot(name)
    return made


def test_servers_are_listed_newest_first(cloud: ApiCloud, three: dict[str, str]) -> None:
    assert _names(cloud) == ["c", "b", "a"]
    assert three.keys() == {"a", "b", "c"}


def test_a_list_has_the_form_of_a_real_novas_answer(cloud: ApiCloud, three: dict[str, str]) -> None:
    ours = cloud.get("/servers?limit=1", version="2.53")
    theirs = capture("servers-limit@2.53")["body"]
    assert ours.keys() == theirs.keys()
    assert ours["servers"][0].keys() == theirs["servers"][0].keys()
    link = f"http://127.0.0.1:18774/compute/v2.1/servers?limit=1&marker={three['c']}"
    assert ours["servers_links"] == [{"rel": "next", "href": link}]


def test_pages_follow_one_another_to_the_end(cloud: ApiCloud, three: dict[str, str]) -> None:
    found, path = [], "/servers?limit=2&sort_key=display_name&sort_dir=asc"
    while path:
        page = cloud.get(path)
        found.append([server["name"] for server in page["servers"]])
        path = page["servers_links"][0]["href"].partition("/v2.1")[2] if "servers_links" in page else ""
    assert found == [["a", "b"], ["c"]]
    assert len(three) == 3


def test_a_last_page_that_is_full_still_has_a_link(cloud: ApiCloud, three: dict[str, str]) -> None:
    assert "servers_links" in cloud.get("/servers?limit=3")
    assert "servers_links" not in cloud.get("/servers?limit=4")
    assert len(three) == 3


def test_a_limit_of_nothing_lists_nothing(cloud: ApiCloud, three: dict[str, str]) -> None:
    assert cloud.get("/servers?limit=0") == {"servers": []}
    assert len(three) == 3


def test_a_bad_limit_is_refused_with_a_real_novas_sentence(cloud: ApiCloud) -> None:
    reply = cloud.call("GET", "/servers?limit=abc")
    assert (reply.status_code, reply.json()) == (400, capture("error-bad-query@2.1")["body"])


def test_an_unknown_marker_is_refused(cloud: ApiCloud) -> None:
    assert _refused(cloud, "?marker=x") == (400, "marker [x] not found")


def test_other_projects_are_listed_only_to_who_may_and_asks(cloud: ApiCloud) -> None:
    cloud.boot("mine")
    cloud.boot("theirs", project=OTHER)
    assert _names(cloud) == ["mine"]
    assert sorted(_names(cloud, "?all_tenants=1")) == ["mine", "theirs"]
    assert sorted(_names(cloud, "?all_tenants")) == ["mine", "theirs"]
    assert _names(cloud, f"?all_tenants=1&tenant_id={OTHER}") == ["theirs"]
    assert _names(cloud, f"?tenant_id={OTHER}") == ["mine"]
    assert _names(cloud, "?all_tenants=0", role="reader") == ["mine"]
    rule = "Policy doesn't allow os_compute_api:servers:index:get_all_tenants to be performed."
    assert _refused(cloud, "?all_tenants=1", role="member") == (403, rule)
    status, text = _refused(cloud, "?all_tenants=foo")
    assert status == 400
    assert text.startswith("Unrecognized value 'foo', acceptable values are: '0', '1', 'f', 'false', 'n', 'no',")


def test_a_status_is_a_set_of_vm_states(cloud: ApiCloud, three: dict[str, str]) -> None:
    cloud.move(three["a"], vm_state=VmState.STOPPED)
    cloud.move(three["b"], task_state=TaskState.REBOOTING)
    assert _names(cloud, "?status=shutoff") == ["a"]
    assert _names(cloud, "?status=ACTIVE") == ["c", "b"]
    assert _names(cloud, "?status=REBOOT") == ["b"]
    assert _names(cloud, "?status=SHUTOFF&status=REBOOT&status=nonsense") == ["c", "b", "a"]


def test_an_unknown_status_lists_nothing_until_2_37_and_is_an_error_then(
    cloud: ApiCloud, three: dict[str, str]
) -> None:
    assert _names(cloud, "?status=nonsense", version="2.37") == []
    assert _refused(cloud, "?status=nonsense", version="2.38") == (400, "Invalid status value")
    assert len(three) == 3


def _deleted(cloud: ApiCloud, uuid: str) -> None:
    cloud.plane.at = after(cloud.plane.at, 1)
    now = cloud.plane.at
    cloud.move(
        uuid,
        vm_state=VmState.DELETED,
        task_state=None,
        power_state=PowerState.NOSTATE,
        terminated_at=now,
        deleted_at=now,
    )


def test_deleted_servers_are_for_administrators(cloud: ApiCloud, three: dict[str, str]) -> None:
    _deleted(cloud, three["b"])
    assert _names(cloud) == ["c", "a"]
    assert _names(cloud, "?status=DELETED") == ["b"]
    assert _names(cloud, "?deleted=true") == ["b"]
    assert _names(cloud, "?deleted=true", role="member") == ["c", "a"]
    assert _refused(cloud, "?status=deleted", role="member") == (403, "Only administrators may list deleted instances")
    (shown,) = cloud.get("/servers/detail?deleted=1")["servers"]
    assert shown["status"] == "DELETED"


def test_changes_since_lists_deleted_servers_too(cloud: ApiCloud, three: dict[str, str]) -> None:
    _deleted(cloud, three["a"])
    moment = cloud.get("/servers/detail?status=DELETED")["servers"][0]["updated"]
    assert _names(cloud, f"?changes-since={moment}", role="member") == ["a"]
    assert _names(cloud, f"?changes-before={moment}", version="2.66", role="member") == ["c", "b", "a"]
    text = "The value of changes-since must be less than or equal to changes-before."
    assert _refused(cloud, f"?changes-since={moment}&changes-before=2001-01-01", version="2.66") == (400, text)
    assert _refused(cloud, "?changes-since=yesterday")[0] == 400


@pytest.mark.parametrize(
    "query, version, names",
    [
        ("name=b", "2.1", ["b"]),
        ("flavor=1", "2.1", ["c", "b", "a"]),
        ("flavor=none-such", "2.1", []),
        (f"image={IMAGE_ID}", "2.1", ["c", "b", "a"]),
        ("ip=10.0.0", "2.1", ["c", "b", "a"]),
        ("ip=10.9", "2.1", []),
        ("ip6=fe80", "2.5", []),
        ("tags=x", "2.26", ["b", "a"]),
        ("tags=x,y", "2.26", ["b"]),
        ("tags-any=y,z", "2.26", ["b"]),
        ("not-tags=x,y", "2.26", ["c", "a"]),
        ("not-tags-any=x", "2.26", ["c"]),
        ("locked=true", "2.73", ["c"]),
        ("locked=false", "2.73", ["b", "a"]),
        ("vm_state=active", "2.83", ["c", "b", "a"]),
        ("power_state=4", "2.83", []),
        ("user_id=somebody", "2.83", ["c", "b", "a"]),
        ("hostname=b", "2.90", ["b"]),
        ("limit=1&tags=x", "2.26", ["b"]),
    ],
)
def test_a_member_filters_by_what_the_version_allows(
    cloud: ApiCloud, three: dict[str, str], query: str, version: str, names: list[str]
) -> None:
    cloud.move(three["a"], tags_json='["x"]')
    cloud.move(three["b"], tags_json='["x","y"]')
    cloud.move(three["c"], locked_by="owner")
    assert _names(cloud, f"?{query}", version=version, role="reader") == names


def test_a_filter_that_is_not_allowed_is_dropped_without_a_word(cloud: ApiCloud, three: dict[str, str]) -> None:
    assert _names(cloud, "?host=none-such", role="member") == ["c", "b", "a"]
    assert _names(cloud, "?host=none-such") == []
    assert _names(cloud, "?host=cmp-1&node=cmp-1") == ["c", "b", "a"]
    assert len(three) == 3


@pytest.mark.parametrize("name", ["_x", "metadata", "services"])
def test_some_filters_are_refused_by_name(cloud: ApiCloud, name: str) -> None:
    assert _refused(cloud, f"?{name}=1") == (400, f"Invalid filter field: {name}.")


def test_an_unknown_parameter_is_dropped_until_2_74_and_refused_then(cloud: ApiCloud) -> None:
    assert _names(cloud, "?foo=1", version="2.74") == []
    status, text = _refused(cloud, "?foo=1", version="2.75")
    assert (status, text) == (400, "'foo' does not match any of the regexes: '^_'")


@pytest.mark.parametrize(
    "query, names",
    [
        ("sort_key=display_name", ["c", "b", "a"]),
        ("sort_key=display_name&sort_dir=asc", ["a", "b", "c"]),
        ("sort_dir=asc", ["a", "b", "c"]),
        ("sort_key=vm_state&sort_key=display_name&sort_dir=desc&sort_dir=asc", ["a", "b", "c"]),
        ("sort_key=vcpus&sort_dir=asc", ["c", "b", "a"]),
        ("sort_key=instance_type_id&sort_key=created_at&sort_dir=asc", ["a", "b", "c"]),
    ],
)
def test_servers_are_sorted_by_what_is_asked(
    cloud: ApiCloud, three: dict[str, str], query: str, names: list[str]
) -> None:
    assert _names(cloud, f"?{query}") == names
    assert len(three) == 3


@pytest.mark.parametrize(
    "query, version, role, status",
    [
        ("sort_key=nonsense", "2.1", "member", 400),
        ("sort_key=vcpus", "2.75", "member", 400),
        ("sort_key=locked", "2.73", "member", 200),
        ("sort_key=host", "2.1", "member", 403),
        ("sort_key=host", "2.1", "admin", 200),
        ("sort_key=display_name&sort_dir=up", "2.1", "member", 400),
        ("power_state=much", "2.83", "member", 400),
    ],
)
def test_a_sort_or_value_that_cannot_be_is_refused(
    cloud: ApiCloud, query: str, version: str, role: str, status: int
) -> None:
    assert cloud.call("GET", f"/servers?{query}", version=version, role=role).status_code == status


def test_a_page_is_never_longer_than_the_operator_allows(cloud: ApiCloud, three: dict[str, str]) -> None:
    object.__setattr__(cloud.plane.settings, "max_limit", 2)
    page = cloud.get("/servers?limit=100")
    assert [server["name"] for server in page["servers"]] == ["c", "b"]
    assert "marker=" + three["b"] in page["servers_links"][0]["href"]
    assert DEMO not in page["servers_links"][0]["href"]


def test_servers_are_found_by_the_zone_that_they_show(cloud: ApiCloud) -> None:
    for host in ("cmp-1", "cmp-2"):
        cloud.add_host(host)
    body = {"aggregate": {"name": "a", "availability_zone": "east"}}
    aggregate = cloud.call("POST", "/os-aggregates", body).json()["aggregate"]["id"]
    cloud.call("POST", f"/os-aggregates/{aggregate}/action", {"add_host": {"host": "cmp-2"}})
    cloud.boot("west1")
    cloud.move(cloud.boot("east1"), host="cmp-2")
    cloud.move(cloud.boot("east2", availability_zone="east"), host=None, vm_state=VmState.BUILDING)
    for zone, names in (("nova", ["west1"]), ("east", ["east2", "east1"]), ("none", [])):
        query = f"?availability_zone={zone}"
        assert _names(cloud, query) == names
        assert _names(cloud, query, role="member", version="2.83") == names
        assert {each["OS-EXT-AZ:availability_zone"] for each in cloud.get("/servers/detail" + query)["servers"]} <= {
            zone
        }
    assert len(_names(cloud, "?availability_zone=east", role="member", version="2.82")) == 3
