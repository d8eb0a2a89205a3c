"""QoS policies: what is more than a limit is dropped, and marks are written. Real packets."""

from __future__ import annotations

import socket
from dataclasses import replace
from functools import partial

import trio

from compute_plugin.networks.agent.netlink.namespaces import within_path
from compute_plugin.networks.plan import names
from compute_plugin.networks.records.port import Port
from tests.networks_agent.cloud import Cloud, Guest, Host, until, until_async
from tests.networks_agent.test_hostile import everything
from tests.networks_agent.test_one_host import addresses, network
from tests.networks_agent.test_routed import FLOATING, answers, floating, outside, router
from tests.networks_plan.made import Made, id_of

SIZE, COUNT = 1000, 300
RECEIVE_BUFFER_FORCE = 33
SLOW = {"max_kbps": 8}
"""So slow that hardly more comes than may come at once: 64 KiB."""


async def two(cloud: Cloud) -> tuple[Host, Guest, Guest]:
    host = await cloud.host()
    await cloud.change(network)
    await cloud.change(everything)
    one = await cloud.guest(host, "one", "net", addresses(11), groups=["all"])
    other = await cloud.guest(host, "two", "net", addresses(12), groups=["all"])
    await until_async(lambda: one.pings("10.0.0.12"), cloud.said)
    return host, one, other


async def holds(cloud: Cloud, host: Host, port: str, policy: str | None) -> None:
    """Give a port a policy, and wait until it is in force."""

    def give(made: Made) -> Port:
        found: Port = made.records.ports.require(id_of(port))
        made.records.ports.put(replace(found, qos_policy_id=policy))
        return found

    await cloud.change(give)
    wanted = policy is not None
    await until(lambda: ("limit name" in host.run("nft", "list", "table", "bridge", "drystone")) == wanted, cloud.said)


async def arrive(source: Guest, target: Guest) -> int:
    """How many of some packets do."""
    heard = await target.bound("10.0.0.12")
    heard.setsockopt(socket.SOL_SOCKET, RECEIVE_BUFFER_FORCE, 4 << 20)
    sends = await source.bound("10.0.0.11")
    for _ in range(COUNT):
        await sends.sendto(bytes(SIZE), heard.getsockname())
    return await heard_of(heard)


async def heard_of(heard: trio.socket.SocketType) -> int:
    """How many packets come, until none does for a while."""
    count = 0
    while count < COUNT:
        with trio.move_on_after(1) as waiting:
            await heard.recv(SIZE)
            count += 1
        if waiting.cancelled_caught:
            break
    return count


async def test_what_is_more_than_a_limit_is_dropped_either_way(cloud: Cloud) -> None:
    host, one, two_ = await two(cloud)
    out = await cloud.change(lambda made: made.policy("slow out", bandwidth_limit_out=SLOW))
    into = await cloud.change(lambda made: made.policy("slow in", bandwidth_limit_in=SLOW))
    for port, policy in (("one", out), ("two", into)):
        before = host.counter("bridge", "limited")
        await holds(cloud, host, port, policy)
        assert await arrive(one, two_) < COUNT
        assert host.counter("bridge", "limited") > before
        await holds(cloud, host, port, None)
        assert await arrive(one, two_) == COUNT


async def test_a_floating_address_has_limits_of_its_own(cloud: Cloud) -> None:
    host = await cloud.host("public")
    for what in (network, outside, everything, router):
        await cloud.change(what)
    one = await cloud.guest(host, "one", "net", addresses(11), groups=["all"])
    one.run("ip", "route", "add", "default", "via", "10.0.0.1")
    await cloud.change(floating)
    await until(lambda: answers(host.run, FLOATING), cloud.said)
    slow = await cloud.change(lambda made: made.policy("slow in", bandwidth_limit_in=SLOW))
    space = names.router_space(id_of("router"))
    for policy in (slow, None):

        def give(made: Made, policy: str | None = policy) -> None:
            address = made.records.floating_ips.require(id_of("fip"))
            made.records.floating_ips.put(replace(address, qos_policy_id=policy))

        await cloud.change(give)

        def in_force(wanted: bool = policy is not None) -> bool:
            return ("limit name" in host.run("ip", "netns", "exec", space, "nft", "list", "ruleset")) == wanted

        await until(in_force, cloud.said)
        heard = await one.bound("10.0.0.11")
        heard.setsockopt(socket.SOL_SOCKET, RECEIVE_BUFFER_FORCE, 4 << 20)
        sends = within_path(f"/proc/{host.machine.holder}/ns/net", lambda: socket.socket(type=socket.SOCK_DGRAM))
        with sends:
            for _ in range(COUNT):
                sends.sendto(bytes(SIZE), (FLOATING, heard.getsockname()[1]))
        assert (await heard_of(heard) < COUNT) == (policy is not None)


async def test_marks_are_written(cloud: Cloud) -> None:
    _, one, other = await two(cloud)
    policy = await cloud.change(lambda made: made.policy("marked", dscp_marking={"dscp_mark": 26}))

    def give(made: Made) -> None:
        made.records.ports.put(replace(made.records.ports.require(id_of("one")), qos_policy_id=policy))

    await cloud.change(give)
    for family, option, of in ((4, socket.IP_RECVTOS, "10.0.0.1{}"), (6, socket.IPV6_RECVTCLASS, "fd00::1{}")):
        heard = await other.bound(of.format(2))
        heard.setsockopt(socket.IPPROTO_IP if family == 4 else socket.IPPROTO_IPV6, option, 1)
        sends = await one.bound(of.format(1))
        await until_async(partial(_is_marked, sends, heard), cloud.said)


async def _is_marked(sends: trio.socket.SocketType, heard: trio.socket.SocketType) -> bool:
    await sends.sendto(b"x", heard.getsockname()[:2])
    with trio.move_on_after(1):
        _, told, _, _ = await heard.recvmsg(1, 64)
        return any(data[0] >> 2 == 26 for _, _, data in told)
    return False
