"""A request to the compute API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from authn.service_call import ServiceCall
from compute_plugin.records.records import Records
from gateway.rest.call import Receive, Scope
from gateway.rest.microversions import Microversion
from gateway.rest.policy import Target

if TYPE_CHECKING:
    from compute_plugin.service import ComputeService

PREFIX: Final = "/compute"
SERVICE_TYPES: Final = ("compute",)


class Call(ServiceCall):
    """A request and the service that it is for."""

    def __init__(self, service: ComputeService, scope: Scope, receive: Receive) -> None:
        super().__init__(service.identity, SERVICE_TYPES, PREFIX, scope, receive, service.policy)
        self.service = service

    def since(self, minor: int) -> bool:
        """Whether the client means microversion 2.`minor` or a later one."""
        return self.version is not None and self.version >= Microversion(2, minor)

    async def records(self) -> Records:
        """With all that was acknowledged before."""
        return await self.service.store.fresh()

    async def user(self) -> str:
        """The caller's id. Raises UnauthorizedError."""
        return str((await self.credentials()).get("user_id") or "")

    async def is_admin(self) -> bool:
        """Whether the caller may do what administrators do."""
        return bool(self.policy.holds("context_is_admin", await self.credentials(), {}))

    async def may(self, operation: str, target: Target | None = None) -> bool:
        """Whether the caller may, where that is no reason to refuse all of a request."""
        return bool(self.policy.decide(operation, await self.credentials(), target or {}))

    @property
    def base(self) -> str:
        """Where links begin."""
        return f"{self.origin}{PREFIX}/v2.1"

    @property
    def bookmark(self) -> str:
        """The same without a version."""
        return f"{self.origin}{PREFIX}"

    def links(self, path: str) -> list[dict[str, str]]:
        """Of a resource, by its path such as `servers/ID`."""
        return [
            {"rel": "self", "href": f"{self.base}/{path}"},
            {"rel": "bookmark", "href": f"{self.bookmark}/{path}"},
        ]


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


def within(least: int, most: int, handler: Handler) -> Handler:
    """A handler that is there from microversion 2.`least` to 2.`most`."""

    async def answer(call: Call) -> Response:
        if not call.since(least) or call.since(most + 1):
            raise HTTPException(404)
        return await handler(call)

    return answer
