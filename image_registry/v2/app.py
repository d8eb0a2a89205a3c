"""`ImageApp`: the image registry as an ASGI application."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from starlette.responses import JSONResponse, Response

from gateway.rest.app import Handler, Routes, ServiceApp
from gateway.rest.healthcheck import healthcheck_routes
from image_registry.service import ImageService
from image_registry.v2.answers import failure, refusal
from image_registry.v2.call import PREFIX, Call
from image_registry.v2.routes import ROUTES

NEWEST: Final = 18
"""Of the versions 2.0 to 2.18 of stock Glance, which are all served at `/v2`."""


class ImageApp(ServiceApp[Call]):
    """Serves everything at `/image` and below."""

    def __init__(self, service: ImageService) -> None:
        documents: Routes[Call] = {
            "/": {"GET": _versions(300)},
            "/versions": {"GET": _versions(200)},
            "/v2": {"GET": _versions(300)},
            **healthcheck_routes(service.registry),
        }
        super().__init__(
            PREFIX,
            {
                path: {method: _for_callers(one) for method, one in handlers.items()}
                for path, handlers in ROUTES.items()
            },
            call=lambda scope, receive: Call(service, scope, receive),
            refusal=refusal,
            failure=failure,
            request_id=lambda: f"req-{UUID(bytes=service.random.bytes(16), version=4)}",
            documents=documents,
            exact=True,
        )


def _for_callers(handler: Handler[Call]) -> Handler[Call]:
    """Whoever has no token is told so, and nothing of what else may be wrong with their request."""

    async def handle(call: Call) -> Response:
        await call.credentials()
        return await handler(call)

    return handle


def _versions(status: int) -> Handler[Call]:
    """The list of all versions, of which clients choose the newest that they know."""

    async def show(call: Call) -> Response:
        links = [{"rel": "self", "href": f"{call.origin}{PREFIX}/v2/"}]
        rows = [
            {"id": f"v2.{minor}", "status": "CURRENT" if minor == NEWEST else "SUPPORTED", "links": links}
            for minor in range(NEWEST, -1, -1)
        ]
        return JSONResponse({"versions": rows}, status)

    return show
