"""How many addresses of each network there are, and how many are somebody's."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from compute_plugin.networks.addresses.spans import span_of_pool
from compute_plugin.networks.records.network import Network, Subnet
from compute_plugin.networks.v2.frame.attributes import wrong
from compute_plugin.networks.v2.frame.call import Call
from compute_plugin.networks.v2.frame.collection import Row
from compute_plugin.networks.v2.frame.plain_lists import listed
from compute_plugin.networks.v2.frame.requests import Handler
from compute_plugin.networks.v2.frame.view import View
from gateway.rest.answers import answer

SINGULAR: Final = "network_ip_availability"
PLURAL: Final = "network_ip_availabilities"
NAMES: Final = ("network_id", "network_name", "project_id", "tenant_id", "ip_version")
PATH: Final = "/v2.0/network-ip-availabilities"


async def _list(call: Call) -> Response:
    view, version = await call.view(), call.query.get("ip_version")
    if version not in (None, "4", "6"):
        raise wrong("ip_version", f"'{version}' is not in [4, 6]")
    rows = [_row(view, one, version) for one in view.records.networks if _may(view, one)]
    return listed(call, PLURAL, rows, NAMES, "network_id", ("ip_version",))


async def _show(call: Call) -> Response:
    view = await call.view()
    network = view.records.networks.require(call.path("id"))
    if not _may(view, network):
        raise view.records.networks.missing(network.id)
    return answer({SINGULAR: _row(view, network, None)})


def _may(view: View, network: Network) -> bool:
    return view.may(f"get_{SINGULAR}", {"project_id": network.project_id, "tenant_id": network.project_id})


def _row(view: View, network: Network, version: str | None) -> Row:
    """`version`: only subnets of it are counted."""
    subnets = [one for one in view.records.subnets.by("network", network.id) if version in (None, str(one.ip_version))]
    counted = [_subnet_row(view, one) for one in subnets]
    return {
        "network_id": network.id,
        "network_name": network.name,
        "project_id": network.project_id,
        "tenant_id": network.project_id,
        "total_ips": sum(one["total_ips"] for one in counted),
        "used_ips": sum(one["used_ips"] for one in counted),
        "subnet_ip_availability": counted,
        **({"ip_version": version} if version is not None else {}),
    }


def _subnet_row(view: View, subnet: Subnet) -> Row:
    ports = view.records.ports.by("subnet", subnet.id)
    return {
        "subnet_id": subnet.id,
        "subnet_name": subnet.name,
        "cidr": subnet.cidr,
        "ip_version": subnet.ip_version,
        "total_ips": sum(span_of_pool(one).size for one in subnet.pools),
        "used_ips": sum(fixed.subnet_id == subnet.id for port in ports for fixed in port.fixed_ips),
    }


ROUTES: Final[dict[str, dict[str, Handler]]] = {PATH: {"GET": _list}, f"{PATH}/{{id}}": {"GET": _show}}
