"""`/v2/images/{image_id}/import`, and copies of images in stores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import nothing
from gateway.rest.app import Routes
from gateway.rest.task_records import Task
from image_registry.errors import AttributeForbiddenError
from image_registry.images import Found, doomed
from image_registry.importing import IMPORT
from image_registry.records import Image, Status
from image_registry.v2.body import object_body
from image_registry.v2.call import Call
from image_registry.v2.import_methods import COPY_IMAGE, GLANCE_DIRECT, METHODS, WEB_DOWNLOAD
from store.core.errors import ConflictError, InvalidError, NotFoundError


async def import_image(call: Call) -> Response:
    """A task gives the image its bits; its status says how far that is."""
    body = await object_body(call)
    method = _method(body)
    found = await call.found("copy_image" if method["name"] == COPY_IMAGE else "modify_image")
    while True:
        _require_state(found.image, method["name"], await call.service.uploads.status(found.image))
        stores = _stores(call, body)
        if method["name"] == WEB_DOWNLOAD:
            call.service.web.check(method.get("uri"))
        if method["name"] == COPY_IMAGE:
            stores = _lacking(found.image, stores, all_=body.get("all_stores", False))
        try:
            await started(call, found, await described(call, found.image, body, stores))
        except ConflictError:
            found = await call.found()  # it changed meanwhile: what is said of it now counts
            continue
        return _begun()


async def delete_from_store(call: Call) -> Response:
    """One copy of an image that has others."""
    found = await call.found("delete_from_store")
    store = call.path("store_id")
    while True:
        image = found.image
        if image.status is not Status.ACTIVE:
            raise ConflictError("It's not allowed to remove image data from store if image status is not 'active'")
        gone = [bits for bits in image.copies if bits.store == store]
        if not gone:
            raise NotFoundError(f"Image {image.id} is not stored on store {store}.")
        kept = tuple(bits for bits in image.copies if bits.store != store)
        if not kept:
            raise AttributeForbiddenError("Cannot delete image data from the only store containing it.")
        if await call.service.images.write(found, replace(image, copies=kept), [doomed(one) for one in gone]):
            call.service.cleaning.soon()
            return nothing()
        found = await call.found()


ROUTES: Final[Routes[Call]] = {
    "/v2/images/{image_id}/import": {"POST": import_image},
    "/v2/stores/{store_id}/{image_id}": {"DELETE": delete_from_store},
}


def _begun() -> Response:
    return nothing(202)


async def described(call: Call, image: Image, asked: dict[str, Any], stores: list[str]) -> dict[str, Any]:
    """The arguments of a task that imports an image."""
    return {
        "image_id": image.id,
        "import_req": asked,
        "backend": stores,
        "owner": await call.project(),
        "user_id": await call.user(),
        "request_id": call.request_id,
    }


async def started(call: Call, found: Found, arguments: dict[str, Any], kind: str = IMPORT) -> Task:
    """The task, and the image that is its from now on. Raises ConflictError where the image has changed."""
    service, id_ = call.service, call.service.new_id()
    status = found.image.status if found.image.status is Status.ACTIVE else Status.IMPORTING
    stores = ",".join(arguments["backend"])
    after = replace(found.image, status=status, task=id_, importing_to=stores, failed_import="")
    return await service.runner.start(kind, arguments, [service.images.put(after)], [found.unchanged], id_)


def _method(body: dict[str, Any]) -> dict[str, Any]:
    """How to import. Raises InvalidError."""
    if "method" not in body:
        raise InvalidError("Import request requires a 'method' field.")
    method = body["method"]
    if not isinstance(method, dict) or "name" not in method:
        raise InvalidError("Import request requires a 'name' field.")
    if method["name"] not in METHODS:
        raise InvalidError(f"Unknown import method name '{method['name']}'.")
    for flag in ("all_stores_must_succeed", "all_stores"):
        if not isinstance(body.get(flag, True), bool):
            raise InvalidError(f"'{flag}' must be boolean value only")
    return method


def _require_state(image: Image, method: str, status: str) -> None:
    """Raises ConflictError where it is not the time for that."""
    if status == Status.ACTIVE and method != COPY_IMAGE:
        raise ConflictError("Image with status active cannot be target for import")
    if status != Status.ACTIVE and method == COPY_IMAGE:
        raise ConflictError("Only images with status active can be targeted for copying")
    if status != Status.QUEUED and method == WEB_DOWNLOAD:
        raise ConflictError(f"Image needs to be in 'queued' state to use '{method}' method")
    if (status != Status.UPLOADING or image.staged is None) and method == GLANCE_DIRECT:
        raise ConflictError(f"Image needs to be staged before '{method}' method can be used")
    for name in ("container_format", "disk_format"):
        if getattr(image, name) is None:
            raise ConflictError(f"'{name}' needs to be set before import")
    if image.task:
        raise ConflictError(
            f"New operation on image '{image.id}' is not permitted as prior operation is still in progress"
        )


def _stores(call: Call, body: dict[str, Any]) -> list[str]:
    """Where it is to be. Raises InvalidError, ConflictError."""
    known = call.service.bits.stores
    asked = body.get("stores")
    if body.get("all_stores"):
        if asked:
            raise InvalidError("All_stores parameter can't be used with stores parameter")
        return known
    if asked is None:
        header = call.request.headers.get("x-image-meta-store")
        return [header] if header in known else known[:1]
    if not isinstance(asked, list) or not asked or not all(isinstance(one, str) for one in asked):
        raise InvalidError("'stores' must be a list of the names of stores")
    for one in asked:
        if one not in known:
            raise ConflictError(f"Store for identifier {one} not found")
    return list(dict.fromkeys(asked))


def _lacking(image: Image, stores: list[str], *, all_: bool) -> list[str]:
    """Of the stores, those in which it is not yet. Raises InvalidError where one was named that has it."""
    there = {bits.store for bits in image.copies}
    for store in stores:
        if store in there and not all_:
            raise InvalidError(f"Image is already present at store '{store}'")
    return [store for store in stores if store not in there]
