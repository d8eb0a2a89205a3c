"""Guests on two hosts: over VXLAN."""

from __future__ import annotations

from compute_plugin.networks.records.states import PREFIX
from store.registry import Delete
from tests.networks_agent.cloud import Cloud, passes, until, until_async
from tests.networks_agent.test_one_host import addresses, network


async def test_guests_of_a_network_reach_each_other_from_host_to_host(cloud: Cloud) -> None:
    hosts = [await cloud.host() for _ in range(2)]
    await cloud.change(network)
    await cloud.change(lambda made: made.usual_group("default"))
    one = await cloud.guest(hosts[0], "one", "net", addresses(11), groups=["default"])
    two = await cloud.guest(hosts[1], "two", "net", addresses(12), groups=["default"])
    await until_async(lambda: one.pings("10.0.0.12"), cloud.said)
    await until_async(lambda: two.pings("fd00::11"), cloud.said)
    listener = await two.listens("10.0.0.12", 80)
    stream = await one.connects("10.0.0.12", 80)
    assert stream is not None
    assert await passes(stream, await two.accepts(listener))
    assert await one.pings("10.0.0.2")
    assert await two.pings("10.0.0.2")


async def test_each_host_answers_its_own_guests_and_no_other(cloud: Cloud) -> None:
    """All hosts have DHCP with the same address: no frame of it passes from one to another."""
    hosts = [await cloud.host() for _ in range(2)]
    await cloud.change(network)
    await cloud.change(lambda made: made.usual_group("default"))
    one = await cloud.guest(hosts[0], "one", "net", addresses(11), groups=["default"])
    two = await cloud.guest(hosts[1], "two", "net", addresses(12), groups=["default"])
    await until_async(lambda: one.pings("10.0.0.12"), cloud.said)
    answers = two.run("arping", "-c", "2", "-w", "5", "-I", "eth0", "10.0.0.2")
    assert "Received 2 response" in answers


async def test_a_guest_goes_on_when_the_agent_of_its_host_is_dead(cloud: Cloud) -> None:
    hosts = [await cloud.host() for _ in range(2)]
    await cloud.change(network)
    await cloud.change(lambda made: made.usual_group("default"))
    one = await cloud.guest(hosts[0], "one", "net", addresses(11), groups=["default"])
    await cloud.guest(hosts[1], "two", "net", addresses(12), groups=["default"])
    await until_async(lambda: one.pings("10.0.0.12"), cloud.said)
    hosts[1].agent.kill()
    await cloud.registry.transact((), [Delete(PREFIX + f"agent/{hosts[1].name}".encode())])  # as its lease ends
    await until(lambda: cloud.states.states.agents.get(hosts[1].name) is None, cloud.said)
    await cloud.guest(hosts[0], "three", "net", addresses(13), groups=["default"])
    assert await one.pings("10.0.0.12")
    assert await one.pings("10.0.0.13")
