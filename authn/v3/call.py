"""One request on its way through: what it says, who asks, and whether they may."""

from __future__ import annotations

from typing import Final

from starlette.requests import ClientDisconnect, Request

from authn.errors import ForbiddenError, UnauthorizedError
from authn.origin import address, origin
from authn.service import IdentityService
from authn.snapshot import IdentitySnapshot
from authn.tokens import Held
from authn.v3.answers import TooLargeError
from authn.v3.fields import Fields, parse

BODY_BYTES_MAX: Final = 112 * 1024

ADMIN: Final = "admin"
"""Held in any project, it administers identity as a whole, as in stock keystone."""

SERVICE: Final = "service"


class Call:
    """A request and the service that it is for."""

    def __init__(self, service: IdentityService, request: Request) -> None:
        self.service = service
        self.request = request
        self.origin = origin(request.scope)
        self.address = address(request.scope)
        self.base = f"{self.origin}/identity/v3"

    @property
    def snapshot(self) -> IdentitySnapshot:
        return self.service.snapshot

    def path(self, name: str) -> str:
        """A part of the path, by its name in the route."""
        found: str = self.request.path_params[name]
        return found

    async def body(self) -> Fields:
        """Raises InvalidError where it is too long or no JSON object."""
        declared = self.request.headers.get("content-length", "0")
        too_large = TooLargeError(f"A request has at most {BODY_BYTES_MAX} bytes.")
        if declared.isdecimal() and (len(declared) > 9 or int(declared) > BODY_BYTES_MAX):
            raise too_large
        received = bytearray()
        more = True
        while more:
            message = await self.request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            received += message.get("body", b"")
            more = message.get("more_body", False)
            if len(received) > BODY_BYTES_MAX:
                raise too_large
        return parse(bytes(received))

    # -- who asks, and whether they may --------------------------------------------------------------------------

    async def caller(self) -> Held:
        """Whoever holds the token. Raises UnauthorizedError."""
        held = await self.service.tokens.read(self.request.headers.get("x-auth-token", ""))
        if held is None:
            raise UnauthorizedError
        return held

    async def allow(self, action: str, *, user_id: str = "", project_id: str = "", service: bool = False) -> Held:
        """The caller, if an administrator; or the user, or scoped to the project, or a service, where these are named.

        Raises UnauthorizedError or ForbiddenError. This is the one place that decides; the default is no.
        """
        held = await self.caller()
        roles = {role.name for role in held.roles}
        if (
            ADMIN in roles
            or (user_id and held.user.id == user_id)
            or (project_id and held.project is not None and held.project.id == project_id)
            or (service and SERVICE in roles)
        ):
            return held
        raise ForbiddenError(f"identity:{action}")
