"""One request to the image registry on its way through, and which image it is about."""

from __future__ import annotations

import re
from typing import Final

from authn.service_call import ServiceCall
from gateway.rest.call import Receive, Scope
from gateway.rest.errors import ForbiddenError
from image_registry.images import Found, missing
from image_registry.policy import image_target, sees
from image_registry.protection import Allowed
from image_registry.records import Image
from image_registry.service import ImageService

PREFIX: Final = "/image"
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


class Call(ServiceCall):
    """A request and the service that it is for."""

    def __init__(self, service: ImageService, scope: Scope, receive: Receive) -> None:
        super().__init__(service.identity, ("image",), PREFIX, scope, receive, service.policy)
        self.service = service

    async def user(self) -> str:
        return str((await self.credentials()).get("user_id") or "")

    async def is_admin(self) -> bool:
        return bool(self.policy.holds("context_is_admin", await self.credentials(), {}))

    async def property_rights(self) -> Allowed:
        """What the caller may do with properties of images."""
        roles = (await self.credentials()).get("roles", ())
        assert isinstance(roles, frozenset | tuple)
        return self.service.config.protection.allowed(roles)

    async def found(self, *operations: str) -> Found:
        """The image of the path. Raises NotFoundError where the caller may not know of it; ForbiddenError where they
        may, and may not do one of the operations."""
        id_ = self.path("image_id")
        await self.credentials()
        if not _ID.fullmatch(id_):
            raise missing(id_)
        found = await self.service.images.find(id_)
        if not sees(self.policy, await self.credentials(), found.image):
            raise missing(id_)
        await self.require(found.image, *operations)
        return found

    async def require(self, image: Image, *operations: str) -> None:
        """Raises ForbiddenError where the caller may not do one of the operations with an image that they know of."""
        credentials = await self.credentials()
        project = credentials.get("project_id")
        target = image_target(image, project if isinstance(project, str) else None)
        for operation in operations:
            self.operation = operation
            if not self.policy.decide(operation, credentials, target):
                raise ForbiddenError(operation)
