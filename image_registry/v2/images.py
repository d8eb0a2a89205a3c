"""`/v2/images`: make, show, list, change and delete images."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.errors import ForbiddenError, TooLargeError
from image_registry.attributes import (
    AMAZON,
    DISALLOWED,
    MADE_READ_ONLY,
    PROPERTIES_BYTES_MAX,
    PROPERTIES_MAX,
    RESERVED,
    RESERVED_PREFIX,
    SETTABLE,
    TAGS_MAX,
)
from image_registry.errors import AttributeForbiddenError
from image_registry.protection import CREATE, DELETE, READ, UPDATE, Allowed
from image_registry.records import Image, Status, Visibility
from image_registry.v2.body import json_body, object_body
from image_registry.v2.call import Call
from image_registry.v2.import_methods import METHODS
from image_registry.v2.listing import image_list
from image_registry.v2.patch import Change, changes
from image_registry.v2.schemas import check_image
from image_registry.v2.view import image_view
from store.core.errors import ConflictError, InvalidError


async def list_images(call: Call) -> Response:
    await call.allow("get_images", {"project_id": (await call.credentials()).get("project_id")})
    return answer(await image_list(call))


async def create_image(call: Call) -> Response:
    """Which waits for its bits."""
    image = await made_image(call, await object_body(call))
    response = answer(await view(call, image), 201)
    response.headers["Location"] = f"/v2/images/{image.id}"
    response.headers["OpenStack-image-import-methods"] = ",".join(METHODS)
    response.headers["OpenStack-image-store-ids"] = ",".join(call.service.bits.stores)
    return response


async def made_image(call: Call, said: dict[str, Any]) -> Image:
    """A new image of what a client says. Raises InvalidError, AttributeForbiddenError, ForbiddenError, ConflictError,
    OverQuotaError."""
    for name in said:
        if name in DISALLOWED:
            raise AttributeForbiddenError(f"Attribute '{name}' is read-only.")
    check_image(said)
    for name in said:
        if len(name) > 255:
            raise InvalidError("Custom property should not be greater than 255 characters.")
        if name in RESERVED or name.startswith(RESERVED_PREFIX):
            raise AttributeForbiddenError(f"Attribute '{name}' is reserved.")
        if name in MADE_READ_ONLY:
            raise AttributeForbiddenError(f"Attribute '{name}' is read-only.")
    if "locations" in said:
        raise AttributeForbiddenError("Locations are not said here: images are received, staged or imported.")
    allowed = await call.property_rights()
    for name in said.keys() - SETTABLE - {"id"}:
        _require_right(allowed, name, CREATE)
    service, credentials = call.service, await call.credentials()
    project = credentials.get("project_id")
    owner = said.get("owner", project)
    visibility = Visibility(said.get("visibility", Visibility.SHARED))
    call.operation = "add_image"
    if not call.policy.decide("add_image", credentials, {"project_id": owner, "owner": owner}):
        if owner != project:
            raise AttributeForbiddenError(f"You are not permitted to create images owned by '{owner}'")
        raise ForbiddenError("add_image")
    now = service.clock.wall_us()
    image = Image(str(uuid.UUID(said["id"])) if "id" in said else call.service.new_id(), str(owner or ""), now, now)
    image = with_attributes(image, {name: value for name, value in said.items() if name not in ("id", "owner")})
    await _allow_visibility(call, image, visibility)
    await service.uploads.create(image)
    return image


async def show_image(call: Call) -> Response:
    return answer(await view(call, (await call.found()).image))


async def update_image(call: Call) -> Response:
    """By a JSON patch, all of it or nothing."""
    media_type = call.request.headers.get("content-type", "").partition(";")[0].strip()
    asked = changes(media_type, await json_body(call) if call.request.headers.get("content-length") != "0" else None)
    found = await call.found()
    for change in asked:
        await _permit(call, found.image, change)
    allowed = await call.property_rights()

    def changed(image: Image) -> Image:
        for change in asked:
            image = apply(image, change, allowed)
        return image

    image = await call.service.uploads.change(found.image.id, changed) if asked else found.image
    return answer(await view(call, image))


async def delete_image(call: Call) -> Response:
    while True:
        found = await call.found("delete_image")
        if found.image.protected:
            raise AttributeForbiddenError(f"Image {found.image.id} is protected and cannot be deleted.")
        try:
            await call.service.uploads.delete(found)
        except ConflictError:
            continue  # it changed meanwhile: it is asked for anew
        return nothing()


ROUTES: Final[Routes[Call]] = {
    "/v2/images": {"GET": list_images, "POST": create_image},
    "/v2/images/{image_id}": {"GET": show_image, "PATCH": update_image, "DELETE": delete_image},
}


async def view(call: Call, image: Image) -> dict[str, Any]:
    status = await call.service.uploads.status(image)
    return image_view(image, status, await call.property_rights())


async def _allow_visibility(call: Call, image: Image, visibility: Visibility) -> None:
    """Raises ForbiddenError where the caller may not have an image seen by so many."""
    if visibility is Visibility.PUBLIC:
        await call.require(image, "publicize_image")
    elif visibility is Visibility.COMMUNITY:
        await call.require(image, "communitize_image")


async def _permit(call: Call, image: Image, change: Change) -> None:
    """Raises ForbiddenError where the caller may not make the change."""
    if change.name == "locations":
        raise AttributeForbiddenError("Locations are not changed here: images are received, staged or imported.")
    await call.require(image, "modify_image")
    if change.name == "owner" and change.operation != "remove" and not await call.is_admin():
        raise AttributeForbiddenError("Owner can't be updated by non admin.")
    if change.name in ("container_format", "disk_format") and image.receiving is not None:
        status = await call.service.uploads.status(image)
        if status not in (Status.QUEUED, Status.UPLOADING):
            raise AttributeForbiddenError(f"Attribute {change.name} can be only replaced for a queued image.")
    if change.name == "visibility" and change.operation != "remove":
        await _allow_visibility(call, image, Visibility(change.value))


def apply(image: Image, change: Change, allowed: Allowed) -> Image:
    """The image after a change; `allowed`: what the caller may do with properties, of which those that they may not
    read are not there for them. Raises ConflictError, AttributeForbiddenError, TooLargeError."""
    name = change.name
    is_told = name in image.properties and allowed(name, READ)
    if change.operation == "remove":
        if name in SETTABLE:
            raise AttributeForbiddenError(f"Property {name} may not be removed.")
        if not is_told:
            raise ConflictError(f"Property {name} does not exist.")
        _require_right(allowed, name, DELETE)
        return replace(image, properties={key: value for key, value in image.properties.items() if key != name})
    there = name in SETTABLE or is_told
    if change.operation == "replace" and not there:
        raise ConflictError(f"Property {name} does not exist.")
    if change.operation == "add" and change.strict and there:
        raise ConflictError(f"Property {name} already present.")
    if name not in SETTABLE:
        _require_right(allowed, name, UPDATE if is_told else CREATE)
    if name in ("container_format", "disk_format") and image.status not in (Status.QUEUED, Status.UPLOADING):
        raise AttributeForbiddenError(f"Attribute {name} can be only replaced for a queued image.")
    return with_attributes(image, {name: change.value})


def _require_right(allowed: Allowed, name: str, operation: str) -> None:
    if not allowed(name, operation):
        raise AttributeForbiddenError(f"Attribute '{name}' is reserved.")


def with_attributes(image: Image, said: dict[str, Any]) -> Image:
    """The image with attributes that have been held against the schema. Raises InvalidError, TooLargeError."""
    known: dict[str, Any] = {}
    properties = dict(image.properties)
    for name, value in said.items():
        if name == "visibility":
            known[name] = Visibility(value)
        elif name == "os_hidden":
            known["hidden"] = value
        elif name == "owner":
            known[name] = value or ""
        elif name == "tags":
            known[name] = _tags(value)
        elif name in SETTABLE:
            known[name] = value
        else:
            properties[name] = value
    if len(properties) > PROPERTIES_MAX:
        raise TooLargeError(f"The limit has been exceeded on the number of allowed image properties: {PROPERTIES_MAX}.")
    if sum(len(name.encode()) + len(value.encode()) for name, value in properties.items()) > PROPERTIES_BYTES_MAX:
        raise TooLargeError(f"The properties of an image have at most {PROPERTIES_BYTES_MAX} bytes.")
    after = replace(image, properties=properties, **known)
    _check_formats(after)
    return after


def _tags(value: list[str]) -> tuple[str, ...]:
    tags = tuple(dict.fromkeys(value))
    if len(tags) > TAGS_MAX:
        raise TooLargeError(f"The limit has been exceeded on the number of allowed image tags: {TAGS_MAX}.")
    return tags


def _check_formats(image: Image) -> None:
    """Those of Amazon go together."""
    disk, container = image.disk_format, image.container_format
    if disk and container and (disk in AMAZON or container in AMAZON) and disk != container:
        raise InvalidError(
            f"Invalid mix of disk and container formats. When setting a disk or container format to one of "
            f"'{', '.join(AMAZON)}', the container and disk formats must match."
        )
