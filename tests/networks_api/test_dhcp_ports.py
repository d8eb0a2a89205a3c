"""The port of a network's DHCP: one address in each subnet that has DHCP."""

from __future__ import annotations

from typing import Any

from tests.networks_api.cloud import Cloud
from tests.networks_api.test_subnets import subnet


async def dhcp(cloud: Cloud, network: dict[str, Any]) -> dict[str, Any] | None:
    """The network's; None where it has none."""
    path = f"/ports?network_id={network['id']}&device_owner=network:dhcp"
    ports = await cloud.listed("ports", path, "admin@red")
    assert len(ports) <= 1
    return ports[0] if ports else None


def addresses(port: dict[str, Any] | None) -> dict[str, str]:
    """By subnet."""
    return {one["subnet_id"]: one["ip_address"] for one in port["fixed_ips"]} if port else {}


async def test_it_comes_with_the_first_subnet_and_goes_with_the_last(cloud: Cloud) -> None:
    network = await cloud.network()
    assert await dhcp(cloud, network) is None
    first = await subnet(cloud, network, "10.0.0.0/24")
    port = await dhcp(cloud, network)
    assert port is not None
    assert (port["device_id"], port["name"], port["project_id"]) == (f"dhcp-{network['id']}", "", "blue")
    assert (port["security_groups"], port["port_security_enabled"]) == ([], False)
    assert addresses(port) == {first["id"]: "10.0.0.2"}
    second = await subnet(cloud, network, "10.0.1.0/24")
    without = await subnet(cloud, network, "10.0.2.0/24", enable_dhcp=False)
    both = await dhcp(cloud, network)
    assert both is not None
    assert (both["id"], addresses(both)) == (port["id"], {first["id"]: "10.0.0.2", second["id"]: "10.0.1.2"})
    assert (await cloud.ask("DELETE", f"/subnets/{first['id']}")).status == 204
    assert addresses(await dhcp(cloud, network)) == {second["id"]: "10.0.1.2"}
    await cloud.update("subnet", f"/subnets/{without['id']}", enable_dhcp=True)
    assert addresses(await dhcp(cloud, network)) == {second["id"]: "10.0.1.2", without["id"]: "10.0.2.2"}
    for one in (second, without):
        await cloud.update("subnet", f"/subnets/{one['id']}", enable_dhcp=False)
    assert await dhcp(cloud, network) is None


async def test_a_subnet_without_room_for_it_has_none(cloud: Cloud) -> None:
    network = await cloud.network()
    one = [{"start": "10.0.0.9", "end": "10.0.0.9"}]
    full = await subnet(cloud, network, "10.0.0.0/24", enable_dhcp=False, allocation_pools=one)
    await cloud.create("port", "/ports", network_id=network["id"])
    await cloud.update("subnet", f"/subnets/{full['id']}", enable_dhcp=True)
    assert await dhcp(cloud, network) is None
    second = await subnet(cloud, network, "10.0.1.0/24")
    assert addresses(await dhcp(cloud, network)) == {second["id"]: "10.0.1.2"}


async def test_its_address_in_a_subnet_of_slaac_is_made_of_its_mac(cloud: Cloud) -> None:
    network = await cloud.network()
    made = await subnet(cloud, network, "fd00::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    port = await dhcp(cloud, network)
    assert port is not None
    tail = port["mac_address"].replace(":", "")[6:]
    assert addresses(port) == {made["id"]: f"fd00::f816:3eff:fe{tail[:2]}:{tail[2:].lstrip('0') or '0'}"}


async def test_whoever_deletes_it_gets_another_one(cloud: Cloud) -> None:
    network = await cloud.network()
    made = await subnet(cloud, network, "10.0.0.0/24")
    before = await dhcp(cloud, network)
    assert before is not None
    assert (await cloud.ask("DELETE", f"/ports/{before['id']}")).status == 204
    after = await dhcp(cloud, network)
    assert after is not None
    assert after["id"] != before["id"]
    assert addresses(after) == {made["id"]: "10.0.0.2"}


async def test_its_address_can_be_chosen(cloud: Cloud) -> None:
    network = await cloud.network()
    made = await subnet(cloud, network, "10.0.0.0/24")
    port = await dhcp(cloud, network)
    assert port is not None
    await cloud.update("port", f"/ports/{port['id']}", fixed_ips=[{"ip_address": "10.0.0.200"}])
    assert addresses(await dhcp(cloud, network)) == {made["id"]: "10.0.0.200"}
    await cloud.update("subnet", f"/subnets/{made['id']}", name="n")
    assert addresses(await dhcp(cloud, network)) == {made["id"]: "10.0.0.200"}
    await cloud.update("port", f"/ports/{port['id']}", device_owner="", device_id="")
    assert addresses(await dhcp(cloud, network)) == {made["id"]: "10.0.0.2"}
