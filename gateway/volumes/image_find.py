"""Images that requests name."""

from __future__ import annotations

from gateway.rest.images import ImageFacts
from gateway.volumes.call import Call
from store.core.errors import ConflictError, InvalidError, NotFoundError


async def find_image(call: Call, said: str) -> ImageFacts:
    """By its id, a URL that ends with it, or its name; one that is active. Raises InvalidError, and ConflictError where
    several have the name."""
    credentials = await call.credentials()
    id_ = said.rpartition("/")[2]
    try:
        facts = await call.service.images.find(id_, credentials)
    except NotFoundError:
        named = await call.service.images.named(said, credentials)
        if len(named) > 1:
            raise ConflictError(f"Several images are called {said}: use an id.") from None
        if not named:
            raise InvalidError("Invalid image identifier or unable to access requested image.") from None
        (facts,) = named
    if facts.status != "active":
        raise InvalidError(f"Invalid input received: image {facts.id} is not active but {facts.status}.")
    return facts
