"""An agent that is gone while its host lives: its router's links are shut by the kernel before another host has it."""

from __future__ import annotations

from functools import partial

import trio

from compute_plugin.networks.plan.fence import Members, members, script
from compute_plugin.networks.plan.wiring import LegPlug
from compute_plugin.networks.records.states import PREFIX
from store.registry import Delete
from tests.cluster.machines import Namespaces, why_not
from tests.networks_agent.cloud import Cloud, Host, until, until_async
from tests.networks_agent.test_hostile import everything
from tests.networks_agent.test_one_host import addresses, network
from tests.networks_agent.test_routed import answers, outside, router
from tests.networks_plan.made import id_of

GATEWAY = "203.0.113.9"
"""Of the router."""
LEASE_S = 90.0
"""A deadline for what takes as long as a lease."""


def place(cloud: Cloud) -> str:
    found = cloud.states.states.routers.get(id_of("router"))
    return found.host if found is not None else ""


async def routed(cloud: Cloud, count: int) -> tuple[Host, list[Host]]:
    """The host that has the router, and the others."""
    hosts = [await cloud.host("public") for _ in range(count)]
    for what in (network, outside, everything, router):
        await cloud.change(what)
    for number, host in enumerate(hosts):
        await cloud.guest(host, f"on {host.name}", "net", addresses(11 + number), groups=["all"])
    await until(lambda: place(cloud), cloud.said)
    has = next(host for host in hosts if host.name == place(cloud))
    await until(lambda: answers(has.run, GATEWAY), cloud.said)
    return has, [host for host in hosts if host is not has]


def set_of(host: Host, name: str) -> bool:
    """Whether it has any element."""
    return "elements" in host.run("nft", "list", "set", "bridge", "drystone_fence", name)


async def test_who_lost_its_router_sends_nothing_any_more(cloud: Cloud) -> None:
    has, (other,) = await routed(cloud, 2)
    await until(lambda: set_of(has, "held"), cloud.said)
    await until(lambda: set_of(has, "lease"), cloud.said)
    has.agent.kill()
    has.run("ip", "neigh", "flush", "all")
    assert answers(has.run, GATEWAY), "not so soon: the agent may come back"
    with trio.fail_after(LEASE_S):
        while place(cloud) != other.name:
            await trio.sleep(0.1)
    has.run("ip", "neigh", "flush", "all")
    assert not answers(has.run, GATEWAY)
    await until(lambda: answers(other.run, GATEWAY), cloud.said)
    await has.start()
    await until(lambda: "dsg-" not in has.run("ip", "-o", "link"), cloud.said)
    assert place(cloud) == other.name


async def test_who_comes_back_in_time_goes_on(cloud: Cloud) -> None:
    has, _ = await routed(cloud, 2)
    await until(lambda: set_of(has, "lease"), cloud.said)
    index = _index(has)
    has.agent.kill()
    await has.start()
    await until(lambda: answers(has.run, GATEWAY), cloud.said)
    if place(cloud) == has.name and _index(has) == index:
        return
    # On a host that is so busy that the lease has ended meanwhile, all that is promised is that it works.
    await until(lambda: place(cloud), cloud.said)


async def test_a_host_alone_goes_on_without_its_agent(cloud: Cloud) -> None:
    has, _ = await routed(cloud, 1)
    assert set_of(has, "alone")
    assert not set_of(has, "held")
    has.agent.kill()
    keys = (f"agent/{has.name}", f"router/{id_of('router')}")
    await cloud.registry.transact((), [Delete(PREFIX + key.encode()) for key in keys])  # as its lease ends
    has.run("nft", "flush", "set", "bridge", "drystone_fence", "lease")
    assert answers(has.run, GATEWAY)


async def test_it_is_shut_as_soon_as_others_come(cloud: Cloud) -> None:
    has, _ = await routed(cloud, 1)
    await cloud.host("public")
    await until(lambda: set_of(has, "held") and not set_of(has, "alone"), cloud.said)
    await until_async(partial(_answers, has), cloud.said)


async def test_a_table_that_somebody_took_away_is_made_again(cloud: Cloud) -> None:
    has, _ = await routed(cloud, 2)
    await until(lambda: set_of(has, "lease"), cloud.said)
    has.run("nft", "delete", "table", "bridge", "drystone_fence")
    await until(lambda: "drystone_fence" in has.run("nft", "list", "tables") and set_of(has, "lease"), cloud.said)


async def _answers(host: Host) -> bool:
    return answers(host.run, GATEWAY)


def _index(host: Host) -> str:
    return next(line.split(":")[0] for line in host.run("ip", "-o", "link").splitlines() if "dsg-" in line)


def test_only_what_is_held_with_this_lease_is_open() -> None:
    legs = {name: LegPlug(f"port {name}", f"drystone-router-{name}") for name in ("a", "b", "c")}
    assert members(legs, {"a", "b"}, {"b", "c"}) == Members(frozenset("b"), frozenset("a"))
    assert members(legs, set(), {"a"}) == Members()


def test_the_kernel_takes_it_again_and_again_and_keeps_the_lease() -> None:
    if why_not() is not None:
        return
    space = Namespaces()
    try:
        for wanted in (Members(frozenset({"dsr-1", "dsg-1"})), Members(), Members(frozenset(), frozenset({"dsr-1"}))):
            space.run("sh", "-c", f"nft -f - <<'END'\n{script(wanted)}END")
            space.run("nft", "add element bridge drystone_fence lease { ether timeout 1h }")
        assert "ether" in space.run("nft", "list", "set", "bridge", "drystone_fence", "lease")
    finally:
        space.close()
