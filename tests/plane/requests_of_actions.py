"""A body for every action key of the contract, and ways to bring a server into every settled state."""

from typing import Any

from tests.plane.house import House

_BODIES: dict[str, Any] = {
    "reboot": {"type": "SOFT"},
    "reboot_hard": {"type": "HARD"},
    "change_password": {"adminPass": "a-new-word"},
    "create_image": {"name": "snap"},
    "create_backup": {"name": "backup", "backup_type": "daily", "rotation": 1},
    "resize": {"flavorRef": "2"},
    "reset_state": {"state": "active"},
    "live_migrate": {"host": None, "block_migration": "auto"},
    "evacuate": {},
}
_WAYS: dict[str, list[dict[str, Any]]] = {
    "active": [],
    "stopped": [{"os-stop": None}],
    "paused": [{"pause": None}],
    "suspended": [{"suspend": None}],
    "rescued": [{"rescue": None}],
    "resized": [{"resize": {"flavorRef": "2"}}],
    "error": [{"os-resetState": {"state": "error"}}],
    "shelved": [{"shelve": None}],
    "shelved_offloaded": [{"shelve": None}, {"shelveOffload": None}],
}


def body_of(name: str, key: str, image_id: str) -> dict[str, Any]:
    """The body by which an operation is asked for under its key."""
    return {key: {"imageRef": image_id} if name == "rebuild" else _BODIES.get(name)}


def bring(house: House, server: str, state: str) -> None:
    """Bring an active server into a settled state by what a client would do; shelved servers stay on their host."""
    if state == "soft-delete":
        house.delete_softly(server)
        house.settle()
    for action in _WAYS.get(state, []):
        reply = house.act(server, action)
        assert reply.status_code in (200, 202), reply.text
        house.settle()
    assert house.show(server)["OS-EXT-STS:vm_state"] == state
