"""Ports that are not as most are."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

import trio

from compute_plugin.networks.records.port import AddressPair
from tests.networks_agent import frames
from tests.networks_agent.cloud import Cloud, Guest, until_async
from tests.networks_agent.test_hostile import everything
from tests.networks_agent.test_one_host import addresses, group, network
from tests.networks_agent.test_routed import answers, outside
from tests.networks_plan.made import Made


def stateless(made: Made) -> None:
    """Asks for names, and what answers it is let in by the port that it comes from alone: there is no such rule, so
    answers to what is not listed do not come."""
    made.group("fast", stateful=False)
    made.rule("fast out", "fast", "egress")
    made.rule("fast in", "fast", "ingress", protocol="udp", port_min=53, port_max=53)


async def test_stateless_ports_are_not_tracked_and_those_that_talk_to_them_are(cloud: Cloud) -> None:
    host = await cloud.host()
    for what in (network, stateless, group):
        await cloud.change(what)
    fast = await cloud.guest(host, "fast", "net", addresses(11), groups=["fast"])
    other = await cloud.guest(host, "other fast", "net", addresses(12), groups=["fast"])
    usual = await cloud.guest(host, "usual", "net", addresses(13), groups=["web"])
    assert await asks(fast, other, 53), "a rule lets the question in, and out of both"
    assert "dport=53" not in connections(cloud)
    assert not await asks(fast, other, 54)
    assert await asks(usual, fast, 53), "it is answered: the one that asked is tracked"
    assert "dport=53" in connections(cloud)
    assert not await asks(fast, usual, 55), "nothing lets it in"


async def asks(client: Guest, server: Guest, port: int) -> bool:
    """Whether a question gets there, and its answer back, to the same port number."""
    ends = []
    for guest in (client, server):
        end = guest.socket(socket.AF_INET, socket.SOCK_DGRAM)
        await end.bind((guest.port.fixed_ips[0].address, port))
        ends.append(end)
    asking, answering = ends
    try:
        await asking.sendto(b"?", (server.port.fixed_ips[0].address, port))
        return await _hears(answering, b"?") and await _answered(answering, asking, client, port)
    finally:
        for end in ends:
            end.close()


async def _answered(
    answering: trio.socket.SocketType, asking: trio.socket.SocketType, client: Guest, port: int
) -> bool:
    await answering.sendto(b"!", (client.port.fixed_ips[0].address, port))
    return await _hears(asking, b"!")


async def _hears(end: trio.socket.SocketType, text: bytes) -> bool:
    with trio.move_on_after(1):
        return await end.recv(100) == text
    return False


def connections(cloud: Cloud) -> str:
    return cloud.hosts[0].run("conntrack", "-L")


async def test_a_port_without_security_sends_what_it_will(cloud: Cloud) -> None:
    hosts = [await cloud.host() for _ in range(2)]
    for what in (network, everything):
        await cloud.change(what)
    one = await cloud.guest(hosts[0], "one", "net", addresses(11), port_security_enabled=False)
    two = await cloud.guest(hosts[0], "two", "net", addresses(12), groups=["all"])
    far = await cloud.guest(hosts[1], "far", "net", addresses(13), groups=["all"])
    one.run("ip", "link", "set", "eth0", "address", "02:00:00:00:00:99")
    one.address("10.0.0.99/24")
    for other in (two, far):
        await until_async(partial(other.pings, "10.0.0.99"), cloud.said)
    sending = one.opened(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
    hearing = two.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    await hearing.bind(("eth0", 3))
    with sending:
        sending.bind(("eth0", 0))
        payload = frames.ip4("10.0.0.99", "10.0.0.12", 17, frames.udp(5, 6, b"hidden in a tag"))
        sending.send(frames.tagged(two.port.mac, "02:00:00:00:00:99", 5, 0x0800, payload))
        sending.send(frames.ethernet(two.port.mac, "02:00:00:00:00:99", 0x0800, payload.replace(b"hidden", b"loudly")))
    heard = b""
    while b"loudly" not in heard:
        heard = await hearing.recv(65536)
        assert b"hidden in a tag" not in heard, "groups of others do not see into tags, so none come through"


async def test_an_allowed_pair_moves_from_port_to_port(cloud: Cloud) -> None:
    """As VRRP does: a MAC and an address that two may have, and now one has, now the other."""
    hosts = [await cloud.host() for _ in range(2)]
    for what in (network, everything):
        await cloud.change(what)
    pairs = (AddressPair("10.0.0.100", "00:00:5e:00:01:01"), AddressPair("10.0.0.100", ""))
    both = [
        await cloud.guest(host, f"router {last}", "net", addresses(last), groups=["all"], address_pairs=pairs)
        for host, last in zip(hosts, (11, 12), strict=True)
    ]
    client = await cloud.guest(hosts[0], "client", "net", addresses(13), groups=["all"])
    for one, other in (both, both[::-1], both):
        other.run("sh", "-c", "ip link del vrrp 2>/dev/null || true")
        one.run("ip", "link", "add", "vrrp", "link", "eth0", "address", "00:00:5e:00:01:01", "type", "macvlan")
        one.run("ip", "link", "set", "vrrp", "up")
        one.run("ip", "address", "add", "10.0.0.100/32", "dev", "vrrp")
        client.run("ip", "neighbour", "flush", "dev", "eth0")
        await until_async(lambda: client.pings("10.0.0.100"), cloud.said)


async def test_a_server_on_a_local_network_has_its_groups_towards_the_host(cloud: Cloud) -> None:
    host = await cloud.host("public")
    for what in (outside, group):
        await cloud.change(what)
    one = await cloud.guest(host, "one", "outside", {"outside 4": "203.0.113.20"}, groups=["web"])
    await until_async(lambda: one.pings("203.0.113.1"), cloud.said)
    assert not answers(host.run, "203.0.113.20")
    await cloud.change(lambda made: made.rule("echo", "web", "ingress", protocol="icmp"))
    await until_async(lambda: _reached(host.run), cloud.said)


async def _reached(run: Any) -> bool:
    return answers(run, "203.0.113.20")
