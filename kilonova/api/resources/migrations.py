"""``/os-migrations``: every move of every server, under way and over (contract §11.4)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from kilonova.api.call import Call, Page
from kilonova.api.paging import page_limit, page_of
from kilonova.api.routes import Many, route
from kilonova.api.schemas.types import DATE_TIME, NON_NEGATIVE, STRING, param, query, truth
from kilonova.api.shape import ABSENT, Shape, field
from kilonova.domain.errors import Invalid
from kilonova.domain.migrations import UNDER_WAY, Migration, MigrationType
from kilonova.domain.model import Flavor, Instant
from kilonova.store import moves
from kilonova.store.moves import MigrationQuery
from kilonova.wire.times import naive, parse_iso
from kilonova.wire.version import Versioned

_RULE: Final = "os_compute_api:os-migrations:index"
_IS_PAGED: Final = Versioned(("2.1", False), ("2.59", True))
_FILTERS: Final = ("host", "instance_uuid", "source_compute", "status", "migration_type", "user_id", "project_id")


@dataclass(frozen=True, slots=True)
class MigrationView:
    """What a migration is rendered by: the call, and whether the caller may see hosts."""

    call: Call
    sees_hosts: bool


def moment(instant: int | None) -> str | None:
    """A moment as migrations show it."""
    return None if instant is None else naive(instant)


def of_host(name: str) -> Callable[[Migration, MigrationView], Any]:
    """What only those see who may see hosts; null for others."""
    return lambda migration, view: getattr(migration, name) if view.sees_hosts else None


def _flavor_id(which: Callable[[Migration], Flavor | None]) -> Callable[[Migration], int | None]:
    def number(migration: Migration) -> int | None:
        flavor = which(migration)
        return None if flavor is None else flavor.id

    return number


def _links(migration: Migration, view: MigrationView) -> Any:
    is_live = migration.migration_type == MigrationType.LIVE and migration.status in UNDER_WAY
    if not is_live:
        return ABSENT
    return view.call.links.both(f"servers/{migration.instance_uuid}/migrations", str(migration.id))


MIGRATION: Final = Shape(
    "migration",
    field("id", "id"),
    field("uuid", "uuid", since="2.59"),
    field("source_compute", of_host("source_compute")),
    field("dest_compute", of_host("dest_compute")),
    field("source_node", of_host("source_node")),
    field("dest_node", of_host("dest_node")),
    field("dest_host", of_host("dest_host")),
    field("old_instance_type_id", _flavor_id(lambda migration: migration.old_flavor)),
    field("new_instance_type_id", _flavor_id(lambda migration: migration.new_flavor)),
    field("instance_uuid", "instance_uuid"),
    field("status", "status"),
    field("migration_type", "migration_type", since="2.23"),
    field("links", _links, since="2.23"),
    field("user_id", "user_id", since="2.80"),
    field("project_id", "project_id", since="2.80"),
    field("created_at", lambda migration: moment(migration.created_at)),
    field("updated_at", lambda migration: moment(migration.updated_at)),
)
_QUERY: Final = query(
    *(param(name) for name in ("hidden", "host", "instance_uuid", "source_compute", "status", "migration_type")),
    param("limit", NON_NEGATIVE, since="2.59"),
    param("marker", {**STRING, "format": "uuid"}, since="2.59"),
    param("changes-since", DATE_TIME, since="2.59"),
    param("changes-before", DATE_TIME, since="2.66"),
    param("user_id", since="2.80"),
    param("project_id", since="2.80"),
    strict="2.59",
)


def index(call: Call) -> Page:
    """``GET /os-migrations``: of one project, or, for who may, of all."""
    project_id = call.first("project_id")
    if project_id is None or project_id != call.caller.project_id:
        call.check(_RULE + ":all_projects")
    view = MigrationView(call, sees_hosts=call.may(_RULE + ":host"))
    is_paged = _IS_PAGED.at(call.version)
    limit = page_limit(call) if is_paged else None
    since, before = _instant(call, "changes-since"), _instant(call, "changes-before")
    if since is not None and before is not None and since > before:
        raise Invalid("The value of changes-since must be less than or equal to changes-before.")
    hidden = call.first("hidden")
    wanted = MigrationQuery(
        **{name: call.first(name) for name in _FILTERS},
        hidden=hidden is not None and truth(hidden),
        changes_since=since,
        changes_before=before,
        newest_first=is_paged,
        marker=call.first("marker"),
        limit=limit,
    )
    with call.plane.database.read() as connection:
        found = moves.list_migrations(connection, wanted)
    if limit is None:
        return Page(records=found, view=view)
    return page_of(found, limit, id_of=lambda migration: migration.uuid, view=view)


def _instant(call: Call, name: str) -> Instant | None:
    text = call.first(name)
    return None if text is None else Instant(parse_iso(text))


ROUTES: Final = (
    route("GET", "/os-migrations", index, policy=_RULE, query=_QUERY, returns=Many(shape=MIGRATION, key="migrations")),
)
