"""A request to the network API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from authn.service_call import ServiceCall
from compute_plugin.networks.errors import BadRequestError
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.v2.frame.view import Change, View
from gateway.rest.call import Receive, Scope
from gateway.rest.fields import parse_any

if TYPE_CHECKING:
    from compute_plugin.networks.service import NetworkService

PREFIX: Final = "/network"
SERVICE_TYPES: Final = ("network",)
BULK_MAX: Final = 100


class Call(ServiceCall):
    """A request and the service that it is for."""

    def __init__(self, service: NetworkService, scope: Scope, receive: Receive) -> None:
        super().__init__(service.identity, SERVICE_TYPES, PREFIX, scope, receive, service.policy)
        self.service = service

    async def view(self) -> View:
        """What the caller may ask about. Raises UnauthorizedError."""
        credentials, service = await self.credentials(), self.service
        records = await service.store.fresh()
        return View(records, service.states.states, service.settings, self.policy, credentials, self._parent)

    async def change(self) -> Any:
        """From records to a Change of the caller's. Raises UnauthorizedError."""
        credentials, service = await self.credentials(), self.service

        def over(records: Records) -> Change:
            return Change(
                records, service.states.states, service.settings, self.policy, credentials, self._parent,
                now_us=service.clock.wall_us(), new_id=service.new_id,
            )  # fmt: skip

        return over

    async def said(self) -> dict[str, Any]:
        """The body, an object. Raises BadRequestError."""
        raw = await self.raw_body()
        body = parse_any(raw) if raw else {}
        if not isinstance(body, dict):
            raise BadRequestError("HTTPBadRequest", "Resource body required")
        return body

    async def one(self, singular: str) -> dict[str, Any]:
        """What the body says of one resource. Raises BadRequestError."""
        found = (await self.said()).get(singular)
        if not isinstance(found, dict):
            raise BadRequestError("HTTPBadRequest", f"Unable to find '{singular}' in request body")
        return found

    async def one_or_more(self, singular: str, plural: str) -> tuple[list[dict[str, Any]], bool]:
        """What the body says of one or of several, and whether it says it as several. Raises BadRequestError."""
        body = await self.said()
        if plural not in body:
            return [await self._single(body, singular)], False
        found = body[plural]
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found) or not found:
            raise BadRequestError("HTTPBadRequest", "Resources required")
        if len(found) > BULK_MAX:
            raise BadRequestError("HTTPBadRequest", f"At most {BULK_MAX} can be made at once")
        return [one.get(singular, one) if isinstance(one.get(singular, one), dict) else one for one in found], True

    async def _single(self, body: dict[str, Any], singular: str) -> dict[str, Any]:
        found = body.get(singular)
        if not isinstance(found, dict):
            raise BadRequestError("HTTPBadRequest", f"Unable to find '{singular}' in request body")
        return found

    @property
    def _parent(self) -> str:
        return self.parts.get("parent_id", "")
