"""Where floating addresses can be had: IPv4 subnets of external networks."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from compute_plugin.networks.records.network import Network
from compute_plugin.networks.v2.frame.call import Call
from compute_plugin.networks.v2.frame.plain_lists import listed
from compute_plugin.networks.v2.frame.requests import Handler
from compute_plugin.networks.v2.frame.view import View
from gateway.rest.errors import ForbiddenError

NAMES: Final = ("subnet_id", "subnet_name", "network_id", "cidr", "project_id", "tenant_id")


async def _list(call: Call) -> Response:
    view = await call.view()
    if not view.may("get_floatingip_pool", {"project_id": view.project}):
        raise ForbiddenError("get_floatingip_pool")
    rows = [
        {
            "subnet_id": subnet.id,
            "subnet_name": subnet.name,
            "network_id": subnet.network_id,
            "cidr": subnet.cidr,
            "project_id": view.project,
            "tenant_id": view.project,
        }
        for network in view.records.networks
        if network.external and _sees(view, network)
        for subnet in view.records.subnets.by("network", network.id)
        if subnet.ip_version == 4
    ]
    return listed(call, "floatingip_pools", rows, NAMES, "subnet_id")


def _sees(view: View, network: Network) -> bool:
    return bool(view.may("get_network", {"project_id": network.project_id, **view.network_target(network)}))


ROUTES: Final[dict[str, dict[str, Handler]]] = {"/v2.0/floatingip_pools": {"GET": _list}}
