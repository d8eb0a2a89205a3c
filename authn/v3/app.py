"""`IdentityApp`: the Identity API as an ASGI application."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from authn.records import new_id
from authn.service import IdentityService
from authn.v3.answers import failure, refusal
from authn.v3.call import Call
from authn.v3.routes import routes
from gateway.rest.app import ServiceApp
from gateway.rest.healthcheck import healthcheck_routes

PREFIX: Final = "/identity"


class IdentityApp(ServiceApp[Call]):
    """Serves everything at `/identity` and below."""

    def __init__(self, service: IdentityService) -> None:
        super().__init__(
            PREFIX,
            routes(),
            call=lambda scope, receive: Call(service, scope, receive),
            refusal=refusal,
            failure=failure,
            documents=healthcheck_routes(service.directory.registry),
            request_id=lambda: f"req-{UUID(new_id(service.random))}",
        )
