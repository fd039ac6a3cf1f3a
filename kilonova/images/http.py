"""Glance v2 over HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from kilonova.asgi.app import mounted_app
from kilonova.asgi.refusal import framed
from kilonova.domain.errors import KilonovaError, NotFound, NotSupported, TooLarge, UnsupportedMedia
from kilonova.images.call import Call, ImageRoom, Reply, endpoint, envelope, streaming
from kilonova.images.embedded import EmbeddedImages
from kilonova.images.question import read_question
from kilonova.images.schemas import IMAGE_SCHEMA, IMAGES_SCHEMA, MEMBER_SCHEMA, MEMBERS_SCHEMA
from kilonova.images.seam import Authenticates
from kilonova.images.upload import Upload
from kilonova.images.views import image_view, member_view, versions_view
from kilonova.images.wishes import from_first_form, read_creation, read_member, read_member_status, read_patch, read_tag

_BLOCK: Final = 1 << 20
_DRAINED: Final = 64 << 20
"""How much of a refused upload is read on, so that a client which only listens at the end gets the answer."""

_PATCH_TYPE: Final = "application/openstack-images-v2.1-json-patch"
_FIRST_PATCH_TYPE: Final = "application/openstack-images-v2.0-json-patch"


def image_app(images: EmbeddedImages, *, identity: Authenticates, public_url: str | None = None) -> Starlette:
    """The service as an ASGI application, to be mounted at ``/image``.

    ``public_url`` is the scheme and host to hand out in links; by default those by which the client asked.
    """
    room = ImageRoom(images=images, sharing=images.sharing, identity=identity, public_url=public_url)
    routes = [Route(path, endpoint(reply, room), methods=[method]) for method, path, reply in _ROUTES]
    routes += [Route(path, streaming(reply, room), methods=[method]) for method, path, reply in _STREAMS]
    return mounted_app(routes, _unrouted)


def _unrouted(_: Request, error: Exception) -> Response:
    status = HTTPStatus(error.status_code) if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return framed(envelope(status, "The method is not allowed for this resource."))
    return framed(envelope(status, "The resource could not be found."))


def _choices(call: Call) -> Response:
    return JSONResponse(versions_view(call.here), status_code=300)


def _versions(call: Call) -> Response:
    return JSONResponse(versions_view(call.here))


def _list(call: Call) -> Response:
    viewer = call.viewer()
    images = call.room.images
    parameters = call.request.query_params.multi_items()
    question = read_question(parameters, lambda marker: images.get_image(marker, viewer))
    query = replace(question.query, project_id=viewer.project_id, every_project=viewer.is_admin)
    page, has_more = replace(question, query=query).page(images.list_images)
    body = {"images": [image_view(image) for image in page], "schema": "/v2/schemas/images"}
    kept = [(key, value) for key, value in parameters if key != "marker"]
    body["first"] = "/v2/images" + (f"?{urlencode(kept)}" if kept else "")
    if has_more and page:
        body["next"] = f"/v2/images?{urlencode([*kept, ('marker', page[-1].id)])}"
    return JSONResponse(body)


def _show(call: Call) -> Response:
    return JSONResponse(image_view(call.room.images.get_image(call.image_id, call.viewer())))


def _create(call: Call) -> Response:
    viewer = call.viewer()
    image = call.room.images.create_image(read_creation(call.body), viewer)
    location = f"{call.here}/v2/images/{image.id}"
    return JSONResponse(image_view(image), status_code=201, headers={"Location": location})


def _update(call: Call) -> Response:
    viewer = call.viewer()
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip()
    if kind not in (_PATCH_TYPE, _FIRST_PATCH_TYPE):
        raise UnsupportedMedia(f"An image is changed by a body of type {_PATCH_TYPE}")
    images = call.room.images
    body = from_first_form(call.body) if kind == _FIRST_PATCH_TYPE else call.body
    wish = read_patch(body, images.get_image(call.image_id, viewer))
    return JSONResponse(image_view(images.update_image(call.image_id, wish, viewer)))


def _delete(call: Call) -> Response:
    call.room.images.delete_image(call.image_id, call.viewer())
    return Response(status_code=204)


def _add_tag(call: Call) -> Response:
    viewer = call.viewer()
    call.room.images.add_tag(call.image_id, read_tag(call.part("tag")), viewer)
    return Response(status_code=204)


def _remove_tag(call: Call) -> Response:
    viewer = call.viewer()
    call.room.images.remove_tag(call.image_id, read_tag(call.part("tag")), viewer)
    return Response(status_code=204)


def _image_schema(call: Call) -> Response:
    call.viewer()
    return JSONResponse(IMAGE_SCHEMA)


def _images_schema(call: Call) -> Response:
    call.viewer()
    return JSONResponse(IMAGES_SCHEMA)


def _import_methods(call: Call) -> Response:
    call.viewer()
    methods = {"description": "Import methods available.", "type": "array", "value": []}
    return JSONResponse({"import-methods": methods})


def _tasks(call: Call) -> Response:
    """Of an image's import, of which there never is one here."""
    call.room.images.get_image(call.image_id, call.viewer())
    return JSONResponse({"tasks": []})


def _stores(call: Call) -> Response:
    call.viewer()
    raise NotFound("Multi backend is not supported at this site.")


def _no_import(call: Call) -> Response:
    call.viewer()
    raise NotSupported("Images are not imported here; send the data with PUT /v2/images/{id}/file.")


def _deactivate(call: Call) -> Response:
    call.room.images.set_usable(call.image_id, call.viewer(), usable=False)
    return Response(status_code=204)


def _reactivate(call: Call) -> Response:
    call.room.images.set_usable(call.image_id, call.viewer(), usable=True)
    return Response(status_code=204)


def _members(call: Call) -> Response:
    members = call.room.sharing.list_members(call.image_id, call.viewer())
    return JSONResponse({"members": [member_view(member) for member in members], "schema": "/v2/schemas/members"})


def _member(call: Call) -> Response:
    return JSONResponse(member_view(call.room.sharing.get_member(call.image_id, call.part("member"), call.viewer())))


def _add_member(call: Call) -> Response:
    member_id = read_member(call.body)
    return JSONResponse(member_view(call.room.sharing.add_member(call.image_id, member_id, call.viewer())))


def _update_member(call: Call) -> Response:
    status = read_member_status(call.body)
    member = call.room.sharing.update_member(call.image_id, call.part("member"), status, call.viewer())
    return JSONResponse(member_view(member))


def _remove_member(call: Call) -> Response:
    call.room.sharing.remove_member(call.image_id, call.part("member"), call.viewer())
    return Response(status_code=204)


def _member_schema(call: Call) -> Response:
    call.viewer()
    return JSONResponse(MEMBER_SCHEMA)


def _members_schema(call: Call) -> Response:
    call.viewer()
    return JSONResponse(MEMBERS_SCHEMA)


class _ImageFile(FileResponse):
    """A file in pieces that are worth a trip to another thread each."""

    chunk_size = _BLOCK


def _download(call: Call) -> Response:
    images = call.room.images
    viewer = call.viewer()
    image = images.get_image(call.image_id, viewer)
    path = images.path(image, viewer)
    if path is None:
        return Response(status_code=204)
    headers = {"Content-MD5": image.checksum or ""}
    return _ImageFile(path, media_type="application/octet-stream", headers=headers)


async def _upload(call: Call) -> Response:
    body = _Body(call.request)
    try:
        viewer = await call.room.in_thread(call.viewer)
        if call.request.headers.get("content-type", "").partition(";")[0].strip() != "application/octet-stream":
            raise UnsupportedMedia("Image data is sent with Content-Type: application/octet-stream")
        _refuse_announced(call)
        upload = await call.room.in_thread(call.room.images.begin_upload, call.image_id, viewer)
        await _receive(body, upload, call.room)
    except KilonovaError:
        await body.drain()
        raise
    return Response(status_code=204)


def _refuse_announced(call: Call) -> None:
    """Do not even begin what says beforehand that it is too large."""
    announced, most = call.request.headers.get("content-length", ""), call.room.images.most_bytes
    if most is not None and announced.isdigit() and int(announced) > most:
        raise TooLarge(f"An image may have at most {most} bytes here.")


async def _receive(body: "_Body", upload: Upload, room: ImageRoom) -> None:
    """Hand the body to the upload; whatever ends this early, a cancelled request too, leaves no trace."""
    try:
        async for block in body.blocks():
            await room.in_thread(upload.write, block)
        await room.in_thread(upload.finish)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await room.in_thread(upload.abort)
        raise


class _Body:
    """A body that is read once, in pieces."""

    def __init__(self, request: Request) -> None:
        self._receive = request.receive
        self._has_more = True

    async def blocks(self) -> AsyncIterator[bytes]:
        """Pieces of about one mebibyte. ClientDisconnect where it breaks off."""
        block = bytearray()
        while self._has_more:
            block += await self._next()
            if len(block) >= _BLOCK:
                yield bytes(block)
                block.clear()
        if block:
            yield bytes(block)

    async def drain(self) -> None:
        """Read on for a while and throw away: most clients read the answer only once they have sent everything."""
        drained = 0
        with suppress(ClientDisconnect):  # then nobody waits for the answer either
            while self._has_more and drained < _DRAINED:
                drained += len(await self._next())

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._has_more = False
            raise ClientDisconnect
        self._has_more = message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece


_ROUTES: Final[tuple[tuple[str, str, Reply], ...]] = (
    ("GET", "/", _choices),
    ("GET", "/versions", _versions),
    ("GET", "/v2", _choices),
    ("GET", "/v2/", _choices),
    ("GET", "/v2/images", _list),
    ("POST", "/v2/images", _create),
    ("GET", "/v2/images/{id}", _show),
    ("PATCH", "/v2/images/{id}", _update),
    ("DELETE", "/v2/images/{id}", _delete),
    ("GET", "/v2/images/{id}/file", _download),
    ("PUT", "/v2/images/{id}/tags/{tag}", _add_tag),
    ("DELETE", "/v2/images/{id}/tags/{tag}", _remove_tag),
    ("GET", "/v2/schemas/image", _image_schema),
    ("GET", "/v2/schemas/images", _images_schema),
    ("GET", "/v2/schemas/member", _member_schema),
    ("GET", "/v2/schemas/members", _members_schema),
    ("GET", "/v2/info/import", _import_methods),
    ("GET", "/v2/info/stores", _stores),
    ("PUT", "/v2/images/{id}/stage", _no_import),
    ("POST", "/v2/images/{id}/import", _no_import),
    ("GET", "/v2/images/{id}/tasks", _tasks),
    ("GET", "/v2/images/{id}/members", _members),
    ("POST", "/v2/images/{id}/members", _add_member),
    ("GET", "/v2/images/{id}/members/{member}", _member),
    ("PUT", "/v2/images/{id}/members/{member}", _update_member),
    ("DELETE", "/v2/images/{id}/members/{member}", _remove_member),
    ("POST", "/v2/images/{id}/actions/deactivate", _deactivate),
    ("POST", "/v2/images/{id}/actions/reactivate", _reactivate),
)
_STREAMS: Final[tuple[tuple[str, str, Callable[[Call], Awaitable[Response]]], ...]] = (
    ("PUT", "/v2/images/{id}/file", _upload),
)
