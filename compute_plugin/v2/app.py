"""`ComputeApp`: the compute API as an ASGI application."""

from __future__ import annotations

from typing import Final

from compute_plugin.service import ComputeService
from compute_plugin.v2.frame.answers import failure, refusal
from compute_plugin.v2.frame.call import PREFIX, Call, known
from compute_plugin.v2.routes import routes
from gateway.rest.app import COMPUTE_REQUEST_ID, REQUEST_ID, ServiceApp
from gateway.rest.healthcheck import healthcheck_routes
from gateway.rest.microversions import Microversion, Microversions
from gateway.rest.versions import Version, version_routes

MICROVERSIONS: Final = Microversions(
    "compute", Microversion(2, 1), Microversion(2, 96), older_header="X-OpenStack-Nova-API-Version"
)
V20: Final = Version(
    "v2.0",
    "/v2",
    "DEPRECATED",
    "2025-07-04T12:00:00Z",
    "application/vnd.openstack.compute+json;version=2",
)
"""Which clients expect to be told of; nothing is served there."""
V21: Final = Version(
    "v2.1",
    "/v2.1",
    "CURRENT",
    "2013-07-23T11:33:21Z",
    "application/vnd.openstack.compute+json;version=2.1",
    MICROVERSIONS,
)


class ComputeApp(ServiceApp[Call]):
    """Serves everything at `/compute` and below."""

    def __init__(self, service: ComputeService) -> None:
        super().__init__(
            PREFIX,
            {
                f"/v2.1{path}": {method: known(handler) for method, handler in handlers.items()}
                for path, handlers in routes().items()
            },
            call=lambda scope, receive: Call(service, scope, receive),
            refusal=refusal,
            failure=failure,
            request_id=lambda: f"req-{service.new_id()}",
            documents={**version_routes(PREFIX, [V20, V21], status=200), **healthcheck_routes(service.registry)},
            microversions=MICROVERSIONS,
            exact=True,
            request_id_headers=(REQUEST_ID, COMPUTE_REQUEST_ID),
        )
