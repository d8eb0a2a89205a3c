"""Agents, and other lists of what the cloud has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from compute_plugin.networks.records.states import (
    AGENTS,
    HOST_ADDRESSES,
    PREFIX,
    ROUTER_PLACES,
    AgentState,
    HostAddress,
    RouterPlace,
)
from store.registry import Delete, Put
from tests.networks_api.cloud import Cloud
from tests.networks_api.test_subnets import subnet


async def live(cloud: Cloud, host: str) -> None:
    """An agent says that it is there."""
    states = AgentState(id=host, address="192.0.2.7", physical_networks=("outside",), started_us=1_700_000_000_000_000)
    address = HostAddress(id=host, address="192.0.2.7")
    await cloud.registry.transact(
        [],
        [
            Put(PREFIX + f"agent/{host}".encode(), AGENTS.codec.encode(states)),
            Put(PREFIX + f"host/{host}".encode(), HOST_ADDRESSES.codec.encode(address)),
        ],
    )
    await until(lambda: cloud.service.states.states.agents.get(host) is not None)


async def until(is_so: Callable[[], bool]) -> None:
    with trio.fail_after(5):
        while not is_so():
            await trio.sleep(0.001)


async def agents(cloud: Cloud, query: str = "") -> list[dict[str, Any]]:
    return await cloud.listed("agents", f"/agents{query}", "admin@red")


async def test_each_host_has_three_agents(cloud: Cloud) -> None:
    assert await agents(cloud) == []
    await live(cloud, "h1")
    await live(cloud, "h2")
    found = await agents(cloud, "?host=h1")
    assert {(one["agent_type"], one["binary"]) for one in found} == {
        ("Linux bridge agent", "neutron-linuxbridge-agent"),
        ("DHCP agent", "neutron-dhcp-agent"),
        ("L3 agent", "neutron-l3-agent"),
    }
    assert all(one["alive"] and one["admin_state_up"] and one["availability_zone"] == "nova" for one in found)
    wires = next(one for one in found if one["agent_type"].startswith("Linux"))
    assert wires["configurations"]["tunneling_ip"] == "192.0.2.7"
    assert wires["configurations"]["interface_mappings"] == {"outside": "outside"}
    assert wires["started_at"] == "2023-11-14 22:13:20"
    assert len({one["id"] for one in await agents(cloud)}) == 6
    assert (await cloud.ask("GET", f"/agents/{wires['id']}", token="admin@red")).json["agent"] == wires


async def test_agents_are_for_administrators(cloud: Cloud) -> None:
    await live(cloud, "h1")
    one = (await agents(cloud))[0]
    assert await cloud.listed("agents", "/agents") == []
    await cloud.refused(404, "AgentNotFound", "GET", f"/agents/{one['id']}")
    await cloud.refused(404, "AgentNotFound", "DELETE", f"/agents/{one['id']}")
    assert (await cloud.ask("POST", "/agents", {"agent": {}}, "admin@red")).status == 405


async def test_what_is_said_of_an_agent_stays_until_it_is_deleted(cloud: Cloud) -> None:
    await live(cloud, "h1")
    one = (await agents(cloud))[0]
    path = f"/agents/{one['id']}"
    changed = await cloud.update("agent", path, "admin@red", admin_state_up=False, description="broken")
    assert (changed["admin_state_up"], changed["description"]) == (False, "broken")
    assert (await cloud.ask("GET", path, token="admin@red")).json["agent"] == changed
    body = {"agent": {"host": "h2"}}
    await cloud.refused(400, "HTTPBadRequest", "PUT", path, body, "admin@red")
    assert (await cloud.ask("DELETE", path, token="admin@red")).status == 204
    again = (await cloud.ask("GET", path, token="admin@red")).json["agent"]
    assert (again["admin_state_up"], again["description"]) == (True, None)
    assert [one.id for one in cloud.service.states.states.hosts] == ["h1"]


async def test_the_agents_of_a_dead_host_are_shown_until_they_are_deleted(cloud: Cloud) -> None:
    await live(cloud, "h1")
    await cloud.registry.transact([], [Delete(PREFIX + b"agent/h1")])
    await until(lambda: cloud.service.states.states.agents.get("h1") is None)
    found = await agents(cloud)
    assert [one["alive"] for one in found] == [False] * 3
    assert (await cloud.ask("DELETE", f"/agents/{found[0]['id']}", token="admin@red")).status == 204
    await until(lambda: not list(cloud.service.states.states.hosts))
    assert await agents(cloud) == []


async def test_what_is_on_a_host_is_shown_and_not_moved_by_hand(cloud: Cloud) -> None:
    await live(cloud, "h1")
    types = {one["agent_type"]: one["id"] for one in await agents(cloud)}
    network, _ = await cloud.network(), await cloud.network()
    port = {"network_id": network["id"], "binding:host_id": "h1"}
    await cloud.create("port", "/ports", "admin@blue", **port)
    router = await cloud.create("router", "/routers")
    place = ROUTER_PLACES.codec.encode(RouterPlace(id=router["id"], host="h1"))
    await cloud.registry.transact([], [Put(PREFIX + f"router/{router['id']}".encode(), place)])
    await until(lambda: len(list(cloud.service.states.states.routers)) == 1)
    dhcp, l3 = f"/agents/{types['DHCP agent']}", f"/agents/{types['L3 agent']}"
    networks = await cloud.listed("networks", f"{dhcp}/dhcp-networks", "admin@red")
    assert [one["id"] for one in networks] == [network["id"]]
    routers = await cloud.listed("routers", f"{l3}/l3-routers", "admin@red")
    assert [one["id"] for one in routers] == [router["id"]]
    for path, type_ in ((f"/networks/{network['id']}/dhcp-agents", "DHCP agent"),
                        (f"/routers/{router['id']}/l3-agents", "L3 agent")):  # fmt: skip
        found = await cloud.listed("agents", path, "admin@red")
        assert [one["id"] for one in found] == [types[type_]]
        assert await cloud.listed("agents", path) == []
    body = {"network_id": network["id"]}
    await cloud.refused(409, "Conflict", "POST", f"{dhcp}/dhcp-networks", body, "admin@red")
    await cloud.refused(409, "Conflict", "DELETE", f"{dhcp}/dhcp-networks/{network['id']}", token="admin@red")
    body = {"router_id": router["id"]}
    await cloud.refused(409, "Conflict", "POST", f"{l3}/l3-routers", body, "admin@red")
    await cloud.refused(409, "Conflict", "DELETE", f"{l3}/l3-routers/{router['id']}", token="admin@red")
    await cloud.refused(404, "AgentNotFound", "GET", f"{dhcp}/dhcp-networks")


async def test_zones_and_providers_are_known_to_all(cloud: Cloud) -> None:
    zones = await cloud.listed("availability_zones", "/availability_zones")
    assert {(one["name"], one["resource"], one["state"]) for one in zones} == {
        ("nova", "network", "available"), ("nova", "router", "available"),
    }  # fmt: skip
    assert len(await cloud.listed("availability_zones", "/availability_zones?resource=router&limit=5")) == 1
    providers = await cloud.listed("service_providers", "/service-providers")
    assert [(one["service_type"], one["default"]) for one in providers] == [("L3_ROUTER_NAT", True)]


async def test_how_many_addresses_are_used(cloud: Cloud) -> None:
    network = await cloud.network(name="lan")
    four = await subnet(cloud, network, "10.0.0.0/24", enable_dhcp=False)
    await subnet(cloud, network, "fd00::/64", enable_dhcp=False)
    for _ in range(3):
        await cloud.create("port", "/ports", network_id=network["id"], fixed_ips=[{"subnet_id": four["id"]}])
    path = "/network-ip-availabilities"
    found = await cloud.listed("network_ip_availabilities", f"{path}?ip_version=4&limit=5", "admin@red")
    assert [(one["network_id"], one["network_name"], one["project_id"]) for one in found] == [
        (network["id"], "lan", "blue")
    ]  # fmt: skip
    assert "ip_version" not in found[0]
    assert (found[0]["total_ips"], found[0]["used_ips"]) == (253, 3)
    assert found[0]["subnet_ip_availability"][0] == {
        "subnet_id": four["id"], "subnet_name": "", "cidr": "10.0.0.0/24", "ip_version": 4, "total_ips": 253,
        "used_ips": 3,
    }  # fmt: skip
    whole = (await cloud.ask("GET", f"{path}/{network['id']}", token="admin@red")).json["network_ip_availability"]
    assert whole["total_ips"] == 253 + 2**64 - 2
    assert await cloud.listed("network_ip_availabilities", path) == []
    await cloud.refused(404, "NetworkNotFound", "GET", f"{path}/{network['id']}")
    await cloud.refused(400, "HTTPBadRequest", "GET", f"{path}?ip_version=5", token="admin@red")
