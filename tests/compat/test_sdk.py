"""The OpenStack SDK and the older novaclient against a started cloud."""

from collections.abc import Iterator

import openstack
import pytest
import yaml
from novaclient import client as nova
from openstack.connection import Connection
from openstack.exceptions import NotFoundException
from websockets.sync.client import connect

from tests.compat.cloud import StartedCloud, simulated_cloud

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedCloud]:
    """A cloud on simulated guests: what is tried here is the client."""
    with simulated_cloud(tmp_path_factory.mktemp("home")) as started:
        yield started


@pytest.fixture(scope="module")
def connection(simulated: StartedCloud) -> Iterator[Connection]:
    entry = yaml.safe_load((simulated.state_dir / "clouds.yaml").read_text())["clouds"]["kilonova"]
    made = openstack.connect(auth=entry["auth"], region_name="RegionOne", load_yaml_config=False)
    yield made
    made.close()


def test_a_server_lives_through_the_sdk(connection: Connection) -> None:
    image = connection.image.find_image("tiny", ignore_missing=False)
    flavor = connection.compute.find_flavor("m1.tiny", ignore_missing=False)
    server = connection.compute.create_server(
        name="sdk", image_id=image.id, flavor_id=flavor.id, networks="none", metadata={"made": "by the SDK"}
    )
    server = connection.compute.wait_for_server(server, wait=100)
    assert server.status == "ACTIVE"
    assert connection.compute.get_server(server.id).metadata == {"made": "by the SDK"}
    connection.compute.stop_server(server)
    connection.compute.wait_for_server(server, status="SHUTOFF", wait=100)
    connection.compute.start_server(server)
    connection.compute.wait_for_server(server, status="ACTIVE", wait=100)
    assert [one.name for one in connection.compute.servers()] == ["sdk"]
    actions = [action.action for action in connection.compute.server_actions(server)]
    assert sorted(actions) == ["create", "start", "stop"]
    connection.compute.delete_server(server)
    connection.compute.wait_for_delete(server, wait=100)
    assert list(connection.compute.servers()) == []


def test_an_image_goes_up_and_comes_down_through_the_sdk(connection: Connection) -> None:
    data = bytes(range(256)) * 4096
    image = connection.image.create_image(
        name="up", data=data, disk_format="raw", container_format="bare", wait=True, allow_duplicates=True
    )
    assert connection.image.get_image(image.id).status == "active"
    assert connection.image.download_image(image.id).content == data
    connection.image.delete_image(image.id)
    assert connection.image.find_image("up") is None


@pytest.mark.parametrize("version", ["2.1", "2.6", "2.96"])
def test_both_clients_get_addresses_that_open_a_console(connection: Connection, version: str) -> None:
    image = connection.image.find_image("tiny", ignore_missing=False)
    flavor = connection.compute.find_flavor("m1.tiny", ignore_missing=False)
    server = connection.compute.create_server(name="sdk", image_id=image.id, flavor_id=flavor.id, networks="none")
    connection.compute.wait_for_server(server, wait=100)
    by_sdk = connection.compute.create_console(server, console_type="serial")
    assert by_sdk is not None
    older = nova.Client(version, session=connection.session)
    shown = older.servers.get(server.id).get_console_url("serial")
    by_novaclient = next(iter(shown.values()))["url"]
    for address in (by_sdk["url"], by_novaclient):
        with connect(address, proxy=None, open_timeout=60) as line:
            assert "no machine runs behind it" in line.recv(timeout=60, decode=False).decode()
    token = address.rpartition("=")[2]
    assert connection.compute.validate_console_auth_token(token).instance_uuid == server.id
    connection.compute.delete_server(server)
    connection.compute.wait_for_delete(server, wait=100)
    with pytest.raises(NotFoundException):
        connection.compute.validate_console_auth_token(token)


def test_the_first_microversion_still_works(connection: Connection, simulated: StartedCloud) -> None:
    reply = connection.compute.get("/servers/detail", microversion="2.1")
    assert reply.headers["OpenStack-API-Version"] == "compute 2.1"
    assert reply.json()["servers"] == []
