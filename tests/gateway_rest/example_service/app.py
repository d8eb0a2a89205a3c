"""`ExampleApp`: the service as an ASGI application."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from gateway.rest.app import ServiceApp
from gateway.rest.healthcheck import healthcheck_routes
from gateway.rest.microversions import Microversion, Microversions
from gateway.rest.versions import Version, version_routes
from tests.gateway_rest.example_service import stones
from tests.gateway_rest.example_service.answers import failure, refusal
from tests.gateway_rest.example_service.service import Call, Service

PREFIX: Final = "/example"
MICROVERSIONS: Final = Microversions("example", Microversion(1, 0), stones.SHOWS_TIMES)
V1: Final = Version("v1.0", "/v1", "CURRENT", microversions=MICROVERSIONS)


class ExampleApp(ServiceApp[Call]):
    """Serves everything at `/example` and below."""

    def __init__(self, service: Service) -> None:
        super().__init__(
            PREFIX,
            stones.ROUTES,
            call=lambda scope, receive: Call(service, scope, receive),
            refusal=refusal,
            failure=failure,
            request_id=lambda: f"req-{UUID(bytes=service.random.bytes(16), version=4)}",
            documents={**version_routes(PREFIX, [V1]), **healthcheck_routes(service.registry)},
            microversions=MICROVERSIONS,
        )
