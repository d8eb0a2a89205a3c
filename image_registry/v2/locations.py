"""`/v2/images/{image_id}/locations`: where the bits of an image are, for services; and bits that are somewhere on the
web, which are fetched: nothing here depends on a place that others may change."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import jsonschema
from starlette.responses import Response

from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from image_registry.importing import LOCATION, VALIDATION_ALGORITHMS
from image_registry.records import Status
from image_registry.v2.body import object_body
from image_registry.v2.call import Call
from image_registry.v2.importing import described, started
from image_registry.v2.schemas import check
from store.core.errors import ConflictError, InvalidError

_VALIDATOR: Final = jsonschema.Draft202012Validator(
    {
        "type": "object",
        "properties": {
            "url": {"type": "string"},
            "validation_data": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "os_hash_algo": {"type": "string", "enum": list(VALIDATION_ALGORITHMS)},
                    "os_hash_value": {"type": "string", "maxLength": 128},
                },
                "dependentRequired": {"os_hash_value": ["os_hash_algo"], "os_hash_algo": ["os_hash_value"]},
            },
        },
        "required": ["url"],
    }
)


async def list_locations(call: Call) -> Response:
    """One for each copy. The URL leads nowhere: bits are had from `/file`."""
    image = (await call.found("fetch_image_location")).image
    return answer(
        [{"url": f"drystone://{bits.store}/{image.id}", "metadata": {"store": bits.store}} for bits in image.copies]
    )


async def add_location(call: Call) -> Response:
    """A task fetches what is there; the image is active then."""
    said = await object_body(call)
    check(_VALIDATOR, "add_location", said)
    _check_hash(said.get("validation_data", {}))
    url = call.service.web.check(said["url"])
    found = await call.found("add_image_location")
    while True:
        image, status = found.image, await call.service.uploads.status(found.image)
        if status != Status.QUEUED:
            raise ConflictError(f"It's not allowed to add locations if image status is {status}.")
        if image.disk_format is None or image.container_format is None:
            raise InvalidError("Properties disk_format, container_format must be set prior to saving data.")
        request = {"method": {"name": LOCATION, "uri": url}, "validation_data": said.get("validation_data", {})}
        arguments = await described(call, image, request, call.service.bits.stores[:1])
        try:
            await started(call, found, arguments, LOCATION)
        except ConflictError:
            found = await call.found("add_image_location")  # it changed meanwhile: what it is now counts
            continue
        return nothing(202)


ROUTES: Final[Routes[Call]] = {
    "/v2/images/{image_id}/locations": {"GET": list_locations, "POST": add_location},
}


def _check_hash(said: dict[str, Any]) -> None:
    """Raises InvalidError where no content could have such a hash."""
    if "os_hash_value" not in said:
        return
    value, algorithm = said["os_hash_value"], said["os_hash_algo"]
    size = hashlib.new(algorithm, usedforsecurity=False).digest_size
    try:
        length = len(bytes.fromhex(value))
    except ValueError as error:
        raise InvalidError(f"os_hash_value ({value}) is not a valid hexadecimal value") from error
    if length != size:
        raise InvalidError(
            f"os_hash_value: ({value}) is not the correct size for ({algorithm}) (should be ({size}) bytes)"
        )
