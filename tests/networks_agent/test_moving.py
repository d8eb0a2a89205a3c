"""Routers and floating addresses that are somewhere else from now on."""

from __future__ import annotations

from functools import partial

import trio

from compute_plugin.networks.plan import names
from compute_plugin.networks.records.states import PREFIX
from store.registry import Delete
from tests.networks_agent.cloud import Cloud, until, until_async
from tests.networks_agent.routing import OUTSIDE, OWN, floating, lab, lan, router, source_seen
from tests.networks_plan.made import Made, id_of

FLOATING = "203.0.113.50"
SPACE = names.router_space(id_of("router"))


async def test_another_host_takes_a_router_whose_agent_died(cloud: Cloud) -> None:
    """The keys go as they do when the lease ends."""
    made = await lab(cloud, 2)
    await made.change(partial(lan, name="net", number=1), lambda records: router(records, "net"))
    one = await made.guest("one", "net", 11, made.hosts[0])
    two = await made.guest("two", "net", 12, made.hosts[1])
    await made.change(partial(floating, address=FLOATING, server="one", fixed="10.1.0.11"))
    await until_async(lambda: made.outside.pings(FLOATING), cloud.said)
    await until_async(lambda: two.pings(OUTSIDE), cloud.said)
    dead = await made.place()
    dead.agent.kill()
    keys = (f"agent/{dead.name}", f"router/{id_of('router')}")
    await cloud.registry.transact((), [Delete(PREFIX + key.encode()) for key in keys])
    places = cloud.states.states.routers
    await until(lambda: places.get(id_of("router")) and places.require(id_of("router")).host != dead.name, cloud.said)
    legs = [id_of("router gateway"), id_of("router to 10.1.0.0/24")]
    await until(lambda: all(map(cloud.is_up, legs)), cloud.said)
    said = cloud.states.states.ports
    await until(lambda: {said.require(leg).host for leg in legs} == {places.require(id_of("router")).host}, cloud.said)
    await dead.start()
    await until(lambda: SPACE not in dead.run("ls", "/run/netns"), cloud.said)
    await until_async(lambda: made.outside.pings(FLOATING), cloud.said)
    assert await source_seen(made.outside, one, FLOATING) == OUTSIDE
    assert await source_seen(one, made.outside, OUTSIDE) == FLOATING
    assert await source_seen(two, made.outside, OUTSIDE) == OWN
    assert await one.pings("10.1.0.12")


async def test_a_floating_address_goes_over_to_another_server_with_all_that_is_sent_to_it(cloud: Cloud) -> None:
    made = await lab(cloud)
    await made.change(partial(lan, name="net", number=1), lambda records: router(records, "net"))
    one, two = await made.guest("one", "net"), await made.guest("two", "net", 12)
    await made.change(partial(floating, address=FLOATING, server="one", fixed="10.1.0.11"))
    await until_async(lambda: made.outside.pings(FLOATING), cloud.said)
    asking = await made.outside.bound("0.0.0.0")
    hearing = [await guest.bound("0.0.0.0", 53) for guest in (one, two)]
    await asking.sendto(b"x", (FLOATING, 53))
    assert await _hears(hearing[0])
    await made.change(partial(floating, address=FLOATING, server="two", fixed="10.1.0.12"))
    await until_async(lambda: _goes_to(asking, hearing[1]), cloud.said)


async def _goes_to(asking: trio.socket.SocketType, hearing: trio.socket.SocketType) -> bool:
    await asking.sendto(b"x", (FLOATING, 53))
    return await _hears(hearing)


async def _hears(hearing: trio.socket.SocketType) -> bool:
    with trio.move_on_after(0.3):
        return await hearing.recv(16) == b"x"
    return False


async def test_a_floating_address_goes_over_to_another_router(cloud: Cloud) -> None:
    made = await lab(cloud)
    for number, name in enumerate(("red", "blue")):
        await made.change(
            partial(lan, name=name, number=number), partial(_router, name=name, own=f"203.0.113.{20 + number}")
        )
    red, blue = await made.guest("one", "red"), await made.guest("two", "blue")
    await made.change(partial(floating, address=FLOATING, server="one", fixed="10.0.0.11", name="red router"))
    await until_async(lambda: made.outside.pings(FLOATING), cloud.said)
    await until_async(lambda: blue.pings(OUTSIDE), cloud.said)
    assert await source_seen(made.outside, red, FLOATING) == OUTSIDE
    await made.change(partial(floating, address=FLOATING, server="two", fixed="10.1.0.11", name="blue router"))
    with trio.fail_after(8):  # who has sent to it before would look for it anew only after some 30 seconds
        while await source_seen(made.outside, blue, FLOATING) != OUTSIDE:
            pass


def _router(made: Made, name: str, own: str) -> None:
    router(made, name, name=f"{name} router", own=own)
