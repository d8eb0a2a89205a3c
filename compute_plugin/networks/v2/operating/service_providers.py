"""What serves routers, besides the network service itself."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from compute_plugin.networks.v2.frame.call import Call
from compute_plugin.networks.v2.frame.plain_lists import listed
from compute_plugin.networks.v2.frame.requests import Handler
from gateway.rest.errors import ForbiddenError

NAMES: Final = ("service_type", "name", "default")
ROWS: Final = ({"service_type": "L3_ROUTER_NAT", "name": "single_node", "default": True},)


async def _list(call: Call) -> Response:
    view = await call.view()
    if not view.may("get_service_provider", {}):
        raise ForbiddenError("get_service_provider")
    return listed(call, "service_providers", ROWS, NAMES, "name")


ROUTES: Final[dict[str, dict[str, Handler]]] = {"/v2.0/service-providers": {"GET": _list}}
