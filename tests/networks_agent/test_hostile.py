"""What a hostile guest sends: dropped and counted, and others are unhurt."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from tests.networks_agent import frames
from tests.networks_agent.cloud import Cloud, Guest, Host, until, until_async
from tests.networks_agent.test_one_host import addresses, network
from tests.networks_plan.made import Made

IP, ARP, IP6 = 0x0800, 0x0806, 0x86DD
EVERY_FRAME = 3
VICTIM = "10.0.0.12"
OTHER = "10.0.0.13"


@dataclass
class Scene:
    """An attacker and a victim that lets everything in, and a third."""

    cloud: Cloud
    host: Host
    attacker: Guest
    victim: Guest
    other: Guest
    sending: socket.socket
    hearing: trio.socket.SocketType

    @property
    def mac(self) -> str:
        return self.attacker.port.mac

    def sends(self, frame: bytes) -> None:
        self.sending.send(frame)

    async def hears(self, marker: bytes) -> bool:
        """Whether the victim gets a frame with the marker, before one that is sent behind it."""
        self.sends(ethernet4(self, frames.udp(5, 6, b"the last one")))
        with trio.fail_after(10):
            while True:
                frame = await self.hearing.recv(65536)
                if marker in frame:
                    return True
                if b"the last one" in frame:
                    return False

    def counted(self, name: str, family: str = "bridge") -> int:
        return self.host.counter(family, name)


def ethernet4(scene: Scene, payload: bytes, protocol: int = 17, source: str = "10.0.0.11") -> bytes:
    return frames.ethernet(scene.victim.port.mac, scene.mac, IP, frames.ip4(source, VICTIM, protocol, payload))


@asynccontextmanager
async def scene_of(cloud: Cloud) -> AsyncIterator[Scene]:
    host = await cloud.host()
    await cloud.change(network)
    await cloud.change(everything)
    attacker, victim, other = [
        await cloud.guest(host, name, "net", addresses(last), groups=["all"])
        for name, last in (("attacker", 11), ("victim", 12), ("other", 13))
    ]
    await until_async(lambda: attacker.pings(VICTIM), cloud.said)
    sending = attacker.opened(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
    sending.bind(("eth0", 0))
    hearing = victim.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_FRAME))
    await hearing.bind(("eth0", EVERY_FRAME))
    with sending:
        yield Scene(cloud, host, attacker, victim, other, sending, hearing)
        assert await other.pings(VICTIM), "others are unhurt"


def everything(made: Made) -> None:
    made.group("all")
    for direction in ("ingress", "egress"):
        for ethertype in ("IPv4", "IPv6"):
            made.rule(f"all {direction} {ethertype}", "all", direction, ethertype)


async def test_only_from_its_own_addresses(cloud: Cloud) -> None:
    async with scene_of(cloud) as scene:
        victim = scene.victim.port.mac
        data = frames.udp(5, 6, b"spoofed")
        before = scene.counted("spoofed_mac")
        scene.sends(frames.ethernet(victim, "fa:16:3e:99:99:99", IP, frames.ip4("10.0.0.11", VICTIM, 17, data)))
        assert not await scene.hears(b"spoofed")
        assert scene.counted("spoofed_mac") == before + 1
        before = scene.counted("spoofed_address")
        scene.sends(ethernet4(scene, data, source=OTHER))
        scene.sends(frames.ethernet(victim, scene.mac, IP6, frames.ip6("fd00::13", "fd00::12", 17, data)))
        assert not await scene.hears(b"spoofed")
        assert scene.counted("spoofed_address") == before + 2


async def test_arp_and_neighbours_are_its_own(cloud: Cloud) -> None:
    async with scene_of(cloud) as scene:
        before = scene.counted("spoofed_arp")
        for source_mac in (scene.mac, scene.other.port.mac):
            for operation in (1, 2):
                lie = frames.arp(source_mac, OTHER, VICTIM, operation)
                scene.sends(frames.ethernet(frames.BROADCAST, scene.mac, ARP, lie))
        assert not await scene.hears(socket.inet_aton(OTHER) + bytes(6))
        assert scene.counted("spoofed_arp") == before + 4
        target = socket.inet_pton(socket.AF_INET6, "fd00::13")
        body = struct.pack("!I", 0x60000000) + target + bytes([2, 1]) + frames.octets(scene.mac)
        before = scene.counted("spoofed_neighbour")
        lie = frames.ip6("fd00::11", "fd00::12", 58, frames.icmp6("fd00::11", "fd00::12", 136, body))
        scene.sends(frames.ethernet(scene.victim.port.mac, scene.mac, IP6, lie))
        assert not await scene.hears(target)
        assert scene.counted("spoofed_neighbour") == before + 1


async def test_no_dhcp_server_and_no_router(cloud: Cloud) -> None:
    async with scene_of(cloud) as scene:
        before = scene.counted("dhcp_server")
        scene.sends(ethernet4(scene, frames.udp(67, 68, b"an offer")))
        server6 = frames.udp(547, 546, b"an offer")
        scene.sends(
            frames.ethernet(scene.victim.port.mac, scene.mac, IP6, frames.ip6("fd00::11", "fd00::12", 17, server6))
        )
        assert not await scene.hears(b"an offer")
        assert scene.counted("dhcp_server") == before + 2
        before = scene.counted("router")
        for type_ in (134, 137):
            told = frames.icmp6("fd00::11", "ff02::1", type_, b"a router" + bytes(24))
            scene.sends(
                frames.ethernet("33:33:00:00:00:01", scene.mac, IP6, frames.ip6("fd00::11", "ff02::1", 58, told))
            )
        assert not await scene.hears(b"a router")
        assert scene.counted("router") == before + 2


async def test_fragments_hide_nothing(cloud: Cloud) -> None:
    """An offer in pieces: the first has the ports, or half of them are in each."""
    async with scene_of(cloud) as scene:
        offer = frames.udp(67, 68, b"an offer" * 4)
        before = scene.counted("dhcp_server", "inet") + scene.counted("dhcp_server")
        for identity, order in ((1, (0, 1)), (2, (1, 0))):
            pieces = [(0x2000, offer[:16]), (16 // 8, offer[16:])]
            for piece in order:
                flags, data = pieces[piece]
                whole = frames.ip4("10.0.0.11", VICTIM, 17, data, fragment=flags, identity=identity)
                scene.sends(frames.ethernet(scene.victim.port.mac, scene.mac, IP, whole))
        # IPv6: the type is in the second piece, behind options that fill the first.
        options = bytes([58, 0, 1, 4, 0, 0, 0, 0])
        told = options + frames.icmp6("fd00::11", "fd00::12", 134, b"a router" + bytes(24))
        for offset, more, data in ((0, 1, told[:8]), (8, 0, told[8:])):
            head = struct.pack("!BBHI", 60, 0, offset | more, 7)
            whole = frames.ip6("fd00::11", "fd00::12", 44, head + data)
            scene.sends(frames.ethernet(scene.victim.port.mac, scene.mac, IP6, whole))
        assert not await scene.hears(b"an offer")
        assert not await scene.hears(b"a router")
        assert scene.counted("dhcp_server", "inet") + scene.counted("dhcp_server") >= before + 2


async def test_neither_tags_nor_other_ethertypes(cloud: Cloud) -> None:
    async with scene_of(cloud) as scene:
        victim = scene.victim.port.mac
        before = scene.counted("vlan_tag"), scene.counted("ethertype")
        data = frames.ip4("10.0.0.11", VICTIM, 17, frames.udp(5, 6, b"hidden"))
        scene.sends(frames.tagged(victim, scene.mac, 5, IP, data))
        scene.sends(frames.tagged(victim, scene.mac, 0, IP, data))
        scene.sends(frames.ethernet(victim, scene.mac, 0x88CC, b"hidden" + bytes(40)))
        scene.sends(frames.ethernet("01:80:c2:00:00:00", scene.mac, 38, b"hidden" + bytes(40)))
        assert not await scene.hears(b"hidden")
        after = scene.counted("vlan_tag"), scene.counted("ethertype")
        assert (after[0] - before[0], after[1] - before[1]) == (2, 2)


async def test_a_flood_of_source_addresses_fills_no_table(cloud: Cloud) -> None:
    async with scene_of(cloud) as scene:
        before = scene.counted("spoofed_mac")
        payload = frames.ip4("10.0.0.11", VICTIM, 17, frames.udp(5, 6, b"flood"))
        for number in range(1000):
            scene.sends(
                frames.ethernet(frames.BROADCAST, f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}", IP, payload)
            )
        assert not await scene.hears(b"flood")
        await until(lambda: scene.counted("spoofed_mac") == before + 1000)
        assert "02:00:00:00" not in scene.host.run("bridge", "fdb")


async def test_the_host_is_not_reached(cloud: Cloud) -> None:
    """Neither by the address of a bridge nor by any other of the host."""
    async with scene_of(cloud) as scene:
        host = scene.host.machine.address
        scene.attacker.run("ip", "route", "add", host, "dev", "eth0")
        assert not await scene.attacker.pings(host)
        links = scene.host.run("ip", "-br", "link").splitlines()
        bridge = next(line.split()[2] for line in links if line.startswith("dsb-"))
        scene.attacker.run("ip", "neighbour", "replace", host, "lladdr", bridge, "dev", "eth0")
        before = scene.counted("to_host")
        assert not await scene.attacker.pings(host)
        assert scene.counted("to_host") > before
