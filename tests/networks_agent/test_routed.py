"""Routers: claimed by one host, and taken over by another."""

from __future__ import annotations

from typing import Any

from compute_plugin.networks.records.network import FLAT
from compute_plugin.networks.records.port import FLOATING_IP, ROUTER_GATEWAY, ROUTER_INTERFACE
from compute_plugin.networks.records.router import FloatingIp, Router
from compute_plugin.networks.records.states import PREFIX
from store.registry import Delete
from tests.networks_agent.cloud import Cloud, until, until_async
from tests.networks_agent.test_hostile import everything
from tests.networks_agent.test_one_host import addresses, network
from tests.networks_plan.made import PROJECT, Made, id_of

OUTSIDE = "203.0.113.1"
FLOATING = "203.0.113.50"


def outside(made: Made) -> None:
    more: dict[str, Any] = {"network_type": FLAT, "physical_network": "public", "segmentation_id": None}
    made.network("outside", external=True, mtu=1500, **more)
    made.subnet("outside 4", "outside", "203.0.113.0/24", OUTSIDE, enable_dhcp=False)


def router(made: Made) -> None:
    id_ = id_of("router")
    made.records.routers.put(
        Router(id=id_, project_id=PROJECT, gateway_network_id=id_of("outside"), gateway_port_id=id_of("gateway"))
    )
    made.port("gateway", "outside", {"outside 4": "203.0.113.9"}, device_owner=ROUTER_GATEWAY, device_id=id_)
    made.port("interface", "net", {"net 4": "10.0.0.1"}, device_owner=ROUTER_INTERFACE, device_id=id_)


def floating(made: Made) -> None:
    made.port("floating", "outside", {"outside 4": FLOATING}, device_owner=FLOATING_IP, device_id=id_of("fip"))
    made.records.floating_ips.put(
        FloatingIp(
            id=id_of("fip"),
            project_id=PROJECT,
            network_id=id_of("outside"),
            floating_port_id=id_of("floating"),
            address=FLOATING,
            port_id=id_of("one"),
            fixed_ip="10.0.0.11",
            router_id=id_of("router"),
        )
    )


async def test_a_floating_address_is_reached_from_the_host(cloud: Cloud) -> None:
    host = await cloud.host("public")
    for what in (network, outside, everything, router):
        await cloud.change(what)
    one = await cloud.guest(host, "one", "net", addresses(11), groups=["all"])
    one.run("ip", "route", "add", "default", "via", "10.0.0.1")
    await until(lambda: cloud.states.states.routers.get(id_of("router")) is not None, cloud.said)
    await until_async(lambda: one.pings(OUTSIDE), cloud.said)
    await cloud.change(floating)
    await until(lambda: answers(host.run, FLOATING), cloud.said)


async def test_another_host_takes_the_router_of_one_that_died(cloud: Cloud) -> None:
    """The keys of the dead agent go as they do when its lease ends."""
    hosts = [await cloud.host("public") for _ in range(2)]
    for what in (network, outside, everything, router):
        await cloud.change(what)
    guests = [
        await cloud.guest(host, f"on {host.name}", "net", addresses(11 + i), groups=["all"])
        for i, host in enumerate(hosts)
    ]
    for guest in guests:
        guest.run("ip", "route", "add", "default", "via", "10.0.0.1")
    place = id_of("router")
    await until(lambda: cloud.states.states.routers.get(place) is not None, cloud.said)
    for guest in guests:
        await until_async(lambda guest=guest: guest.pings(OUTSIDE), cloud.said)  # type: ignore[misc]
    first = cloud.states.states.routers.require(place).host
    dead = next(host for host in hosts if host.name == first)
    dead.agent.kill()
    dead.run("ip", "link", "set", "eth0", "down")
    keys = (f"agent/{first}", f"router/{place}")
    await cloud.registry.transact((), [Delete(PREFIX + key.encode()) for key in keys])
    await until(
        lambda: (found := cloud.states.states.routers.get(place)) is not None and found.host != first, cloud.said
    )
    left = guests[1] if dead is hosts[0] else guests[0]
    await until_async(lambda: left.pings(OUTSIDE), cloud.said)


def answers(run: Any, address: str) -> bool:
    return "1 received" in run("sh", "-c", f"ping -n -c 1 -W 1 {address} || true")
