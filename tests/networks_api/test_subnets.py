"""Subnets, and the port of their DHCP."""

from __future__ import annotations

from typing import Any

from tests.networks_api.cloud import Cloud


async def subnet(cloud: Cloud, network: dict[str, Any], cidr: str, **asked: Any) -> dict[str, Any]:
    version = 6 if ":" in cidr else 4
    return await cloud.create("subnet", "/subnets", network_id=network["id"], cidr=cidr, ip_version=version, **asked)


async def test_a_subnet_has_a_gateway_and_pools_and_the_network_shows_it(cloud: Cloud) -> None:
    network = await cloud.network()
    made = await subnet(cloud, network, "10.0.0.0/24", name="lan")
    assert (made["gateway_ip"], made["allocation_pools"]) == ("10.0.0.1", [{"start": "10.0.0.2", "end": "10.0.0.254"}])
    assert (made["enable_dhcp"], made["ip_version"], made["project_id"]) == (True, 4, "blue")
    assert (await cloud.ask("GET", f"/networks/{network['id']}")).json["network"]["subnets"] == [made["id"]]
    port = await cloud.create("port", "/ports", network_id=network["id"])
    assert port["fixed_ips"][0]["subnet_id"] == made["id"]
    await cloud.refused(409, "SubnetInUse", "DELETE", f"/subnets/{made['id']}")
    assert (await cloud.ask("DELETE", f"/ports/{port['id']}")).status == 204
    assert (await cloud.ask("DELETE", f"/subnets/{made['id']}")).status == 204
    assert await cloud.listed("ports", "/ports") == []
