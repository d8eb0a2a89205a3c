"""Packets to the outside and from there: sources, floating addresses, port forwardings."""

from __future__ import annotations

from functools import partial

import trio

from tests.networks_agent.cloud import Cloud, until_async
from tests.networks_agent.inside import Inside
from tests.networks_agent.routing import (
    OUTSIDE,
    OUTSIDE6,
    OWN,
    OWN6,
    Lab,
    changed,
    datagram_passes,
    floating,
    forwarding,
    lab,
    lan,
    lan6,
    router,
    source_seen,
    with_own_address6,
)
from tests.networks_plan.made import Made, id_of

ONE, TWO, PORTS = "203.0.113.50", "203.0.113.51", "203.0.113.52"
"""Floating addresses."""
MANY = 200_000
"""Octets: some packets as large as they can be, and more than a first window."""


async def routed(cloud: Cloud) -> Lab:
    """A network behind a router to the outside."""
    made = await lab(cloud)
    await made.change(partial(lan, name="net", number=1), lambda records: router(records, "net"))
    return made


async def test_the_outside_sees_the_routers_address_unless_that_is_switched_off(cloud: Cloud) -> None:
    made = await routed(cloud)
    one = await made.guest("one", "net")
    await until_async(lambda: one.pings(OUTSIDE), cloud.said)
    assert await source_seen(one, made.outside, OUTSIDE) == OWN
    assert await datagram_passes(one, made.outside, OUTSIDE, 53, 53)
    made.outside.run("ip", "route", "add", "10.1.0.0/24", "via", OWN)
    await made.change(partial(changed, enable_snat=False))
    await until_async(partial(_sees, one, made.outside, "10.1.0.11"), cloud.said)
    assert await source_seen(made.outside, one, "10.1.0.11") == OUTSIDE
    await made.change(partial(changed, enable_snat=True))
    await until_async(partial(_sees, one, made.outside, OWN), cloud.said)


async def _sees(client: Inside, server: Inside, expected: str) -> bool:
    return await source_seen(client, server, OUTSIDE) == expected


async def test_a_floating_address_leads_in_and_out_and_from_within(cloud: Cloud) -> None:
    made = await routed(cloud)
    one, two = await made.guest("one", "net"), await made.guest("two", "net", 12)
    three = await made.guest("three", "net", 13)
    await until_async(lambda: one.pings(OUTSIDE), cloud.said)
    await made.change(
        partial(floating, address=ONE, server="one", fixed="10.1.0.11"),
        partial(floating, address=TWO, server="two", fixed="10.1.0.12"),
    )
    await until_async(lambda: made.outside.pings(ONE), cloud.said)
    await until_async(lambda: made.outside.pings(TWO), cloud.said)
    assert await source_seen(made.outside, one, ONE) == OUTSIDE
    assert await source_seen(one, made.outside, OUTSIDE) == ONE
    assert await source_seen(three, made.outside, OUTSIDE) == OWN, "who has none has the router's"
    assert await one.pings(TWO)
    assert await source_seen(one, two, TWO) == ONE
    assert await source_seen(three, two, TWO) == OWN
    assert await one.pings(ONE), "itself"
    assert await source_seen(one, one, ONE) == ONE
    assert await datagram_passes(one, two, TWO, 53, 53)
    assert await datagram_passes(made.outside, two, TWO, 53, 53)
    # What is too large for the network within is told so.
    assert await _much_passes(made.outside, one, ONE)
    assert await _much_passes(one, made.outside, OUTSIDE)
    await made.change(lambda records: records.records.floating_ips.delete(id_of(f"fip {ONE}")))
    await until_async(lambda: made.outside.loses(ONE), cloud.said)
    await until_async(partial(_sees, one, made.outside, OWN), cloud.said)
    assert await made.outside.pings(TWO)


async def _much_passes(client: Inside, server: Inside, address: str) -> bool:
    async with await server.listens("0.0.0.0", 81) as listener:
        stream = await client.connects(address, 81)
        assert stream is not None
        other_end = await server.accepts(listener)
        left = MANY
        with trio.move_on_after(10):
            async with stream, other_end, trio.open_nursery() as nursery:
                nursery.start_soon(stream.send_all, bytes(MANY))
                while left:
                    left -= len(await other_end.receive_some(left))
        return left == 0


async def test_ports_of_a_floating_address_lead_to_ports_of_servers(cloud: Cloud) -> None:
    made = await routed(cloud)
    one, two = await made.guest("one", "net"), await made.guest("two", "net", 12)
    await until_async(lambda: one.pings(OUTSIDE), cloud.said)
    await made.change(
        partial(floating, address=PORTS),
        partial(_forwarding, protocol="tcp", outer=(80, 80), server="one", inner=(8080, 8080)),
        partial(_forwarding, protocol="tcp", outer=(2000, 2009), server="two", inner=(3000, 3009)),
        partial(_forwarding, protocol="udp", outer=(53, 53), server="two", inner=(5353, 5353)),
        partial(_forwarding, protocol="udp", outer=(6000, 6001), server="one", inner=(7000, 7001)),
    )
    outside = made.outside
    await until_async(lambda: _reaches(outside, one, 80, 8080), cloud.said)
    for outer, guest, inner in ((80, one, 8080), (2000, two, 3000), (2009, two, 3009)):
        assert await source_seen(outside, guest, PORTS, outer, inner) == OUTSIDE
    for outer in (81, 1999, 2010):
        assert await outside.connects(PORTS, outer, seconds=1) is None
    for outer, guest, inner in ((53, two, 5353), (6000, one, 7000), (6001, one, 7001)):
        assert await datagram_passes(outside, guest, PORTS, outer, inner)
    assert await source_seen(two, one, PORTS, 80, 8080) == OWN, "from within, too"
    assert await source_seen(one, one, PORTS, 80, 8080) == OWN
    assert await source_seen(one, made.outside, OUTSIDE) == OWN


def _forwarding(made: Made, protocol: str, outer: tuple[int, int], server: str, inner: tuple[int, int]) -> None:
    fixed = {"one": "10.1.0.11", "two": "10.1.0.12"}[server]
    forwarding(made, PORTS, protocol, outer, server, fixed, inner)


async def _reaches(client: Inside, server: Inside, port: int, at: int) -> bool:
    return await source_seen(client, server, PORTS, port, at) != ""


async def test_ipv6_is_routed_as_it_is(cloud: Cloud) -> None:
    made = await lab(cloud)
    await made.change(
        partial(lan, name="net", number=1), partial(lan6, name="net", number=1), lambda records: router(records, "net")
    )
    one = await made.guest("one", "net")
    own = await cloud.change(partial(with_own_address6, server="one", network="net"))
    made.outside.run("ip", "route", "add", "fd00:1::/64", "via", OWN6)
    await until_async(lambda: one.pings(OUTSIDE6), cloud.said)
    assert await source_seen(one, made.outside, OUTSIDE6) == own
    assert await source_seen(made.outside, one, own) == OUTSIDE6
