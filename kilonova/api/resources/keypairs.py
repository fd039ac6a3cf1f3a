"""``/os-keypairs``: what guests let their owners in by (contract §11.7)."""

from dataclasses import dataclass
from typing import Any, Final

from kilonova.api.call import Call, Page, Shown
from kilonova.api.paging import page_limit, page_of
from kilonova.api.quotas import limits_of
from kilonova.api.routes import Many, One, Target, route
from kilonova.api.schemas import keypairs as schemas
from kilonova.api.shape import ABSENT, Shape, field
from kilonova.domain.errors import Invalid
from kilonova.domain.keypairs import NAME_LETTERS, OLD_NAME_LETTERS, KeyPair, KeyType
from kilonova.services.keys import fingerprint_of, new_key
from kilonova.store import keypairs
from kilonova.wire.times import naive
from kilonova.wire.version import Microversion, Versioned

_RULE: Final = "os_compute_api:os-keypairs:"
_LETTERS: Final = Versioned(("2.1", OLD_NAME_LETTERS), ("2.92", NAME_LETTERS))
_PAGED_SINCE: Final = Microversion(2, 35)


@dataclass(frozen=True, slots=True)
class Made:
    """What the one who made a key pair is told, and only now: the private key, None where it was imported."""

    private_key: str | None


def _private_key(_: KeyPair, made: Made) -> Any:
    return ABSENT if made.private_key is None else made.private_key


LISTED: Final = Shape(
    "keypair",
    field("name", "name"),
    field("public_key", "public_key"),
    field("fingerprint", "fingerprint"),
    field("type", "type", since="2.2"),
)

SHOWN: Final = Shape(
    "keypair",
    field("name", "name"),
    field("public_key", "public_key"),
    field("fingerprint", "fingerprint"),
    field("user_id", "user_id"),
    field("created_at", lambda keypair: naive(keypair.created_at)),
    field("deleted", lambda _: False),
    field("deleted_at", lambda _: None),
    field("id", "id"),
    field("updated_at", lambda _: None),
    field("type", "type", since="2.2"),
)

CREATED: Final = Shape(
    "keypair",
    field("type", "type", since="2.2"),
    field("name", "name"),
    field("public_key", "public_key"),
    field("fingerprint", "fingerprint"),
    field("user_id", "user_id"),
    field("private_key", _private_key, until="2.91"),
)


def index(call: Call) -> Page:
    """``GET /os-keypairs``: one's own, or for administrators another user's."""
    user_id = _owner(call, "index", call.first("user_id"))
    is_paged = call.version >= _PAGED_SINCE
    limit = page_limit(call) if is_paged else None
    with call.plane.database.read() as connection:
        found = keypairs.list_keypairs(connection, user_id, marker=call.first("marker"), limit=limit)
    return page_of(found, limit or 0, id_of=lambda keypair: keypair.name)


def show(call: Call) -> KeyPair:
    """``GET /os-keypairs/{name}``."""
    user_id = _owner(call, "show", call.first("user_id"))
    with call.plane.database.read() as connection:
        return keypairs.get_keypair(connection, user_id, call.params["name"])


def create(call: Call) -> Shown:
    """``POST /os-keypairs``: one that is brought along, or until 2.91 a new one."""
    wanted = call.body["keypair"]
    user_id = _owner(call, "create", wanted.get("user_id"))
    name, type, public_key = wanted["name"], KeyType(wanted.get("type", "ssh")), wanted.get("public_key")
    _check_name(call, name)
    private_key = None
    if public_key is None:
        public_key, private_key = new_key(type, user_id, now=call.plane.now())
    keypair = KeyPair(
        id=0,
        user_id=user_id,
        name=name,
        type=type,
        public_key=public_key,
        fingerprint=fingerprint_of(type, public_key),
        created_at=call.plane.now(),
    )
    limit = limits_of(call, user_id)["key_pairs"]
    with call.plane.database.transaction() as tx:
        made = keypairs.add_keypair(tx, keypair, limit=limit, request=call.request, is_import=private_key is None)
    return Shown(record=made, view=Made(private_key))


def delete(call: Call) -> None:
    """``DELETE /os-keypairs/{name}``; servers keep what they had of it."""
    user_id = _owner(call, "delete", call.first("user_id"))
    with call.plane.database.transaction() as tx:
        keypairs.remove_keypair(tx, user_id, call.params["name"], request=call.request)


def _owner(call: Call, rule: str, named: str | None) -> str:
    """The user whose key pairs are meant. Forbidden where the caller may not have to do with them."""
    user_id = named or call.caller.user_id
    call.policy.check(_RULE + rule, call.caller, project_id=call.caller.project_id, user_id=user_id)
    return user_id


def _check_name(call: Call, name: str) -> None:
    letters = _LETTERS.at(call.version)
    if not set(name) <= set(letters):
        raise Invalid(f"An invalid 'name' value was provided. The name must be: Only expected characters: [{letters}]")


ROUTES: Final = (
    route(
        "GET",
        "/os-keypairs",
        index,
        policy=_RULE + "index",
        target=Target.HANDLER,
        query=schemas.LIST,
        returns=Many(shape=LISTED, key="keypairs", item="keypair"),
    ),
    route(
        "GET",
        "/os-keypairs/{name}",
        show,
        policy=_RULE + "show",
        target=Target.HANDLER,
        query=schemas.ONE,
        returns=One(shape=SHOWN),
        is_quick=True,
    ),
    route(
        "POST",
        "/os-keypairs",
        create,
        policy=_RULE + "create",
        target=Target.HANDLER,
        status=Versioned(("2.1", 200), ("2.2", 201)),
        body=schemas.CREATE,
        returns=One(shape=CREATED),
    ),
    route(
        "DELETE",
        "/os-keypairs/{name}",
        delete,
        policy=_RULE + "delete",
        target=Target.HANDLER,
        status=Versioned(("2.1", 202), ("2.2", 204)),
        query=schemas.ONE,
    ),
)
