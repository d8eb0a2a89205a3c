"""`python -m bench nbd`: the NBD server over memory beside qemu-nbd over memory (a file in /dev/shm), with the same
client (`qemu-img bench`), in turns, in one run.

What counts are the ratios. The client shares the processors with the server, whose own time is counted apart.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import click

from bench.processes import processor_s

SIZE = 256 * 1024 * 1024
READY_SECONDS = 30.0


@dataclass(frozen=True)
class Workload:
    name: str
    verb: str
    length: int
    depth: int
    requests: int


WORKLOADS = (
    Workload("4 KiB, depth 16", "read", 4096, 16, 100_000),
    Workload("4 KiB, depth 16", "write", 4096, 16, 100_000),
    Workload("4 KiB, depth 1", "read", 4096, 1, 20_000),
    Workload("4 KiB, depth 1", "write", 4096, 1, 20_000),
    Workload("128 KiB, depth 16", "read", 128 * 1024, 16, 20_000),
    Workload("128 KiB, depth 16", "write", 128 * 1024, 16, 20_000),
)
FILL = Workload("", "write", 1024 * 1024, 4, SIZE // (1024 * 1024))


@dataclass
class Server:
    """One that runs, and what was measured of it."""

    socket: str
    pid: int
    rates: list[float] = field(default_factory=list)
    processor_us: list[float] = field(default_factory=list)

    def measure(self, workload: Workload) -> None:
        before = processor_s(self.pid)
        self.rates.append(_rate(self.socket, workload))
        self.processor_us.append((processor_s(self.pid) - before) / workload.requests * 1e6)


def _rate(socket: str, workload: Workload) -> float:
    command = ["qemu-img", "bench", "-f", "raw", "-c", str(workload.requests), "-d", str(workload.depth)]
    command += ["-s", str(workload.length), "-t", "none"]
    if workload.verb == "write":
        command += ["-w", "--pattern=7"]
    done = subprocess.run([*command, f"nbd+unix:///disk?socket={socket}"], capture_output=True, text=True, check=True)
    found = re.search(r"completed in ([\d.]+) seconds", done.stdout)
    assert found is not None, done.stdout
    return workload.requests / float(found[1])


@contextmanager
def _running(command: list[str], socket: str) -> Iterator[Server]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not os.path.exists(socket):
            if process.poll() is not None or time.monotonic() > deadline:
                raise click.ClickException(f"{command[0]} does not serve")
            time.sleep(0.05)
        yield Server(socket, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


@contextmanager
def _ours(folder: str) -> Iterator[Server]:
    socket = os.path.join(folder, "drystone.sock")
    with _running([sys.executable, "-m", "bench.memory_export", socket, str(SIZE)], socket) as server:
        yield server


@contextmanager
def _theirs(folder: str) -> Iterator[Server]:
    socket, image = os.path.join(folder, "qemu.sock"), os.path.join(folder, "image")
    with open(image, "wb") as file:
        file.truncate(SIZE)
    command = ["qemu-nbd", "--persistent", "--shared=0", "--export-name=disk", "--format=raw", "--cache=writeback"]
    with _running([*command, f"--socket={socket}", image], socket) as server:
        yield server


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Of each workload, by turns; the median counts.")
def main(rounds: int) -> None:
    """The NBD server beside qemu-nbd, both over memory."""
    if shutil.which("qemu-nbd") is None:
        raise click.ClickException("qemu-nbd is not installed: ./setup-system bench")
    click.echo(f"{'':28}{'drystone':>20}{'qemu-nbd':>20}{'rate':>8}{'time':>8}")
    for workload in WORKLOADS:
        with (
            tempfile.TemporaryDirectory(prefix="drystone-bench-", dir="/dev/shm") as folder,
            _ours(folder) as ours,
            _theirs(folder) as theirs,
        ):
            for server in (ours, theirs):  # qemu-nbd does not send what it knows to be zeros
                _rate(server.socket, FILL)
            for server in (ours, theirs) * rounds:
                server.measure(workload)
        columns = []
        for server in (ours, theirs):
            rate, cost = statistics.median(server.rates), statistics.median(server.processor_us)
            columns.append(f"{rate:10,.0f}/s {cost:4.0f} us")
        ratio = statistics.median(a / b for a, b in zip(ours.rates, theirs.rates, strict=True))
        cost = statistics.median(ours.processor_us) / statistics.median(theirs.processor_us)
        click.echo(f"{workload.name:20}{workload.verb:8}{columns[0]:>20}{columns[1]:>20}{ratio:8.2f}{cost:8.2f}")


if __name__ == "__main__":
    main()
