"""Packets through routers: between networks, and by ways that were said."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from compute_plugin.networks.records.network import AddressScope, HostRoute, SubnetPool
from tests.networks_agent.cloud import Cloud, until, until_async
from tests.networks_agent.routing import (
    OUTSIDE,
    OWN,
    changed,
    global_addresses,
    lab,
    lan,
    lan6,
    router,
    source_seen,
    with_own_address6,
)
from tests.networks_plan.made import PROJECT, Made, id_of


async def test_two_networks_behind_one_router(cloud: Cloud) -> None:
    made = await lab(cloud)
    networks = [partial(what, name=name, number=i) for what in (lan, lan6) for i, name in ((1, "red"), (2, "blue"))]
    await made.change(*networks, lambda records: router(records, "red", "blue", own=""))
    red, blue = await made.guest("one", "red"), await made.guest("two", "blue")
    await until_async(lambda: red.pings("10.2.0.11"), cloud.said)
    assert await source_seen(red, blue, "10.2.0.11") == "10.1.0.11"
    # Servers make their own addresses of what the router tells them.
    one6 = await cloud.change(partial(with_own_address6, server="one", network="red"))
    two6 = await cloud.change(partial(with_own_address6, server="two", network="blue"))
    await until(lambda: global_addresses(red) == {one6} and global_addresses(blue) == {two6}, cloud.said)
    await until_async(lambda: red.pings(two6), cloud.said)
    assert await source_seen(blue, red, one6) == two6
    assert red.run("cat", "/proc/sys/net/ipv6/conf/eth0/mtu").strip() == "1450", "it is told the MTU, too"
    # Each of the router's ports answers for its own addresses, and no other.
    answers = red.run("arping", "-c", "1", "-w", "2", "-I", "eth0", "10.1.0.1")
    assert "Received 1 response" in answers


async def test_ways_that_were_said_lead_through_a_server(cloud: Cloud) -> None:
    made = await lab(cloud)
    await made.change(
        partial(lan, name="red", number=1), partial(lan, name="blue", number=2), lambda r: router(r, "red", "blue")
    )
    red = await made.guest("one", "red")
    forwards = await made.guest("two", "blue", port_security_enabled=False)
    forwards.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    forwards.run("ip", "address", "add", "198.51.100.7/32", "dev", "lo")
    await until_async(lambda: red.pings("10.2.0.11"), cloud.said)
    assert await red.loses("198.51.100.7")
    await made.change(partial(changed, routes=(HostRoute("198.51.100.0/24", "10.2.0.11"),)))
    await until_async(lambda: red.pings("198.51.100.7"), cloud.said)
    await made.change(partial(changed, routes=()))
    await until_async(lambda: red.loses("198.51.100.7"), cloud.said)
    await made.change(partial(changed, admin_state_up=False))
    await until_async(lambda: red.loses("10.2.0.11"), cloud.said)
    await made.change(partial(changed, admin_state_up=True))
    await until_async(lambda: red.pings("10.2.0.11"), cloud.said)


async def test_address_scopes_are_kept_apart(cloud: Cloud) -> None:
    made = await lab(cloud)
    await made.change(
        *(partial(lan, name=name, number=i) for i, name in enumerate(("red", "blue", "pink"))),
        partial(_scope, name="warm", subnets=("red 4", "pink 4", "outside 4")),
        partial(_scope, name="cold", subnets=("blue 4",)),
        lambda records: router(records, "red", "blue", "pink"),
    )
    red, blue, pink = [await made.guest(name, name) for name in ("red", "blue", "pink")]
    await until_async(lambda: red.pings("10.2.0.11"), cloud.said)
    await until_async(lambda: blue.pings("10.1.0.1"), cloud.said)
    assert await blue.loses("10.2.0.11")
    assert await red.loses("10.1.0.11")
    made.outside.run("ip", "route", "add", "10.0.0.0/24", "via", OWN)
    assert await source_seen(pink, red, "10.0.0.11") == "10.2.0.11"
    assert await source_seen(red, made.outside, OUTSIDE) == "10.0.0.11", "its address is known there"
    assert await source_seen(blue, made.outside, OUTSIDE) == OWN


async def test_the_same_addresses_behind_two_routers(cloud: Cloud) -> None:
    made = await lab(cloud)
    for number, name in enumerate(("red", "blue")):
        await made.change(
            partial(lan, name=name, number=number, prefix="10.0.0.0/24"),
            partial(router_of, name=name, own=f"203.0.113.{20 + number}"),
        )
    red, blue = await made.guest("one", "red"), await made.guest("two", "blue")
    for guest, own in ((red, "203.0.113.20"), (blue, "203.0.113.21")):
        await until_async(lambda guest=guest: guest.pings(OUTSIDE), cloud.said)  # type: ignore[misc]
        assert await source_seen(guest, made.outside, OUTSIDE) == own


def router_of(made: Made, name: str, own: str) -> None:
    router(made, name, name=f"{name} router", own=own)


def _scope(made: Made, name: str, subnets: tuple[str, ...]) -> None:

    made.records.address_scopes.put(AddressScope(id=id_of(name), project_id=PROJECT, ip_version=4))
    made.records.subnetpools.put(
        SubnetPool(
            id=id_of(f"{name} pool"),
            project_id=PROJECT,
            ip_version=4,
            prefixes=("10.0.0.0/8",),
            default_prefixlen=24,
            min_prefixlen=8,
            max_prefixlen=32,
            address_scope_id=id_of(name),
        )
    )
    for subnet in subnets:
        held = made.records.subnets.require(id_of(subnet))
        made.records.subnets.put(replace(held, subnetpool_id=id_of(f"{name} pool")))
