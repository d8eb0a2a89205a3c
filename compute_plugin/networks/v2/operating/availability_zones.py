"""Availability zones: there is one, for networks and for routers."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from compute_plugin.networks.v2.frame.call import Call
from compute_plugin.networks.v2.frame.plain_lists import listed
from compute_plugin.networks.v2.frame.requests import Handler
from gateway.rest.errors import ForbiddenError

NAMES: Final = ("name", "resource", "state")


async def _list(call: Call) -> Response:
    view = await call.view()
    if not view.may("get_availability_zone", {}):
        raise ForbiddenError("get_availability_zone")
    rows = [{"name": view.settings.zone, "resource": one, "state": "available"} for one in ("network", "router")]
    return listed(call, "availability_zones", rows, NAMES, "resource")


ROUTES: Final[dict[str, dict[str, Handler]]] = {"/v2.0/availability_zones": {"GET": _list}}
