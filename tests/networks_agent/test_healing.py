"""What was done to a host is put right, and what goes on is not disturbed by it."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
import trio

from compute_plugin.networks.plan import names
from tests.networks_agent.cloud import Cloud, Guest, Host, passes, until, until_async
from tests.networks_agent.test_one_host import addresses, group, network
from tests.networks_plan.made import Made, id_of

BRIDGE = names.bridge(id_of("net"))
DHCP_SPACE = names.dhcp_space(id_of("net"))
DHCP_LINK = names.dhcp_link(id_of("net"))


async def two_guests(cloud: Cloud) -> tuple[Host, Guest, Guest]:
    host = await cloud.host()
    await cloud.change(network)
    await cloud.change(lambda made: made.usual_group("default"))
    one = await cloud.guest(host, "one", "net", addresses(11), groups=["default"])
    two = await cloud.guest(host, "two", "net", addresses(12), groups=["default"])
    await until_async(lambda: one.pings("10.0.0.12"), cloud.said)
    return host, one, two


PLUG = names.plug(id_of("two"))
SABOTAGE = {
    "bridges": (
        ("ip", "link", "delete", BRIDGE),
        ("ip", "link", "set", BRIDGE, "down"),
        ("ip", "link", "set", BRIDGE, "type", "bridge", "nf_call_iptables", "0"),
    ),
    "plugs": (
        ("ip", "link", "set", PLUG, "nomaster"),
        ("ip", "link", "set", PLUG, "down"),
        ("ip", "link", "set", PLUG, "type", "bridge_slave", "learning", "on"),
        ("bridge", "fdb", "del", "{mac}", "dev", PLUG, "master"),
    ),
    "rules": (
        ("nft", "flush", "ruleset"),
        ("nft", "delete", "table", "bridge", "drystone"),
        ("nft", "insert", "rule", "inet", "drystone", "got", "drop"),
        ("nft", "flush", "set", "bridge", "drystone", "ours"),
    ),
    "namespaces": (
        ("ip", "netns", "delete", DHCP_SPACE),
        ("ip", "link", "delete", DHCP_LINK),
        ("ip", "-n", DHCP_SPACE, "address", "flush", "dev", "eth0"),
        ("ip", "-n", DHCP_SPACE, "route", "del", "default"),
        ("sh", "-c", f"kill -9 $(cat /run/drystone/networks/{DHCP_SPACE}/dnsmasq.pid)"),
    ),
}


@pytest.mark.parametrize("things", SABOTAGE)
async def test_what_was_broken_works_again(cloud: Cloud, things: str) -> None:
    host, one, two = await two_guests(cloud)
    before = state(host)
    lookup = ("busybox", "nslookup", "-type=a", "host-10-0-0-12.openstacklocal", "10.0.0.2")
    for done in SABOTAGE[things]:
        print(done)
        host.run(*(word.format(mac=two.port.mac) for word in done))
        await until(lambda: state(host) == before, lambda: f"{cloud.said()}\n{before}\n{state(host)}")
        await until_async(lambda: one.pings("10.0.0.12"), cloud.said)
        await until_async(lambda: one.asks(*lookup))


def state(host: Host) -> str:
    """What matters of a host, without numbers that are given anew."""
    ours = ("ds", "tap")
    links = [_settings(link) for link in json.loads(host.run("ip", "-j", "-d", "link"))]
    inside = json.loads(host.run("sh", "-c", f"ip -n {DHCP_SPACE} -j address || echo []"))
    found = {
        "links": sorted(link for link in links if link[0].startswith(ours)),
        "rules": host.run("nft", "-s", "list", "ruleset"),
        "entries": sorted(line for line in host.run("bridge", "fdb").splitlines() if line.endswith("static")),
        "addresses": sorted(f"{one['local']}/{one['prefixlen']}" for link in inside for one in link["addr_info"]),
        "routes": host.run("sh", "-c", f"ip -n {DHCP_SPACE} route || true"),
        "services": host.run("sh", "-c", "ps -eo args | grep -c '^dnsmas[q]' || true"),
    }
    return json.dumps(found, indent=1)


def _settings(link: dict[str, Any]) -> list[Any]:
    info = link.get("linkinfo", {})
    port = info.get("info_slave_data", {})
    kept = [link.get(name) for name in ("ifname", "mtu", "master", "inet6_addr_gen_mode")]
    kept += [info.get("info_kind"), info.get("info_data", {}).get("nf_call_iptables"), "UP" in link["flags"]]
    return kept + [port.get(name) for name in ("learning", "flood", "isolated")]


async def test_an_agent_that_is_killed_and_starts_again_disturbs_nobody(cloud: Cloud) -> None:
    host, one, two = await two_guests(cloud)
    await cloud.change(lambda made: made.rule("web", "default", "ingress", protocol="tcp", port_min=80, port_max=80))
    listener = await two.listens("10.0.0.12", 80)
    stream = await one.connects("10.0.0.12", 80)
    assert stream is not None
    other_end = await two.accepts(listener)
    served = host.run("sh", "-c", f"cat /run/drystone/networks/{DHCP_SPACE}/dnsmasq.pid")
    stop = trio.Event()
    count = 0

    async def talk() -> None:
        nonlocal count
        while not stop.is_set():
            assert await passes(stream, other_end, 2), "a packet was lost for long"
            assert await passes(other_end, stream, 2), "a packet was lost for long"
            count += 1

    def more_than(least: int) -> bool:
        return count > least

    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk)
        for _ in range(2):
            before = count
            host.agent.kill()
            await until(partial(more_than, before + 100))
            await host.start()
        before = count
        await until(partial(more_than, before + 100))
        stop.set()
    assert host.run("sh", "-c", f"cat /run/drystone/networks/{DHCP_SPACE}/dnsmasq.pid") == served


async def test_what_changed_while_the_agent_was_away_is_so_when_it_is_back(cloud: Cloud) -> None:
    host, one, two = await two_guests(cloud)
    await cloud.change(group)
    listener = await two.listens("10.0.0.12", 80)
    stream = await one.connects("10.0.0.12", 80)
    assert stream is not None
    other_end = await two.accepts(listener)
    host.agent.kill()
    await cloud.change(lets_nobody_in)
    assert await passes(stream, other_end)
    await host.start()
    await until_async(lambda: is_cut(stream, other_end), cloud.said)
    assert not await one.pings("10.0.0.12")


def lets_nobody_in(made: Made) -> None:
    for ethertype in ("IPv4", "IPv6"):
        made.records.rules.delete(id_of(f"default in {ethertype}"))


async def is_cut(stream: trio.SocketStream, other_end: trio.SocketStream) -> bool:
    return not await passes(stream, other_end, 0.3)


async def test_what_is_no_more_in_the_records_is_removed(cloud: Cloud) -> None:
    host, one, _ = await two_guests(cloud)
    await cloud.change(lambda made: made.records.ports.delete(id_of("one")))
    await cloud.change(lambda made: made.records.ports.delete(id_of("two")))
    await until(lambda: "ds" not in host.run("ip", "-br", "link"), cloud.said)
    await until(lambda: host.run("ip", "netns").strip() == "")
    await until(lambda: host.run("nft", "list", "ruleset").strip() == "")
    await until(lambda: host.run("ls", "/run/drystone/networks").strip() == "")
    assert one.plug in host.run("ip", "-br", "link"), "plugs are others'"
    await until(lambda: not cloud.states.states.ports.by("host", host.name))
