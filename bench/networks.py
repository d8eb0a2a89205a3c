"""`python -m bench networks`: what networks cost a host, and what is left of its throughput.

Hosts and servers are network namespaces, as in `tests/networks_agent`; the agent is a process of its own. With a
thousand ports on one host: processor time of a rule that changes and of a member that comes, of the agent and all that
it starts, and of the agent at rest. Between two hosts: TCP over VXLAN as it is wired here, beside a bridge and a VXLAN
made by hand without any firewall, in turns, in one run. What counts of the second is the ratio.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import click
import trio

from bench.network_load import at_rest, changes, crowd
from bench.network_throughput import ends, ratios
from compute_plugin.networks.agent.requirements import TOOLS
from tests.cluster.machines import why_not
from tests.networks_agent.cloud import cloud

BOUND_MS = 50.0
"""Of processor time, for one change."""
BOUND_REST = 0.5
"""Per cent of a processor."""
BOUND_RATIO = 0.9


@click.command()
@click.option("--ports", default=1000, show_default=True, help="On one host.")
@click.option("--networks", default=10, show_default=True, help="That they are on.")
@click.option("--times", default=30, show_default=True, help="For each kind of change.")
@click.option("--rest", default=60, show_default=True, help="Seconds that the agent is watched at rest.")
@click.option("--rounds", default=9, show_default=True, help="Of each way, by turns; the median counts.")
@click.option("--seconds", default=2, show_default=True, help="Of each round.")
@click.option("--part", type=click.Choice(["all", "load", "throughput"]), default="all", show_default=True)
@click.option("--congestion", default="cubic", show_default=True, help="Of TCP, both ways: as Linux guests have it.")
def main(
    ports: int, networks: int, times: int, rest: int, rounds: int, seconds: int, part: str, congestion: str
) -> None:
    """What networks cost: changes and rest with many ports, and throughput from host to host."""
    reason = why_not()
    missing = [tool for tool in (*TOOLS, "iperf3") if shutil.which(tool) is None]
    if reason or missing:
        raise click.ClickException(reason or f"not installed: {', '.join(missing)}")
    click.echo(f"load of the machine: {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors")
    if part != "throughput":
        trio.run(_load, ports, networks, times, rest)
    if part != "load":
        trio.run(_throughput, rounds, seconds, congestion)


async def _load(ports: int, networks: int, times: int, rest: int) -> None:
    with tempfile.TemporaryDirectory(prefix="drystone-bench-") as folder:
        async with cloud(Path(folder)) as made:
            scene = await crowd(made, ports, networks)
            click.echo(f"{ports} ports on {networks} networks were wired in {scene.wired_s:.1f} s")
            for name, change in changes(scene).items():
                figure = await change(times)
                click.echo(
                    f"{name}: {figure.processor_ms:.1f} ms of a processor (bound {BOUND_MS:.0f}), "
                    f"in force after {figure.median_ms:.0f} ms (median)"
                )
            share = await at_rest(scene, rest)
            click.echo(f"at rest for {rest} s: {share:.3f} % of a processor (bound {BOUND_REST})")


async def _throughput(rounds: int, seconds: int, congestion: str) -> None:
    with tempfile.TemporaryDirectory(prefix="drystone-bench-") as folder:
        async with cloud(Path(folder)) as made, ends(made) as (ours, plain):
            rates, found = await ratios(ours, plain, rounds, seconds, congestion)
            for name, each in rates.items():
                click.echo(f"{name}: {each:.2f} Gbit/s (median)")
            shown = " ".join(f"{one:.2f}" for one in found.each)
            click.echo(f"ratio: {found.median:.3f} by {congestion} (bound {BOUND_RATIO}); each: {shown}")
