"""A host with many ports, for `bench networks`: what a change costs its agent, and what rest does."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import trio

from compute_plugin.networks.plan import names
from compute_plugin.networks.records.states import HOST_ADDRESSES, PREFIX, HostAddress
from store.registry import Put
from tests.networks_agent.cloud import Cloud, Host
from tests.networks_plan.made import Made, id_of

GROUP = "everybody"
QUIET_S = 0.3
"""After a change was seen: the agent looks once more."""
PATIENCE_S = 120.0
POLL_S = 0.02
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Scene:
    cloud: Cloud
    host: Host
    networks: int
    wired_s: float


@dataclass(frozen=True)
class Figure:
    """Of a change that was made many times."""

    processor_ms: float
    """Each."""
    median_ms: float
    """Until it was in force, as somebody sees it who looks every few milliseconds."""


async def crowd(cloud: Cloud, ports: int, networks: int) -> Scene:
    """All ports are in one group, whose members reach each other."""
    host = await cloud.host()
    far = HostAddress(id="far", address="10.9.0.9")
    await cloud.registry.transact((), [Put(PREFIX + b"host/far", HOST_ADDRESSES.codec.encode(far))])
    await cloud.change(lambda made: made.usual_group(GROUP))
    each = ports // networks
    for number in range(networks):
        await cloud.change(partial(_network, number=number, ports=each, host=host.name))
    wanted = [names.plug(id_of(_port(number, one))) for number in range(networks) for one in range(each)]
    batch = "".join(f"tuntap add {plug} mode tap\n" for plug in wanted)
    begun = time.monotonic()
    await trio.run_process(host.machine.entering(["ip", "-batch", "-"]), stdin=batch.encode())
    with trio.fail_after(PATIENCE_S):
        while sum(one.up for one in cloud.states.states.ports) < each * networks:
            await trio.sleep(POLL_S)
    wired = time.monotonic() - begun
    await trio.sleep(2)
    return Scene(cloud, host, networks, wired)


def _network(made: Made, number: int, ports: int, host: str) -> None:
    name = f"net {number}"
    made.network(name, segmentation_id=100 + number)
    made.subnet(f"{name} 4", name, f"10.{number}.0.0/16", f"10.{number}.0.1", enable_dhcp=False)
    for one in range(ports):
        address = f"10.{number}.{1 + one // 250}.{1 + one % 250}"
        made.port(_port(number, one), name, {f"{name} 4": address}, host=host, groups=[GROUP])


def _port(network: int, number: int) -> str:
    return f"port {network} {number}"


def changes(scene: Scene) -> dict[str, Callable[[int], Awaitable[Figure]]]:
    """By their names; each is told how often."""
    return {"one rule": partial(_measured, scene, _one_rule), "one member": partial(_measured, scene, _one_member)}


def _one_rule(made: Made, number: int) -> tuple[str, str]:
    """What is listed in the end, and what is to be in it."""
    port = 10_000 + number
    made.rule(f"rule {number}", GROUP, "ingress", protocol="tcp", port_min=port, port_max=port)
    return f"chain inet drystone ingress-{id_of(GROUP)}", f"dport {port} "


def _one_member(made: Made, number: int) -> tuple[str, str]:
    address = f"10.0.200.{1 + number}"
    made.port(f"member {number}", "net 0", {"net 0 4": address}, host="far", groups=[GROUP])
    return f"set inet drystone members4-{id_of(GROUP)}", f"{address} "


async def _measured(scene: Scene, change: Callable[[Made, int], tuple[str, str]], times: int) -> Figure:
    spent = _processor_s(scene.host)
    took = []
    for number in range(times):
        begun = time.monotonic()
        listed, wanted = await scene.cloud.change(lambda made, number=number: change(made, number))  # type: ignore[misc]
        with trio.fail_after(PATIENCE_S):
            while not await _is_there(scene.host, listed, wanted):
                await trio.sleep(POLL_S)
        took.append(time.monotonic() - begun)
        await trio.sleep(QUIET_S)
    return Figure((_processor_s(scene.host) - spent) / times * 1e3, statistics.median(took) * 1e3)


async def _is_there(host: Host, listed: str, wanted: str) -> bool:
    command = host.machine.entering(["nft", "list", *listed.split()])
    done = await trio.run_process(command, capture_stdout=True, check=False, capture_stderr=True)
    return wanted in done.stdout.decode().replace(",", " ").replace("}", " ")


async def at_rest(scene: Scene, seconds: int) -> float:
    """Per cent of a processor."""
    before = _processor_s(scene.host)
    await trio.sleep(seconds)
    return (_processor_s(scene.host) - before) / seconds * 100


def _processor_s(host: Host) -> float:
    """Of the agent, and of all that it has started and seen end."""
    with open(f"/proc/{host.agent.pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS
