"""Guests on one host: real packets."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import trio

from compute_plugin.networks.records.port import DhcpOption, Port
from compute_plugin.networks.records.security import SecurityGroupRule
from tests.networks_agent.cloud import Cloud, Guest, passes, until, until_async
from tests.networks_plan.made import Made, id_of


def network(made: Made, name: str = "net", vni: int = 100) -> None:
    made.network(name, segmentation_id=vni)
    made.subnet(f"{name} 4", name, "10.0.0.0/24", "10.0.0.1")
    made.subnet(f"{name} 6", name, "fd00::/64", "fd00::1", ipv6_address_mode="dhcpv6-stateful")
    made.dhcp(name, {f"{name} 4": "10.0.0.2", f"{name} 6": "fd00::2"})


def addresses(last: int, name: str = "net") -> dict[str, str]:
    return {f"{name} 4": f"10.0.0.{last}", f"{name} 6": f"fd00::{last}"}


def group(made: Made) -> None:
    """Everything out, nothing in."""
    made.group("web")
    for ethertype in ("IPv4", "IPv6"):
        made.rule(f"out {ethertype}", "web", "egress", ethertype)


def lets_in(made: Made, port: int, ethertype: str) -> SecurityGroupRule:
    name = f"in {port} {ethertype}"
    return made.rule(name, "web", "ingress", ethertype, protocol="tcp", port_min=port, port_max=port)


def takes_back(made: Made, rule: SecurityGroupRule) -> None:
    made.records.rules.delete(rule.id)


async def test_two_members_of_a_group_reach_each_other_and_nobody_else_does(cloud: Cloud) -> None:
    host = await cloud.host()
    await cloud.change(network)
    await cloud.change(lambda made: made.usual_group("default"))
    await cloud.change(group)
    one = await cloud.guest(host, "one", "net", addresses(11), groups=["default"])
    await cloud.guest(host, "two", "net", addresses(12), groups=["default"])
    stranger = await cloud.guest(host, "three", "net", addresses(13), groups=["web"])
    await until_async(lambda: one.pings("10.0.0.12"), cloud.said)
    await until_async(lambda: one.pings("fd00::12"), cloud.said)
    assert not await stranger.pings("10.0.0.12")
    assert not await stranger.pings("fd00::12")
    assert await stranger.pings("10.0.0.2")
    assert host.counter("inet", "ingress") >= 2


async def test_a_rule_lets_through_and_its_end_cuts_what_it_let_through(cloud: Cloud) -> None:
    host = await cloud.host()
    await cloud.change(network)
    await cloud.change(group)
    client = await cloud.guest(host, "client", "net", addresses(11), groups=["web"])
    server = await cloud.guest(host, "server", "net", addresses(12), groups=["web"])
    for address in ("10.0.0.12", "fd00::12"):
        listener = await server.listens(address, 80)
        ethertype = "IPv6" if ":" in address else "IPv4"
        assert await client.connects(address, 80, seconds=0.5) is None
        rules = [await cloud.change(partial(lets_in, port=port, ethertype=ethertype)) for port in (80, 81)]
        stream = None
        while stream is None:
            stream = await client.connects(address, 80, seconds=1)
        other_end = await server.accepts(listener)
        kept_listener = await server.listens(address, 81)
        kept = await client.connects(address, 81)
        assert kept is not None
        kept_end = await server.accepts(kept_listener)
        assert await passes(stream, other_end)
        assert await passes(other_end, stream)
        await cloud.change(partial(takes_back, rule=rules[0]))
        await until_async(partial(_is_cut, stream, other_end), cloud.said)
        assert await passes(kept_end, kept), "who is not concerned goes on, also where the server speaks first"
        assert await passes(kept, kept_end)


async def _is_cut(stream: trio.SocketStream, other_end: trio.SocketStream) -> bool:
    return not await passes(stream, other_end, seconds=0.3)


async def test_two_projects_have_the_same_addresses_side_by_side(cloud: Cloud) -> None:
    host = await cloud.host()
    await cloud.change(lambda made: made.usual_group("default"))
    pairs = []
    for number, name in enumerate(("red", "blue")):
        await cloud.change(partial(network, name=name, vni=100 + number))
        pairs.append(
            [await cloud.guest(host, f"{name} {i}", name, addresses(i, name), groups=["default"]) for i in (11, 12)]
        )
    for one, two in pairs:
        listener = await two.listens("10.0.0.12", 80)
        stream = await one.connects("10.0.0.12", 80)
        assert stream is not None
        assert await passes(stream, await two.accepts(listener))


async def test_a_server_is_told_its_address_by_dhcp_and_finds_others_by_name(cloud: Cloud, tmp_path: Path) -> None:
    host = await cloud.host()
    await cloud.change(network)
    await cloud.change(lambda made: made.usual_group("default"))
    options = (DhcpOption("no-such-option", "x", 4), DhcpOption("bootfile-name", 'pxe linux.0"', 4))
    one = await cloud.guest(host, "one", "net", addresses(11), groups=["default"], dhcp_options=options)
    await cloud.guest(host, "two", "net", addresses(12), groups=["default"], dns_name="db")
    one.run("ip", "address", "flush", "dev", "eth0")
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\nenv\n")
    script.chmod(0o755)
    lease = one.run("busybox", "udhcpc", "-f", "-n", "-q", "-i", "eth0", "-s", str(script), "-O", "mtu", "-t", "5")
    told = dict(line.split("=", 1) for line in lease.splitlines() if "=" in line)
    assert told["ip"] == "10.0.0.11"
    assert told["router"] == "10.0.0.1"
    assert told["mtu"] == "1450"
    assert told["dns"] == "10.0.0.2"
    assert told["boot_file"] == 'pxe linux.0"'
    one.address("10.0.0.11/24")
    answer = one.run("busybox", "nslookup", "-type=a", "db.openstacklocal", "10.0.0.2")
    assert "10.0.0.12" in answer
    answer = one.run("busybox", "nslookup", "-type=a", "host-10-0-0-11.openstacklocal", "10.0.0.2")
    assert "10.0.0.11" in answer


async def test_a_stranger_gets_no_lease(cloud: Cloud) -> None:
    host = await cloud.host()
    await cloud.change(network)
    await cloud.change(lambda made: made.usual_group("default"))
    one = await cloud.guest(host, "one", "net", addresses(11), groups=["default"], port_security_enabled=False)
    one.run("ip", "link", "set", "eth0", "address", "02:00:00:00:00:99")
    assert not await one.asks(
        "busybox", "udhcpc", "-f", "-n", "-q", "-i", "eth0", "-s", "/bin/true", "-t", "2", "-T", "1"
    )


async def test_nothing_passes_a_port_that_is_down(cloud: Cloud) -> None:
    host = await cloud.host()
    await cloud.change(network)
    await cloud.change(lambda made: made.usual_group("default"))
    one = await cloud.guest(host, "one", "net", addresses(11), groups=["default"])
    two = await cloud.guest(host, "two", "net", addresses(12), groups=["default"])
    await until_async(lambda: one.pings("10.0.0.12"), cloud.said)
    await cloud.change(lambda made: made.records.ports.put(_down(made)))
    await until_async(lambda: _fails(two), cloud.said)
    await until(lambda: not cloud.states.states.ports.require(one.port.id).up)


def _down(made: Made) -> Port:
    return replace(made.records.ports.require(id_of("one")), admin_state_up=False)


async def _fails(guest: Guest) -> bool:
    return not await guest.pings("10.0.0.11")


async def test_a_server_is_told_of_itself(cloud: Cloud) -> None:
    host = await cloud.host()
    await cloud.change(network)
    await cloud.change(lambda made: made.usual_group("default"))
    one = await cloud.guest(host, "one", "net", addresses(11), groups=["default"], dns_name="web")
    told = {"instance-id": one.port.device_id, "local-ipv4": "10.0.0.11", "mac": one.port.mac, "hostname": "web"}
    one.run("ip", "route", "add", "169.254.169.254", "via", "10.0.0.2")
    for name, expected in told.items():
        assert await fetched(one, f"http://169.254.169.254/latest/meta-data/{name}") == expected
        assert await fetched(one, f"http://[fe80::a9fe:a9fe%eth0]/latest/meta-data/{name}") == expected
    assert "404 Not Found" in await fetched(one, "http://169.254.169.254/latest/user-data")
    assert await fetched(one, "http://10.0.0.2/latest/meta-data/mac") == "", "at no other address"
    # By a gateway that is not there: frames to it are led to where metadata are.
    one.run("ip", "route", "replace", "169.254.169.254", "via", "10.0.0.1")
    one.run("ip", "neighbour", "replace", "10.0.0.1", "lladdr", "fa:16:3e:ff:ff:ff", "dev", "eth0")
    assert await fetched(one, "http://169.254.169.254/latest/meta-data/mac") == one.port.mac


async def fetched(guest: Guest, url: str) -> str:
    done = await guest.tried("curl", "-s", "-g", "-m", "5", url)
    return str(done.stdout.decode())
