"""How servers come to addresses of IPv6, besides SLAAC (`test_routing`)."""

from __future__ import annotations

import socket
from functools import partial

from tests.networks_agent import dhcp6
from tests.networks_agent.cloud import Cloud, Guest, until, until_async
from tests.networks_agent.routing import global_addresses, lab, lan, lan6, router, with_own_address6
from tests.networks_plan.made import Made

SERVER = "fd00:1::2"


def network(made: Made, mode: str) -> None:
    lan(made, "net", 1)
    lan6(made, "net", 1, mode)
    made.dhcp("net", {"net 6": SERVER})
    router(made, "net", own="")


async def test_dhcp_gives_a_server_the_address_of_its_port(cloud: Cloud) -> None:
    made = await lab(cloud)
    await made.change(partial(network, mode="dhcpv6-stateful"))
    one = await cloud.guest(made.host, "one", "net", {"net 4": "10.1.0.11", "net 6": "fd00:1::11"}, groups=["all"])
    await until_async(lambda: _is_offered(one, "fd00:1::11"), cloud.said)
    options = await dhcp6.offered(one, seconds=5)
    assert options[dhcp6.DNS] == socket.inet_pton(socket.AF_INET6, SERVER)
    await until(lambda: "default via fe80::" in one.run("ip", "-6", "route"), cloud.said)
    assert "mngtmpaddr" not in one.run("ip", "-6", "address"), "the router told it to make itself none"
    await until_async(lambda: one.pings("fd00:1::1"), cloud.said)


async def _is_offered(guest: Guest, address: str) -> bool:
    return dhcp6.address(await dhcp6.offered(guest)) == address


async def test_a_server_makes_itself_an_address_where_dhcp_tells_only_the_rest(cloud: Cloud) -> None:
    made = await lab(cloud)
    await made.change(partial(network, mode="dhcpv6-stateless"))
    one = await made.guest("one", "net")
    own = await cloud.change(partial(with_own_address6, server="one", network="net"))
    await until(lambda: global_addresses(one) == {own}, cloud.said)
    await until_async(lambda: one.pings(SERVER), cloud.said)
    assert dhcp6.address(await dhcp6.offered(one)) == ""
