"""``createImage`` and ``createBackup``: an image of a server, told as an address until 2.44 and as an id from 2.45."""

from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from kilonova.api.call import Accepted, Call, Plain
from kilonova.api.quotas import limits_of
from kilonova.api.schemas.types import integer
from kilonova.domain.errors import Invalid, QuotaExceeded
from kilonova.domain.operations import get_operation
from kilonova.wire.version import Versioned

_IN_BODY: Final = Versioned(("2.1", False), ("2.45", True))
"""Whether the new image's id is in the body, instead of its address in a header (contract §6.6.2)."""


def create_image(call: Call) -> Accepted:
    """``createImage``."""
    return _told(call, _ordered(call, "create_image", call.body["createImage"]))


def create_backup(call: Call) -> Accepted:
    """``createBackup``; with a rotation of 0 there is no new image to tell of, only old ones that go."""
    wanted = call.body["createBackup"]
    rotation = integer("rotation", wanted["rotation"], least=0)
    further = {"backup_type": wanted["backup_type"], "rotation": rotation}
    image_id = _ordered(call, "create_backup", wanted, **further)
    return _told(call, image_id) if rotation else Accepted()


def _ordered(call: Call, name: str, wanted: dict[str, Any], **further: Any) -> str:
    """Have the operation accepted; the id of the image that it will make."""
    metadata: dict[str, str] = wanted.get("metadata", {})
    _check_metadata(call, metadata)
    asked = {
        "image_id": str(uuid4()),
        "name": wanted["name"],
        "metadata": metadata,
        "project_id": call.caller.project_id,
        "user_id": call.caller.user_id,
        **further,
    }
    call.plane.act(call.request, call.server, get_operation(name), asked, may_override_lock=call.is_admin)
    return str(asked["image_id"])


def _check_metadata(call: Call, metadata: dict[str, str]) -> None:
    most = limits_of(call)["metadata_items"]
    if 0 <= most < len(metadata):
        raise QuotaExceeded("Image metadata limit exceeded")
    if any(not key.strip() for key in metadata):
        raise Invalid("Image metadata key cannot be blank")


def _told(call: Call, image_id: str) -> Accepted:
    if _IN_BODY.at(call.version):
        return Accepted(body=Plain({"image_id": image_id}))
    here = urlsplit(call.links.root)
    return Accepted(location=f"{here.scheme}://{here.netloc}/image/v2/images/{image_id}")
