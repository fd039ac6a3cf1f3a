"""The record of an image, and the question that a listing asks: passed between ``images`` and ``store``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kilonova.domain.model import Instant


class ImageStatus(StrEnum):
    """Where an image is: without data, receiving it, usable, kept from use, gone (Glance's words)."""

    QUEUED = "queued"
    SAVING = "saving"
    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What servers boot from. Sizes are bytes, ``min_disk`` GiB and ``min_ram`` MiB as in Glance.

    ``size``, ``virtual_size``, ``checksum`` (MD5) and ``os_hash_value`` (of ``os_hash_algo``) are None until the
    data is there. ``owner`` is a project id, None for an image that belongs to the cloud itself.
    """

    id: str
    name: str | None
    status: ImageStatus
    visibility: str
    owner: str | None
    disk_format: str | None
    container_format: str | None
    created_at: Instant
    updated_at: Instant
    size: int | None = None
    virtual_size: int | None = None
    checksum: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None
    min_disk: int = 0
    min_ram: int = 0
    protected: bool = False
    os_hidden: bool = False
    properties_json: str = "{}"
    tags_json: str = "[]"
    deleted_at: Instant | None = None

    @property
    def properties(self) -> dict[str, str]:
        """The free properties, such as ``hw_disk_bus``."""
        return json.loads(self.properties_json)  # type: ignore[no-any-return]

    @property
    def tags(self) -> list[str]:
        """The tags, sorted."""
        return json.loads(self.tags_json)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageMember:
    """A project with which a shared image is shared. ``status`` is its own word: pending, accepted, rejected."""

    image_id: str
    member_id: str
    status: str
    created_at: Instant
    updated_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A field of ``Image`` that has to lie from ``least`` to just ``below``, or, ``outside``, must not."""

    field: str
    least: int | None = None
    below: int | None = None
    outside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageQuery:
    """Which images, in which order: a project's own, the public ones, and those that others share with it.

    ``project_id`` None and ``every_project`` False: only the public ones. Of what others share, those count to which
    the project's word is ``member_status`` (None: whichever), and of community images only with ``community``.
    ``equals`` maps a field of ``Image`` to the values of which it must have one. ``sort`` is (field, descending)
    pairs; the id always breaks ties. ``after`` is the image after which the page starts.
    """

    project_id: str | None
    every_project: bool = False
    member_status: str | None = "accepted"
    community: bool = False
    equals: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    spans: tuple[Span, ...] = ()
    sort: tuple[tuple[str, bool], ...] = (("created_at", True),)
    after: Image | None = None
    limit: int = 25
