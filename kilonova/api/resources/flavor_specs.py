"""``/flavors/{id}/os-extra_specs``: what a flavor asks of its hosts beyond sizes (contract §11.6)."""

import json
from collections.abc import Mapping
from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.resources.flavors import show
from kilonova.api.routes import route
from kilonova.api.schemas import flavors as schemas
from kilonova.api.schemas.types import NOTHING
from kilonova.api.shape import raw
from kilonova.domain.errors import Invalid, NotFound
from kilonova.domain.extra_specs import complaint
from kilonova.store import flavors
from kilonova.wire.version import Versioned

_RULE: Final = "os_compute_api:os-flavor-extra-specs:"
_ALL: Final = "/flavors/{flavor_id}/os-extra_specs"
_ONE: Final = _ALL + "/{key}"
_LONGEST: Final = 255
_IS_CHECKED: Final = Versioned(("2.1", False), ("2.86", True))


def index(call: Call) -> dict[str, Any]:
    """``GET /flavors/{id}/os-extra_specs``."""
    return {"extra_specs": raw(show(call).extra_specs_json)}


def one(call: Call) -> dict[str, str]:
    """``GET /flavors/{id}/os-extra_specs/{key}``."""
    key = call.params["key"]
    specs = json.loads(show(call).extra_specs_json)
    if key not in specs:
        raise NotFound(f"Flavor {call.params['flavor_id']} has no extra specs with key {key}.")
    return {key: specs[key]}


def create(call: Call) -> dict[str, Any]:
    """``POST /flavors/{id}/os-extra_specs``: some more, or new values."""
    wanted = _texts(call, call.body["extra_specs"])
    _change(call, wanted)
    return {"extra_specs": wanted}


def update(call: Call) -> dict[str, str]:
    """``PUT /flavors/{id}/os-extra_specs/{key}``."""
    if call.params["key"] not in call.body:
        raise Invalid("Request body and URI mismatch")
    wanted = _texts(call, call.body)
    _change(call, wanted)
    return wanted


def delete(call: Call) -> None:
    """``DELETE /flavors/{id}/os-extra_specs/{key}``."""
    with call.plane.database.transaction() as tx:
        flavors.change_extra_specs(tx, call.params["flavor_id"], unwanted=[call.params["key"]], request=call.request)


def _change(call: Call, wanted: Mapping[str, str]) -> None:
    with call.plane.database.transaction() as tx:
        flavors.change_extra_specs(tx, call.params["flavor_id"], wanted=wanted, request=call.request)


def _texts(call: Call, wanted: Mapping[str, Any]) -> dict[str, str]:
    """The values as text, which numbers may have been. Invalid for what a known extra spec cannot be."""
    texts = {key: str(value) for key, value in wanted.items()}
    for key, value in texts.items():
        if len(value) > _LONGEST:
            raise Invalid(f"extra_specs value has {len(value)} characters, more than {_LONGEST}.")
        wrong = complaint(key, value) if _IS_CHECKED.at(call.version) else None
        if wrong:
            raise Invalid(wrong)
    return texts


ROUTES: Final = (
    route("GET", _ALL, index, policy=_RULE + "index", query=NOTHING, is_quick=True),
    route("GET", _ONE, one, policy=_RULE + "show", query=NOTHING, is_quick=True),
    route("POST", _ALL, create, policy=_RULE + "create", body=schemas.ADD_SPECS),
    route("PUT", _ONE, update, policy=_RULE + "update", body=schemas.SET_SPEC),
    route("DELETE", _ONE, delete, policy=_RULE + "delete"),
)
