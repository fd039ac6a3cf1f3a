"""Which servers are plugged in, on every database."""

from kilonova.domain.plugs import PluggedServer
from kilonova.domain.states import VmState
from kilonova.store.database import Database
from kilonova.store.plugs import StoredPlugs
from tests.backends.store.worlds import NOW, kept, running

NICS = '[{"label":"private","mac":"fa:16:3e:00:00:01","address":"10.77.0.17"},{}]'


def test_living_servers_with_nics_are_plugged_in(database: Database) -> None:
    server = kept(database, running(nics_json=NICS, availability_zone="nova"))
    kept(database, running())
    kept(database, running(nics_json=NICS, vm_state=VmState.DELETED, terminated_at=NOW, deleted_at=NOW))
    (plugged,) = StoredPlugs(database).list_plugged()
    assert plugged == PluggedServer(
        uuid=server.uuid,
        project_id="p1",
        host="h1",
        availability_zone="nova",
        nics_json=NICS,
        created_at=server.created_at,
        updated_at=server.updated_at,
    )
    assert [nic["address"] for nic in plugged.nics] == ["10.77.0.17"]


def test_they_are_narrowed_to_a_project_and_to_a_server(database: Database) -> None:
    plugs = StoredPlugs(database)
    first, second, other = (
        kept(database, running(nics_json=NICS, project_id=project)) for project in ("p1", "p1", "p2")
    )
    assert [one.uuid for one in plugs.list_plugged()] == [first.uuid, second.uuid, other.uuid]
    assert [one.uuid for one in plugs.list_plugged("p1")] == [first.uuid, second.uuid]
    assert [one.uuid for one in plugs.list_plugged(None, second.uuid)] == [second.uuid]
    assert plugs.list_plugged("p2", second.uuid) == plugs.list_plugged("p3") == []
