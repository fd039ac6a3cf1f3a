"""What a plane's ledger and journal say of a server, through the API."""

from typing import Any

from tests.plane.house import House


def ledger_of(house: House, server_id: str) -> tuple[str, list[tuple[str, str | None]]]:
    """The newest action of the server, and its events in the order of time with their results."""
    path = f"/servers/{server_id}/os-instance-actions"
    newest = house.call("GET", path).json()["instanceActions"][0]
    shown = house.call("GET", f"{path}/{newest['request_id']}").json()["instanceAction"]
    return shown["action"], [(event["event"], event["result"]) for event in reversed(shown["events"])]


def actions_of(house: House, server_id: str) -> list[str]:
    """The names of all its actions, the newest first."""
    listed = house.call("GET", f"/servers/{server_id}/os-instance-actions").json()["instanceActions"]
    return [action["action"] for action in listed]


def states_of(house: House, server_id: str, operation: str) -> list[str | None]:
    """The task states that an operation of the server went through, by the journal."""
    return [task for task, _ in _course(house, server_id, operation)]


def courses_of(house: House, server_id: str, operation: str) -> list[tuple[str | None, str]]:
    """The pairs of task state and settled state that an operation of the server went through, by the journal."""
    return _course(house, server_id, operation)


def _course(house: House, server_id: str, operation: str) -> list[tuple[str | None, str]]:
    events = house.call("GET", "//state/v1/events?limit=1000").json()["events"]
    mine = [event for event in events if event["key"] == server_id and event["operation"] == operation]
    states = [(event["snapshot"]["task_state"], event["snapshot"]["vm_state"]) for event in mine]
    return [state for number, state in enumerate(states) if number == 0 or states[number - 1] != state]


def told(reply: Any) -> str:
    """What the error body says."""
    (body,) = reply.json().values()
    text: str = body["message"]
    return text
