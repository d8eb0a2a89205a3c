"""What is said of the way of a packet is what happens to one: on two hosts, with a router and the outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from compute_plugin.networks.plan import names
from tests.networks_agent.cloud import Cloud, Guest, Host, until_async
from tests.networks_agent.routing import OUTSIDE, WIRE, Lab, changed, floating, lab, lan, router
from tests.networks_plan.made import Made, id_of
from tests.networks_trace.asking import Looks, Traced, really, traced

TO_ONE, TO_THREE = "203.0.113.50", "203.0.113.51"
SPACE = names.router_space(id_of("router"))
ADDRESSES = {"one": "10.1.0.11", "two": "10.1.0.12", "mute": "10.1.0.14", "three": "10.1.0.13", "four": "10.2.0.11"}


@dataclass(frozen=True)
class Scene:
    """Servers: `one`, `two` and `mute` on the first host, `three` and `four` on the second; `four` is in another
    network."""

    lab: Lab
    looks: Looks
    guests: dict[str, Guest]
    place: Host
    """Where the router is."""

    async def agrees(self, sender: str, to: str, protocol: str = "icmp", port: int = 0) -> Traced:
        """What is said of a packet to a server or an address, and is so."""
        address = ADDRESSES.get(to, to)
        hears = self.guests.get({TO_ONE: "one", TO_THREE: "three"}.get(to, to), self.lab.outside)
        said = await traced(self.lab, self.looks, id_of(sender), id_of(to) if to in ADDRESSES else to, protocol, port)
        happens = await really(self.guests[sender], hears, address, protocol, port)
        assert said["arrives"] is happens, (sender, to, protocol, port, happens, said)
        return said


def records(made: Made) -> None:
    lan(made, "red", 1)
    lan(made, "blue", 2)
    router(made, "red", "blue")
    floating(made, TO_ONE, "one", ADDRESSES["one"])
    floating(made, TO_THREE, "three", ADDRESSES["three"])
    made.group("web")
    made.rule("web in", "web", "ingress", protocol="tcp", port_min=80, port_max=80)
    made.group("mute")


def in_groups(made: Made) -> None:
    for name, group in (("two", "web"), ("mute", "mute")):
        port = made.records.ports.require(id_of(name))
        made.records.ports.put(replace(port, security_group_ids=(id_of(group),)))


@asynccontextmanager
async def scene_of(cloud: Cloud) -> AsyncIterator[Scene]:
    made = await lab(cloud, 2)
    await made.change(records)
    first, second = made.hosts
    guests = {}
    for name, host in (("one", first), ("two", first), ("mute", first), ("three", second), ("four", second)):
        network = "blue" if name == "four" else "red"
        guests[name] = await made.guest(name, network, int(ADDRESSES[name].rpartition(".")[2]), host)
    one = guests["one"]
    for address in (*ADDRESSES.values(), TO_ONE, TO_THREE, OUTSIDE):
        await until_async(partial(one.pings, address), cloud.said)
    await made.change(in_groups)
    await until_async(lambda: one.loses(ADDRESSES["two"]), cloud.said)
    await until_async(lambda: guests["mute"].loses(ADDRESSES["one"]), cloud.said)
    yield Scene(made, Looks(made), guests, await made.place())


async def test_what_arrives(cloud: Cloud) -> None:
    async with scene_of(cloud) as scene:
        for sender, to, protocol, port in (
            ("one", "two", "tcp", 80),
            ("one", "three", "icmp", 0),
            ("one", "four", "tcp", 80),
            ("four", "one", "icmp", 0),
            ("three", TO_ONE, "icmp", 0),
            ("one", TO_ONE, "tcp", 80),
            ("four", TO_THREE, "tcp", 80),
        ):
            said = await scene.agrees(sender, to, protocol, port)
            assert said["arrives"], said
        said = await scene.agrees("one", OUTSIDE)
        assert said["end"] == WIRE
        assert f"is from {TO_ONE} now, not 10.1.0.11" in "\n".join(step["text"] for step in said["steps"])
        # Where nobody is known to have an address, all hosts get what is sent to it.
        scene.lab.host.agent.kill()
        vxlan, mac = names.vxlan(101), scene.guests["three"].port.mac
        scene.lab.host.run("bridge", "fdb", "del", mac, "dev", vxlan, "dst", scene.lab.hosts[1].machine.address, "self")
        assert (await scene.agrees("one", "three"))["arrives"]


async def test_what_the_records_let_nobody_through(cloud: Cloud) -> None:
    async with scene_of(cloud) as scene:
        one = scene.guests["one"]
        for sender, to, protocol, port, why in (
            ("one", "two", "tcp", 81, "no rule of the port's security groups lets it in"),
            ("one", "two", "icmp", 0, "no rule of the port's security groups lets it in"),
            ("mute", "one", "tcp", 80, "no rule of the port's security groups lets it out"),
        ):
            said = await scene.agrees(sender, to, protocol, port)
            assert why in said["dropped"], said
        await scene.lab.change(_port_down)
        await until_async(lambda: one.loses(ADDRESSES["three"]), cloud.said)
        said = await scene.agrees("one", "three")
        assert "the port or its network is switched off" in said["dropped"] or "is down" in said["dropped"], said
        said = await scene.agrees("three", "one")
        assert "is down" in said["dropped"], said
        await scene.lab.change(partial(changed, admin_state_up=False))
        await until_async(lambda: one.loses(ADDRESSES["four"]), cloud.said)
        said = await scene.agrees("one", "four")
        assert "is known to have" in said["dropped"], said


def _port_down(made: Made) -> None:
    made.records.ports.put(replace(made.records.ports.require(id_of("three")), admin_state_up=False))


async def test_what_somebody_broke(cloud: Cloud) -> None:
    """With agents that do not mend it."""
    async with scene_of(cloud) as scene:
        for host in scene.lab.hosts:
            host.agent.kill()
        first, second = scene.lab.hosts
        await _is_named(scene, "one", "three", _foreign(first, "inet", ADDRESSES["three"]))
        await _is_named(scene, "one", "three", _foreign(second, "inet", ADDRESSES["three"]))
        await _is_named(scene, "one", "two", _foreign(first, "ip", ADDRESSES["two"]), "tcp", 80)
        await _is_named(scene, "one", "four", _foreign(scene.place, "ip", ADDRESSES["four"], SPACE))
        gateway = names.gateway_link(id_of("router gateway"))
        scene.place.run("ip", "link", "set", gateway, "down")
        assert f"{gateway} on {scene.place.name} is down" in (await scene.agrees("one", OUTSIDE))["dropped"]
        scene.place.run("ip", "netns", "exec", SPACE, "ip", "route", "delete", "default")
        assert f"{SPACE} has no route to 198.51.100.7" in (await scene.agrees("one", "198.51.100.7"))["dropped"]
        scene.guests["two"].run("ip", "link", "delete", "eth0")
        said = await traced(scene.lab, scene.looks, id_of("one"), id_of("two"), "tcp", 80)
        assert "is known to have" in said["dropped"], said
        said = await traced(scene.lab, scene.looks, id_of("two"), id_of("one"), "tcp", 80)
        assert f"has no link {scene.guests['two'].plug}" in said["dropped"], said


def _foreign(host: Host, family: str, address: str, space: str = "") -> Callable[[str], None]:
    """A rule of somebody else, which drops what is sent to an address: made, or taken away."""
    inside = ["ip", "netns", "exec", space] if space else []

    def tell(verb: str) -> None:
        if verb == "add":
            chain = "{ type filter hook forward priority 10; policy accept; }"
            script = (
                f"add table {family} somebody; add chain {family} somebody doors {chain}; "
                f'add rule {family} somebody doors ip daddr {address} counter drop comment "shut for the night"'
            )
            host.run(*inside, "nft", script)
        else:
            host.run(*inside, "nft", f"delete table {family} somebody")

    return tell


async def _is_named(
    scene: Scene, sender: str, to: str, rule: Callable[[str], None], protocol: str = "icmp", port: int = 0
) -> None:
    """Only as long as the rule is there."""
    rule("add")
    said = await scene.agrees(sender, to, protocol, port)
    assert said["dropped"].endswith("somebody doors: shut for the night"), said
    rule("delete")
    assert await really(scene.guests[sender], scene.guests[to], ADDRESSES[to], protocol, port)
