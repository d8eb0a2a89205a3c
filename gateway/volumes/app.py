"""`VolumeApp`: the volume API as an ASGI application."""

from __future__ import annotations

from typing import Final

from gateway.rest.app import COMPUTE_REQUEST_ID, REQUEST_ID, ServiceApp
from gateway.rest.healthcheck import healthcheck_routes
from gateway.rest.microversions import Microversion, Microversions
from gateway.rest.versions import Version, version_routes
from gateway.volumes.answers import failure, refusal
from gateway.volumes.call import PREFIX, Call
from gateway.volumes.routes import routes
from gateway.volumes.service import VolumeService

MICROVERSIONS: Final = Microversions("volume", Microversion(3, 0), Microversion(3, 70))
V3: Final = Version(
    "v3.0",
    "/v3",
    "CURRENT",
    "2024-03-11T00:00:00Z",
    "application/vnd.openstack.volume+json;version=3",
    MICROVERSIONS,
)


class VolumeApp(ServiceApp[Call]):
    """Serves everything at `/volume` and below."""

    def __init__(self, service: VolumeService) -> None:
        super().__init__(
            PREFIX,
            routes(),
            call=lambda scope, receive: Call(service, scope, receive),
            refusal=refusal,
            failure=failure,
            request_id=lambda: f"req-{service.new_id()}",
            documents={**version_routes(PREFIX, [V3], one_in_list=True), **healthcheck_routes(service.registry)},
            microversions=MICROVERSIONS,
            exact=True,
            request_id_headers=(REQUEST_ID, COMPUTE_REQUEST_ID),
        )
