"""`NetworkApp`: the network API as an ASGI application."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.responses import Response

from compute_plugin.networks.service import NetworkService
from compute_plugin.networks.v2.frame.answers import failure, refusal
from compute_plugin.networks.v2.frame.call import PREFIX, Call
from compute_plugin.networks.v2.frame.requests import Handler
from compute_plugin.networks.v2.operating.resources import show_resources
from compute_plugin.networks.v2.routes import routes
from gateway.rest.app import ServiceApp
from gateway.rest.healthcheck import healthcheck_routes
from gateway.rest.versions import Version, version_routes

V2: Final = Version("v2.0", "/v2.0", "CURRENT")


class NetworkApp(ServiceApp[Call]):
    """Serves everything at `/network` and below."""

    def __init__(self, service: NetworkService) -> None:
        versions = version_routes(PREFIX, [V2], status=200)
        super().__init__(
            PREFIX,
            {
                path: {method: partial(_known, handler) for method, handler in handlers.items()}
                for path, handlers in {"/v2.0": {"GET": show_resources}, **routes()}.items()
            },
            call=lambda scope, receive: Call(service, scope, receive),
            refusal=refusal,
            failure=failure,
            request_id=lambda: f"req-{service.new_id()}",
            documents={"/": versions["/"], **healthcheck_routes(service.registry)},
        )


async def _known(handler: Handler, call: Call) -> Response:
    """Of strangers nothing is read, and they are told nothing. Raises UnauthorizedError."""
    await call.credentials()
    return await handler(call)
