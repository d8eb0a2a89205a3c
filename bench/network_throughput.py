"""TCP from host to host, for `bench networks`: as it is wired here, and by hand without any firewall."""

from __future__ import annotations

import json
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from tests.cluster.machines import Machine
from tests.networks_agent.cloud import Cloud, until_async
from tests.networks_agent.inside import Inside
from tests.networks_plan.made import Made

MTU = "1450"
VNI = "999"
PATIENCE_S = 20.0
ADDRESSES = ("10.0.0.11", "10.0.0.12")


@dataclass(frozen=True)
class Pair:
    """Two servers on two hosts; the second listens."""

    one: Inside
    two: Inside

    async def rate(self, seconds: int, congestion: str) -> float:
        """Gbit/s from the first to the second."""
        async with trio.open_nursery() as nursery:
            server: trio.Process = await nursery.start(self._serve)
            try:
                with trio.fail_after(seconds + PATIENCE_S):
                    while not await self.two.asks("sh", "-c", "ss -Hltn sport = :5201 | grep -q ."):
                        await trio.sleep(0.02)
                    done = await self.one.tried(
                        "iperf3", "-J", "-c", ADDRESSES[1], "-t", str(seconds), "-C", congestion
                    )
            finally:
                server.kill()
        told = json.loads(done.stdout)
        return float(told["end"]["sum_received"]["bits_per_second"]) / 1e9

    async def _serve(self, *, task_status: trio.TaskStatus[trio.Process]) -> None:
        command = self.two.entering(["iperf3", "-s", "-1"])
        await trio.run_process(command, capture_stdout=True, check=False, task_status=task_status)


@dataclass(frozen=True)
class Ratios:
    """Of ours to the other, round by round."""

    each: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.each)


@asynccontextmanager
async def ends(cloud: Cloud) -> AsyncIterator[tuple[Pair, Pair]]:
    """On four machines of one switch."""
    hosts = [await cloud.host() for _ in range(2)]
    await cloud.change(_records)
    ours = []
    for number, address in enumerate(ADDRESSES):
        guest = await cloud.guest(hosts[number], f"guest {number}", "net", {"net 4": address}, groups=["default"])
        guest.run("ip", "link", "set", "eth0", "mtu", MTU)
        ours.append(guest)
    machines = [cloud.site.add(3 + number) for number in range(2)]
    others = [_by_hand(machines[number], machines[1 - number], ADDRESSES[number]) for number in range(2)]
    try:
        for one in (ours[0], others[0]):
            await until_async(lambda one=one: one.pings(ADDRESSES[1]), cloud.said)  # type: ignore[misc]
        yield Pair(ours[0], ours[1]), Pair(others[0], others[1])
    finally:
        for other in others:
            other.close()


def _records(made: Made) -> None:
    made.network("net")
    made.subnet("net 4", "net", "10.0.0.0/24", "10.0.0.1", enable_dhcp=False)
    made.usual_group("default")


def _by_hand(machine: Machine, other: Machine, address: str) -> Inside:
    """A server on a bridge with a VXLAN to the other machine, and nothing else."""
    run = machine.run
    run("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0", "net.bridge.bridge-nf-call-ip6tables=0")
    run("ip", "link", "add", "plain", "type", "bridge", "mcast_snooping", "0")
    tunnel = ("type", "vxlan", "id", VNI, "local", machine.address, "remote", other.address, "dstport", "4789")
    run("ip", "link", "add", "tunnel", "mtu", MTU, *tunnel)
    inside = Inside()
    end = ("type", "veth", "peer", "name", "server", "mtu", MTU, "netns", str(machine.holder))
    inside.run("ip", "link", "add", "eth0", "mtu", MTU, *end)
    for link in ("tunnel", "server"):
        run("ip", "link", "set", link, "master", "plain")
    for link in ("tunnel", "server", "plain"):
        run("ip", "link", "set", link, "up")
    inside.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
    inside.run("ip", "link", "set", "eth0", "up")
    return inside


async def ratios(
    ours: Pair, plain: Pair, rounds: int, seconds: int, congestion: str
) -> tuple[dict[str, float], Ratios]:
    """By turns; also the medians of both."""
    rates: dict[str, list[float]] = {"drystone": [], "by hand": []}
    for turn in range(rounds + 1):
        pairs = [("drystone", ours), ("by hand", plain)]
        for name, pair in pairs if turn % 2 else reversed(pairs):
            rate = await pair.rate(seconds, congestion)
            if turn:  # the first is for warming up
                rates[name].append(rate)
    each = tuple(a / b for a, b in zip(rates["drystone"], rates["by hand"], strict=True))
    return {name: statistics.median(found) for name, found in rates.items()}, Ratios(each)
