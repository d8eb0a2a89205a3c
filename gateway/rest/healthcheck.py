"""`/healthcheck`: whether a service can do its work, for load balancers; nobody has to be known to ask."""

from __future__ import annotations

from typing import Final

import trio
from starlette.responses import PlainTextResponse, Response

from gateway.rest.app import Routes
from gateway.rest.call import Call
from store.core.errors import RetryableError
from store.registry import Registry

PATIENCE_S: Final = 2.0
"""A registry that takes longer is away, as far as clients can tell."""


def healthcheck_routes(registry: Registry) -> Routes[Call]:
    """For `documents` of ServiceApp: 200 and OK, or 503 where the registry is away."""

    async def show(_: Call) -> Response:
        try:
            with trio.fail_after(PATIENCE_S):
                await registry.revision()
        except (RetryableError, trio.TooSlowError):
            return PlainTextResponse("The registry is away.", 503)
        return PlainTextResponse("OK")

    return {"/healthcheck": {"GET": show}}
