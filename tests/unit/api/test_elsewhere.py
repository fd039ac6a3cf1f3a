"""What Nova passes on to other services, what it removed, and what there is none of: a clear answer to each."""

from typing import Any

import pytest

from tests.unit.api.cloud import DEMO, IMAGE_ID, ApiCloud, capture

PROXIES = (
    *("images", "os-networks", "os-tenant-networks", "os-security-groups", "os-floating-ips"),
    *("os-floating-ip-pools", "os-volumes", "os-snapshots", "os-baremetal-nodes"),
)
GONE = "This resource is no longer available. No forwarding address is given."


def _message(reply: Any) -> tuple[int, str]:
    (fault,) = reply.json().values()
    return reply.status_code, fault["message"]


@pytest.mark.parametrize("noun", PROXIES)
def test_other_services_are_passed_on_until_2_35(cloud: ApiCloud, noun: str) -> None:
    assert cloud.call("GET", f"/{noun}", version="2.35").status_code == 200
    assert _message(cloud.call("GET", f"/{noun}", version="2.36")) == (404, "The resource could not be found.")


@pytest.mark.parametrize(
    "path, text",
    [
        ("/os-floating-ips/7", "Floating IP not found for ID 7"),
        ("/os-volumes/v", "Volume v could not be found."),
        ("/os-snapshots/s", "Snapshot s could not be found."),
        ("/os-networks/n", "Network not found"),
        ("/os-security-groups/g", "Security group g not found."),
        ("/images/none", "Image not found."),
    ],
)
def test_what_there_is_none_of_is_not_found(cloud: ApiCloud, path: str, text: str) -> None:
    assert _message(cloud.call("GET", path)) == (404, text)


@pytest.mark.parametrize(
    "method, path",
    [
        ("POST", "/os-volumes"),
        ("POST", "/os-security-groups"),
        ("POST", "/os-security-group-rules"),
    ],
)
def test_what_nobody_can_make_here_is_told_so(cloud: ApiCloud, method: str, path: str) -> None:
    code, text = _message(cloud.call(method, path, {}))
    assert (code, text.startswith("Kilonova does not have ")) == (501, True)


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/os-agents"),
        ("POST", "/os-cells/sync_instances"),
        ("GET", "/os-cells/x/capacities"),
        ("GET", "/os-certificates/root"),
        ("PUT", "/os-cloudpipe/configure-project"),
        ("POST", "/os-fixed-ips/10.0.0.1/action"),
        ("DELETE", "/os-floating-ip-dns/d/entries/e"),
        ("PUT", "/os-floating-ips-bulk/delete"),
        ("GET", "/os-fping"),
        ("POST", "/os-networks"),
        ("POST", "/os-networks/add"),
        ("DELETE", "/os-tenant-networks/x"),
        ("GET", "/servers/x/os-virtual-interfaces"),
        ("DELETE", "/servers/x/consoles/1"),
    ],
)
@pytest.mark.parametrize("version", ["2.1", "latest"])
def test_what_was_removed_is_gone_at_every_version(cloud: ApiCloud, method: str, path: str, version: str) -> None:
    body: Any = {} if method in {"POST", "PUT"} else None
    assert _message(cloud.call(method, path, body, version=version)) == (410, GONE)


def test_machines_of_metal_are_ironics(cloud: ApiCloud) -> None:
    text = "Command Not supported. Please use Ironic command node-create to perform this action."
    assert _message(cloud.call("POST", "/os-baremetal-nodes", {})) == (400, text)


def test_servers_have_a_second_address_until_2_102(cloud: ApiCloud) -> None:
    wanted = {"server": {"name": "s", "flavorRef": "1", "imageRef": IMAGE_ID}}
    made = cloud.call("POST", "/os-volumes_boot", wanted)
    uuid = made.json()["server"]["id"]
    assert made.headers["location"].endswith(f"/v2.1/servers/{uuid}")
    assert cloud.get(f"/os-volumes_boot/{uuid}", version="2.102")["server"]["id"] == uuid
    assert cloud.get("/os-volumes_boot/detail")["servers"][0]["id"] == uuid
    assert cloud.call("POST", f"/os-volumes_boot/{uuid}/action", {"lock": None}).status_code == 202
    assert cloud.call("GET", "/os-volumes_boot", version="2.103").status_code == 404
    assert cloud.call("DELETE", f"/os-volumes_boot/{uuid}").status_code == 204


@pytest.mark.parametrize(
    "name, path",
    [
        ("server-password", "os-server-password"),
        ("server-topology", "topology"),
        ("server-shares", "shares"),
        ("server-volumes", "os-volume_attachments"),
    ],
)
def test_a_server_that_has_nothing_says_so_as_a_real_nova(cloud: ApiCloud, name: str, path: str) -> None:
    uuid = cloud.boot()
    assert cloud.get(f"/servers/{uuid}/{path}", version="latest") == capture(f"{name}@latest")["body"]


def test_a_server_tells_the_security_group_of_its_project(cloud: ApiCloud) -> None:
    uuid, bare = cloud.boot(), cloud.boot(networks="none")
    (ours,) = cloud.get(f"/servers/{uuid}/os-security-groups")["security_groups"]
    (theirs,) = capture("server-security-groups@2.1")["body"]["security_groups"]
    assert ours == {**theirs, "id": ours["id"], "tenant_id": DEMO}
    assert cloud.get("/os-security-groups")["security_groups"] == [ours]
    assert cloud.get(f"/os-security-groups/{ours['id']}")["security_group"] == ours
    assert cloud.get(f"/servers/{bare}/os-security-groups") == {"security_groups": []}


def test_the_built_in_network_is_told_in_the_form_of_a_real_novas(cloud: ApiCloud) -> None:
    (ours,) = cloud.get("/os-networks")["networks"]
    theirs = capture("networks@2.1")["body"]["networks"][0]
    assert ours == {**theirs, "id": ours["id"]}
    assert cloud.get(f"/os-networks/{ours['id']}")["network"] == ours
    assert cloud.get("/os-tenant-networks")["networks"] == [{"id": ours["id"], "cidr": "None", "label": "private"}]


def test_volumes_and_shares_of_a_server_are_not_found(cloud: ApiCloud) -> None:
    uuid = cloud.boot()
    text = f"Instance {uuid} is not attached to volume v"
    assert _message(cloud.call("GET", f"/servers/{uuid}/os-volume_attachments/v")) == (404, text)
    assert cloud.call("DELETE", f"/servers/{uuid}/os-volume_attachments/v").status_code == 404


def test_images_have_the_form_of_a_real_novas_answer(cloud: ApiCloud) -> None:
    (ours,) = cloud.get("/images/detail")["images"]
    theirs = capture("images-detail@2.1")["body"]["images"][1]
    assert list(ours) == list(theirs)
    assert (ours["status"], ours["progress"], ours["metadata"]) == ("ACTIVE", 100, theirs["metadata"])
    assert [link["rel"] for link in ours["links"]] == ["self", "bookmark", "alternate"]
    assert cloud.get(f"/images/{IMAGE_ID}")["image"] == ours
    (brief,) = cloud.get("/images")["images"]
    assert list(brief) == list(capture("images@2.1")["body"]["images"][0])


@pytest.mark.parametrize(
    "query, count",
    [
        ("name=tiny", 1),
        ("name=other", 0),
        ("status=active", 1),
        ("minRam=1", 0),
        ("property-os_distro=cirros", 1),
        ("server=x", 0),
        ("type=snapshot", 0),
        ("changes-since=2011-01-24T17:08Z", 1),
        ("limit=0", 0),
    ],
)
def test_images_are_filtered(cloud: ApiCloud, query: str, count: int) -> None:
    assert len(cloud.get(f"/images?{query}")["images"]) == count


def test_images_that_make_no_sense_are_refused(cloud: ApiCloud) -> None:
    for query in ("changes-since=x", "marker=x", "limit=-1"):
        assert cloud.call("GET", f"/images?{query}").status_code == 400


def test_the_metadata_of_an_image_is_changed_by_its_owner_until_2_38(cloud: ApiCloud) -> None:
    path = f"/images/{IMAGE_ID}/metadata"
    assert cloud.call("POST", path, {"metadata": {"a": "1"}}, version="2.38").json()["metadata"]["a"] == "1"
    assert cloud.call("PUT", f"{path}/a", {"meta": {"a": "2"}}).json() == {"meta": {"a": "2"}}
    assert cloud.get(f"{path}/a") == {"meta": {"a": "2"}}
    assert cloud.call("DELETE", f"{path}/a").status_code == 204
    assert _message(cloud.call("GET", f"{path}/a")) == (404, "Metadata item was not found")
    assert cloud.call("PUT", path, {"metadata": {"b": "3"}}).json() == {"metadata": {"b": "3"}}
    assert _message(cloud.call("PUT", f"{path}/a", {"meta": {"c": "2"}})) == (400, "Request body and URI mismatch")
    assert cloud.call("POST", path, {"metadata": {"a": "1"}}, role="member").status_code == 403
    assert cloud.call("GET", path, version="2.39").status_code == 404


def test_an_image_is_deleted_by_its_owner(cloud: ApiCloud) -> None:
    text = "You are not allowed to delete the image."
    assert _message(cloud.call("DELETE", f"/images/{IMAGE_ID}", role="member")) == (403, text)
    assert cloud.call("DELETE", f"/images/{IMAGE_ID}").status_code == 204
    assert cloud.call("DELETE", f"/images/{IMAGE_ID}").status_code == 404


def test_extensions_are_listed_by_alias_and_one_more_below_v2(cloud: ApiCloud) -> None:
    ours, theirs = cloud.get("/extensions")["extensions"], capture("extensions@2.1")["body"]["extensions"]
    assert [(each["alias"], each["name"]) for each in ours] == [(each["alias"], each["name"]) for each in theirs]
    old = [each["alias"] for each in cloud.get("//compute/v2/extensions")["extensions"]]
    assert old == sorted([*(each["alias"] for each in ours), "OS-EXT-VIF-NET"])
    assert cloud.get("//compute/v2/extensions/OS-EXT-VIF-NET")["extension"]["name"] == "ExtendedVIFNet"
    assert cloud.call("GET", "/extensions/OS-EXT-VIF-NET").status_code == 404
