"""``/servers/{id}/migrations``: the live migrations of a server that are under way (contract §11.4)."""

from typing import Final

from kilonova.api.call import Call, Page, Shown
from kilonova.api.resources.migrations import MigrationView, moment, of_host
from kilonova.api.routes import Many, One, route
from kilonova.api.schemas.types import MOST, NOTHING, the
from kilonova.api.schemas.validation import Schema
from kilonova.api.shape import Field, Shape, field
from kilonova.domain.errors import Invalid, NotFound
from kilonova.domain.migrations import UNDER_WAY, Migration, MigrationType
from kilonova.domain.operations import get_operation
from kilonova.domain.transitions import refusal
from kilonova.store import moves
from kilonova.store.moves import MigrationQuery
from kilonova.wire.version import Versioned

_RULE: Final = "os_compute_api:servers:migrations:"
_PATH: Final = "/servers/{server_id}/migrations"
_ABORTED_IN: Final = Versioned(("2.24", ("running",)), ("2.65", ("queued", "preparing", "running")))
_COUNTS: Final = tuple(
    f"{what}_{how}_bytes" for what in ("memory", "disk") for how in ("total", "processed", "remaining")
)


def _counts() -> tuple[Field, ...]:
    return tuple(field(name, name) for name in _COUNTS)


MIGRATION: Final = Shape(
    "migration",
    field("id", "id"),
    field("uuid", "uuid", since="2.59"),
    field("server_uuid", "instance_uuid"),
    field("status", "status"),
    field("source_compute", of_host("source_compute")),
    field("source_node", of_host("source_node")),
    field("dest_compute", of_host("dest_compute")),
    field("dest_node", of_host("dest_node")),
    field("dest_host", of_host("dest_host")),
    *_counts(),
    field("created_at", lambda migration: moment(migration.created_at)),
    field("updated_at", lambda migration: moment(migration.updated_at)),
    field("user_id", "user_id", since="2.80"),
    field("project_id", "project_id", since="2.80"),
)
_FORCE_COMPLETE: Final = Versioned[Schema | None](
    ("2.22", Schema(the({"force_complete": {"type": "null"}}, required=("force_complete",))))
)


def index(call: Call) -> Page:
    """``GET /servers/{id}/migrations``."""
    query = MigrationQuery(
        instance_uuid=call.server.uuid, migration_type=MigrationType.LIVE, statuses=UNDER_WAY, newest_first=False
    )
    with call.plane.database.read() as connection:
        found = moves.list_migrations(connection, query)
    return Page(records=found, view=_view(call))


def show(call: Call) -> Shown:
    """``GET /servers/{id}/migrations/{migration_id}``."""
    migration = _find(
        call, f"In-progress live migration {call.params['migration_id']} is not found for server {call.server.uuid}."
    )
    if migration.migration_type != MigrationType.LIVE:
        raise NotFound(f"Migration {migration.id} for server {call.server.uuid} is not live-migration.")
    if migration.status not in UNDER_WAY:
        raise NotFound(f"Live migration {migration.id} for server {call.server.uuid} is not in progress.")
    return Shown(record=migration, view=_view(call))


def force_complete(call: Call) -> None:
    """``POST /servers/{id}/migrations/{migration_id}/action`` with ``force_complete``."""
    _meddle(call, "force_complete_live_migration", ("running",), "force complete")


def abort(call: Call) -> None:
    """``DELETE /servers/{id}/migrations/{migration_id}``."""
    _meddle(call, "abort_live_migration", _ABORTED_IN.at(call.version), "abort live migration")


def _meddle(call: Call, name: str, states: tuple[str, ...], word: str) -> None:
    operation, server = get_operation(name), call.server
    refused = refusal(operation, server, may_override_lock=call.is_admin)
    if refused is not None:
        raise refused
    migration = _find(call, f"Migration {call.params['migration_id']} not found for instance {server.uuid}")
    if migration.status not in states:
        raise Invalid(
            f"Migration {migration.id} state of instance {server.uuid} is {migration.status}. "
            f"Cannot {word} while the migration is in this state."
        )
    parameters = {"migration_id": migration.id}
    call.plane.act(call.request, server, operation, parameters, may_override_lock=call.is_admin)


def _find(call: Call, missing: str) -> Migration:
    """The migration of the path; the server's own, or NotFound."""
    text = call.params["migration_id"]
    number = int(text[:20]) if text.isascii() and text.isdigit() else -1
    with call.plane.database.read() as connection:
        found = moves.find_migration(connection, number) if 0 <= number <= MOST else None
    if found is None or found.instance_uuid != call.server.uuid:
        raise NotFound(missing)
    return found


def _view(call: Call) -> MigrationView:
    return MigrationView(call, sees_hosts=call.may(_RULE + "index:host", project_id=call.server.project_id))


ROUTES: Final = (
    route(
        "GET",
        _PATH,
        index,
        policy=_RULE + "index",
        since="2.23",
        query=NOTHING,
        returns=Many(shape=MIGRATION, key="migrations"),
    ),
    route(
        "GET",
        _PATH + "/{migration_id}",
        show,
        policy=_RULE + "show",
        since="2.23",
        query=NOTHING,
        returns=One(shape=MIGRATION),
    ),
    route(
        "POST",
        _PATH + "/{migration_id}/action",
        force_complete,
        policy=_RULE + "force_complete",
        action="force_complete",
        since="2.22",
        status=202,
        body=_FORCE_COMPLETE,
    ),
    route("DELETE", _PATH + "/{migration_id}", abort, policy=_RULE + "delete", since="2.24", status=202),
)
