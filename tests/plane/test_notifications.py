"""What a running plane tells of what happens in it."""

from pathlib import Path
from typing import Any

from kilonova.domain.model import after
from kilonova.notifications import Message, NotificationOptions, render
from kilonova.store import journal
from tests.plane.house import House, lived_in

OPTIONS = NotificationOptions(host="ctl-1", image_url="http://ctl-1/image")


def told(house: House, after_seq: int = 0, options: NotificationOptions = OPTIONS) -> list[Message]:
    """Every message since."""
    journal.sequence(house.cloud.database)
    with house.cloud.database.read() as connection:
        rows = journal.list_entries(connection, after_seq=after_seq, limit=10_000)
    return [message for row in rows for message in render(row, options)]


def states(message: Message) -> tuple[Any, ...]:
    """From which states to which an update tells."""
    payload = message.payload
    if "nova_object.data" in payload:
        payload = payload["nova_object.data"]["state_update"]["nova_object.data"]
    return tuple(payload[name] for name in ("old_state", "state", "old_task_state", "new_task_state"))


def test_a_stop_is_told_in_both_formats_in_order(house: House) -> None:
    server = house.boot()
    before = len(told(house))
    house.act(server["id"], {"os-stop": None})
    house.settle()
    heard = told(house)[before:]
    host = server["OS-EXT-SRV-ATTR:host"]
    assert [(message.event_type, message.publisher_id) for message in heard] == [
        ("compute.instance.update", "compute.ctl-1"),
        ("instance.update", "nova-compute:ctl-1"),
        ("compute.instance.power_off.start", f"compute.{host}"),
        ("instance.power_off.start", f"nova-compute:{host}"),
        ("compute.instance.update", f"compute.{host}"),
        ("instance.update", f"nova-compute:{host}"),
        ("compute.instance.power_off.end", f"compute.{host}"),
        ("instance.power_off.end", f"nova-compute:{host}"),
    ]
    begun, ended = ("active", "active", "powering-off", "powering-off"), ("active", "stopped", "powering-off", None)
    assert [states(message) for message in heard if message.event_type.endswith("update")] == [
        *(begun, begun),
        *(ended, ended),
    ]


def test_the_same_row_is_the_same_messages_whoever_renders_it(house: House) -> None:
    house.boot()
    first, again = told(house), told(house)
    assert first == again
    assert len({message.message_id for message in first}) == len(first)


def test_what_options_leave_out_changes_no_other_id(house: House) -> None:
    house.boot()
    everything = {message.message_id: message.event_type for message in told(house)}
    quiet = NotificationOptions(host="ctl-1", notification_format="versioned", notify_on_state_change="")
    some = told(house, options=quiet)
    assert [name for name in names(some) if name.startswith("instance")] == [
        "instance.create.start",
        "instance.create.end",
    ]
    assert all(everything[message.message_id] == message.event_type for message in some)


def test_a_message_goes_to_every_topic_under_one_id(house: House) -> None:
    house.boot()
    options = NotificationOptions(host="ctl-1", notification_format="versioned", versioned_topics=("a", "b"))
    first, second, *_ = told(house, options=options)
    assert (first.routing_key, second.routing_key) == ("a.info", "b.info")
    assert first.message_id == second.message_id


def names(messages: list[Message]) -> list[str]:
    return [message.event_type for message in messages]


LEGACY = NotificationOptions(host="ctl-1", notification_format="unversioned", notify_on_state_change="")
VERSIONED = NotificationOptions(host="ctl-1", notification_format="versioned", notify_on_state_change="")


def test_a_failed_operation_is_told_by_its_method(house: House) -> None:
    server = house.boot(metadata={"sim:fail": "pause"})
    before = len(told(house))
    house.act(server["id"], {"pause": None})
    house.settle()
    heard = told(house)[before:]
    assert names(heard)[-2:] == ["pause_instance", "compute.exception"]
    old, new = heard[-2:]
    assert (old.priority, old.routing_key, new.routing_key) == (
        "ERROR",
        "notifications.error",
        "versioned_notifications.error",
    )
    assert old.payload["args"]["instance"]["uuid"] == server["id"]
    assert "'class': 'GuestFailure'" in old.payload["exception"]
    data = new.payload["nova_object.data"]
    assert (data["exception"], data["exception_message"]) == ("GuestFailure", "simulated: the hypervisor refused")
    assert data["traceback"].startswith("Traceback (most recent call last)")


def test_a_failed_build_is_told_of_every_host_and_then_of_the_conductor(tmp_path: Path) -> None:
    with lived_in(tmp_path, simulate_hosts=2) as house:
        house.boot(metadata={"sim:fail": "spawn"})
        heard = told(house, options=LEGACY)
    attempt = [
        "scheduler.select_destinations.start",
        "scheduler.select_destinations.end",
        "compute.instance.create.start",
        "compute.instance.shutdown.start",
        "compute.instance.shutdown.end",
        "compute.instance.create.error",
    ]
    of_servers = [message for message in heard if message.event_type.startswith(("scheduler", "compute"))]
    assert names(of_servers) == [*attempt, *attempt, "compute_task.build_instances"]
    errors = [message for message in of_servers if message.event_type.endswith("create.error")]
    assert {message.payload["message"] for message in errors} == {"simulated: the hypervisor refused"}
    assert len({message.publisher_id for message in errors}) == 2
    assert of_servers[-1].publisher_id == "compute_task.ctl-1"
    assert of_servers[-1].payload["state"] == "error"


def test_a_server_for_which_there_is_no_host_is_told_of_by_the_conductor_alone(house: House) -> None:
    huge = {"flavor": {"name": "huge", "ram": 64, "vcpus": 1, "disk": 9_000_000, "id": "huge"}}
    assert house.call("POST", "/flavors", huge).status_code == 200
    before = len(told(house, options=VERSIONED))
    house.boot(flavorRef="huge")
    (message,) = told(house, options=VERSIONED)[before:]
    assert message.event_type == "compute_task.build_instances.error"
    reason = message.payload["nova_object.data"]["reason"]["nova_object.data"]
    assert reason["exception"] == "NoValidHost"
    assert reason["exception_message"].startswith("No valid host was found.")


def test_a_server_without_a_living_host_is_deleted_by_the_api(house: House) -> None:
    server = house.boot()
    before = len(told(house, options=VERSIONED))
    house.at = after(house.at, 3600)
    assert house.call("DELETE", f"/servers/{server['id']}").status_code == 204
    heard = told(house, options=VERSIONED)[before:]
    assert [(message.event_type, message.publisher_id) for message in heard] == [
        ("instance.delete.start", "nova-api:ctl-1"),
        ("instance.delete.end", "nova-api:ctl-1"),
    ]


def test_nouns_are_told_with_their_changes(house: House) -> None:
    before = len(told(house))
    for path, body in (
        ("/os-aggregates", {"aggregate": {"name": "fast", "availability_zone": "z"}}),
        ("/os-aggregates/1/action", {"set_metadata": {"metadata": {"ssd": "true"}}}),
        ("/os-aggregates/1/action", {"add_host": {"host": house.cloud.plane.agents[0].host}}),
        ("/os-server-groups", {"server_group": {"name": "apart", "policy": "anti-affinity"}}),
        ("/flavors", {"flavor": {"name": "small", "ram": 64, "vcpus": 1, "disk": 1}}),
    ):
        assert house.call("POST", path, body).status_code == 200, path
    heard = told(house)[before:]
    assert names(heard) == [
        *("aggregate.create.start", "aggregate.create.start", "aggregate.create.end", "aggregate.create.end"),
        *("aggregate.updatemetadata.start", "aggregate.update_metadata.start"),
        *("aggregate.updatemetadata.end", "aggregate.update_metadata.end"),
        *("aggregate.addhost.start", "aggregate.add_host.start", "aggregate.addhost.end", "aggregate.add_host.end"),
        *("servergroup.create", "server_group.create", "flavor.create"),
    ]
    assert heard[0].publisher_id == "aggregate.fast"
    assert heard[2].publisher_id == "aggregate.1"
    assert heard[4].payload == {"aggregate_id": 1, "meta_data": {"ssd": "true"}}
    assert heard[5].payload["nova_object.data"]["metadata"] == {"availability_zone": "z"}
    assert heard[7].payload["nova_object.data"]["metadata"] == {"availability_zone": "z", "ssd": "true"}
    assert (heard[9].payload["nova_object.data"]["hosts"], heard[8].payload["aggregate_id"]) == ([], "1")


def test_tags_are_told_even_where_no_change_of_state_is(house: House) -> None:
    server = house.boot()
    before = len(told(house, options=LEGACY))
    assert house.call("PUT", f"/servers/{server['id']}/tags", {"tags": ["a"]}).status_code == 200
    (message,) = told(house, options=LEGACY)[before:]
    assert (message.event_type, message.publisher_id) == ("compute.instance.update", "nova-api.ctl-1")


def test_who_asked_is_told_by_name_and_without_a_token(house: House) -> None:
    server = house.boot()
    before = len(told(house))
    house.act(server["id"], {"os-stop": None})
    house.settle()
    heard = told(house)[before:]
    assert len(heard) == 8
    for message in heard:
        context = message.context
        assert (context["user_name"], context["project_name"]) == ("admin", "demo")
        assert (context["user_domain"], context["project_domain"]) == ("default", "default")
        assert context["is_admin"] is True
        assert "admin" in context["roles"]
        assert context["auth_token"] is None
        assert message.body["_context_request_id"].startswith("req-")
    assert house.token() not in str([message.body for message in told(house)])
