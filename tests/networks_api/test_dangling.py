"""Nothing points at what is gone: ports that networks need themselves stay what they are, and who goes by another way
than usual takes along what there is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.networks_api.cloud import Cloud
from tests.networks_api.routed import ADMIN, gone, inside, join, outside, port, router
from tests.networks_api.whole import require_whole


async def _served(cloud: Cloud) -> dict[str, Any]:
    """Ids: a server's port with a floating address, and the ports that a router and the address have themselves."""
    beyond, within = await outside(cloud), await inside(cloud)
    made = await router(cloud, beyond)
    joined = await join(cloud, made["id"], subnet_id=within["id"])
    server = await port(cloud, within["network_id"])
    asked = {"floating_network_id": beyond["id"], "port_id": server["id"]}
    floating = await cloud.create("floatingip", "/floatingips", **asked)
    own = {one["device_owner"]: one["id"] for one in await cloud.listed("ports", "/ports", ADMIN)}
    return {
        "network": within["network_id"],
        "subnet": within["id"],
        "router": made["id"],
        "server": server["id"],
        "floating": floating["id"],
        "inside": joined["port_id"],
        "gateway": own["network:router_gateway"],
        "outside": own["network:floatingip"],
    }


@pytest.mark.parametrize("which", ["inside", "gateway", "outside"])
@pytest.mark.parametrize("asked", [{"device_owner": ""}, {"device_id": "x"}, {"device_owner": "compute:a"}])
async def test_what_routers_have_themselves_stays_theirs(cloud: Cloud, which: str, asked: dict[str, str]) -> None:
    held = await _served(cloud)
    await cloud.refused(409, "PortInUse", "PUT", f"/ports/{held[which]}", {"port": asked}, ADMIN)
    await cloud.refused(409, "ServicePortInUse", "DELETE", f"/ports/{held[which]}", token=ADMIN)
    assert (await cloud.update("port", f"/ports/{held[which]}", ADMIN, name="n"))["name"] == "n"
    require_whole(cloud.service.store.records)


@pytest.mark.parametrize("wishes", [[], [{"ip_address": "203.0.113.77"}]])
async def test_a_floating_address_is_not_taken_from_its_port(cloud: Cloud, wishes: list[dict[str, str]]) -> None:
    held = await _served(cloud)
    asked = {"port": {"fixed_ips": wishes}}
    await cloud.refused(409, "PortInUse", "PUT", f"/ports/{held['outside']}", asked, ADMIN)
    require_whole(cloud.service.store.records)


async def test_who_says_that_a_port_is_of_dhcp_does_not_lose_what_stands_for_it(cloud: Cloud) -> None:
    held = await _served(cloud)
    await cloud.update("port", f"/ports/{held['server']}", device_owner="network:dhcp")
    await cloud.refused(409, "SubnetInUse", "DELETE", f"/subnets/{held['subnet']}")
    await cloud.ask("PUT", f"/routers/{held['router']}/remove_router_interface", {"subnet_id": held["subnet"]})
    await cloud.ask("DELETE", f"/networks/{held['network']}")
    require_whole(cloud.service.store.records)


async def test_a_network_that_goes_takes_no_parent_of_a_trunk_along(cloud: Cloud) -> None:
    network = await cloud.network()
    parent = await port(cloud, network["id"])
    trunk = await cloud.create("trunk", "/trunks", port_id=parent["id"])
    await cloud.update("port", f"/ports/{parent['id']}", device_owner="network:dhcp")
    await cloud.refused(409, "PortInUseAsTrunkParent", "DELETE", f"/networks/{network['id']}")
    await gone(cloud, f"/trunks/{trunk['id']}")
    await gone(cloud, f"/networks/{network['id']}")


@pytest.mark.parametrize("token", ["member@blue", ADMIN])
async def test_a_port_becomes_an_interface_by_its_router_only(cloud: Cloud, token: str) -> None:
    """What subnets a router cannot be on would not be asked."""
    within = await inside(cloud)
    made = await router(cloud)
    said = {"device_owner": "network:router_interface", "device_id": made["id"]}
    body = {"port": {"network_id": within["network_id"], **said}}
    await cloud.refused(400, "BadRequest", "POST", "/ports", body, token)
    server = await port(cloud, within["network_id"])
    await cloud.refused(400, "BadRequest", "PUT", f"/ports/{server['id']}", {"port": said}, token)
