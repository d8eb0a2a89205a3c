"""`python -m bench processes`: small requests at one data folder with one process, and with several, in one run.

The load shares the processors with the servers, whose own time is counted apart: what a request costs them, and what
of the machine is left.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import click

from bench import load
from bench.targets import Target, drystone

DEVICES = 4
REPLICAS = 3
VERBS = ("PUT", "GET", "LIST", "DELETE")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Figure:
    verb: str
    rate: float
    p99_ms: float
    server_us: float
    """Processor time of the servers, an operation."""


def processor_s(pid: int) -> float:
    """Of a process and its children."""
    spent, pids = 0, [pid]
    for each in pids:
        with open(f"/proc/{each}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(") ")[2].split()
        spent += int(fields[11]) + int(fields[12])
        with open(f"/proc/{each}/task/{each}/children", encoding="ascii") as file:
            pids += map(int, file.read().split())
    return spent / TICKS


def _figures(target: Target, seconds: int, connections: int) -> Iterator[Figure]:
    container = f"{target.account_url}/bench-{os.urandom(4).hex()}"
    load.request(target, "PUT", container, {})
    for verb in VERBS:
        before = processor_s(target.pid)
        result = load.small(target, container, verb, verb, seconds, connections)
        spent = processor_s(target.pid) - before
        yield Figure(verb, result.rate, result.p99_ms, spent / (result.rate * seconds) * 1e6)


@click.command()
@click.option("--processes", default=2, show_default=True, help="To be compared with one.")
@click.option("--seconds", default=5, show_default=True, help="Of each workload.")
@click.option("--connections", default=16, show_default=True)
@click.option("--where", default=".", type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
def main(processes: int, seconds: int, connections: int, where: str) -> None:
    """Several processes of one data folder, beside one process."""
    policies = [f"standard={REPLICAS}"]
    with drystone("one", where, DEVICES, policies) as target:
        alone = list(_figures(target, seconds, connections))
    with drystone("several", where, DEVICES, policies, processes=processes) as target:
        together = list(_figures(target, seconds, connections))
    click.echo(f"4 KiB, {connections} connections; processor time is that of the servers, an operation")
    click.echo(f"{'':8}{'1 process':>28}{f'{processes} processes':>28}{'rate':>8}{'time':>8}")
    for one, more in zip(alone, together, strict=True):
        columns = [f"{each.rate:8.0f}/s {each.server_us:6.0f} us p99 {each.p99_ms:4.0f} ms" for each in (one, more)]
        rate, time = more.rate / one.rate, more.server_us / one.server_us
        click.echo(f"{one.verb:8}{columns[0]:>32}{columns[1]:>32}{rate:8.2f}{time:8.2f}")


if __name__ == "__main__":
    main()
