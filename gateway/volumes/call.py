"""A request to the volume API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from authn.service_call import ServiceCall
from gateway.rest.call import Receive, Scope
from gateway.rest.microversions import Microversion
from gateway.rest.policy import Target
from store.core.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from gateway.volumes.service import VolumeService

PREFIX: Final = "/volume"
SERVICE_TYPES: Final = ("block-storage", "volumev3", "volume", "block-store")
"""The official type, and its aliases (OpenStack's service types authority)."""


class Call(ServiceCall):
    """A request and the service that it is for."""

    def __init__(self, service: VolumeService, scope: Scope, receive: Receive) -> None:
        super().__init__(service.identity, SERVICE_TYPES, PREFIX, scope, receive, service.policy)
        self.service = service

    def since(self, minor: int) -> bool:
        """Whether the client means microversion 3.`minor` or a later one."""
        return self.version is not None and self.version >= Microversion(3, minor)

    async def user(self) -> str:
        """The caller's id. Raises UnauthorizedError."""
        return str((await self.credentials()).get("user_id") or "")

    async def is_admin(self) -> bool:
        """Whether the caller may do what administrators do."""
        return bool(self.policy.decide("volume:force_delete", await self.credentials(), {}))

    async def is_service(self) -> bool:
        """Whether a service asks, in somebody's name: it shows a token of its own, too."""
        return await self._is_service(self.request.headers.get("x-service-token", ""))

    async def allow_found(self, operation: str, project: str, missing: NotFoundError) -> None:
        """`allow` of what is in a project. Raises `missing` to whoever is of another one: ids there are no business of
        theirs."""
        credentials = await self.credentials()
        if credentials.get("project_id") != project and not await self.is_admin():
            raise missing
        await self.allow(operation, of(project))

    @property
    def base(self) -> str:
        """Where links begin: with the project's id where the request named it."""
        return f"{self.origin}{PREFIX}/v3" + self._in_path

    @property
    def bookmark(self) -> str:
        """The same without a version."""
        return f"{self.origin}{PREFIX}" + self._in_path

    @property
    def _in_path(self) -> str:
        return f"/{self.parts['project_id']}" if "project_id" in self.parts else ""


Handler = Callable[[Call], Awaitable[Response]]


def of(project: str) -> Target:
    """What policy asks about whatever is in a project."""
    return {"project_id": project}


def known(handler: Handler) -> Handler:
    """The handler for callers with a token that holds."""

    async def answer(call: Call) -> Response:
        await call.credentials()
        return await handler(call)

    return answer


def in_project(handler: Handler) -> Handler:
    """The handler for a path that names the project: that of the token, or the URL is malformed, as in stock cinder,
    where administrators use their own, too."""

    async def answer(call: Call) -> Response:
        if (await call.credentials()).get("project_id") != call.path("project_id"):
            raise InvalidError("Malformed request url: the project in it is not the token's.")
        return await handler(call)

    return answer


def from_minor(minor: int, handler: Handler) -> Handler:
    """A handler that is there from microversion 3.`minor` on."""

    async def answer(call: Call) -> Response:
        if not call.since(minor):
            raise HTTPException(404)
        return await handler(call)

    return answer
