"""`python -m bench volumes`: a volume in copies on devices beside qemu-nbd on a raw file, on the same disk, with the
same client (fio over NBD), in turns, in one run; and beside an image of Ceph RBD that somebody else serves.

What counts are the ratios. Drystone writes each byte once for each copy, and headers with small writes; qemu-nbd has
one copy, and its writes lie in the page cache until they are flushed. RBD's writes are durable when they are answered,
as long as its client has no cache (`rbd cache = false`): compare them with the rows that flush each. One client of it
has all of them under way, since several would take the image from each other. The client shares the processors with the
server, whose own time is counted apart.
"""

from __future__ import annotations

import json
import os
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
from bench.targets import drystone

DEVICES = 3
COPIES = 3
READY_SECONDS = 30.0


@dataclass(frozen=True)
class Workload:
    name: str
    verb: str
    block: str
    depth: int
    jobs: int = 1
    fsync: int = 0
    """A flush behind so many writes, 0 for none."""

    @property
    def durable(self) -> bool:
        """Whether what is answered outlives a loss of power."""
        return "write" not in self.verb or self.fsync == 1


WORKLOADS = (
    Workload("1 MiB, in order, depth 8", "write", "1m", 8),
    Workload("4 KiB, random, depth 16", "randwrite", "4k", 16),
    Workload("4 KiB, random, flush each", "randwrite", "4k", 1, fsync=1),
    Workload("4 KiB, random, 16 with flush", "randwrite", "4k", 1, jobs=16, fsync=1),
    Workload("4 KiB, random, depth 16", "randread", "4k", 16),
    Workload("1 MiB, in order, depth 8", "read", "1m", 8),
)


@dataclass
class Figure:
    """Of one workload, once."""

    rate: float
    p99_ms: float
    server_us: float
    """Processor time of the server, an operation."""


@dataclass
class Server:
    """One that runs, and what was measured of it."""

    engine: list[str]
    """What fio reaches it by."""
    pid: int | None
    durable: bool = False
    """Whether writes are when they are answered, without a flush."""
    figures: dict[Workload, list[Figure]] = field(default_factory=dict)

    def measure(self, workload: Workload, size: str, seconds: int) -> None:
        before = 0.0 if self.pid is None else processor_s(self.pid)
        command = ["fio", "--name=v", *self.engine, f"--size={size}", "--output-format=json", "--group_reporting"]
        jobs, depth = (1, workload.jobs * workload.depth) if self.durable else (workload.jobs, workload.depth)
        command += [f"--rw={workload.verb}", f"--bs={workload.block}", f"--iodepth={depth}", f"--numjobs={jobs}"]
        command += ["--time_based", f"--runtime={seconds}", "--randrepeat=0"]
        if workload.fsync and not self.durable:
            command += [f"--fsync={workload.fsync}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        job = json.loads(done.stdout[done.stdout.index("{") :])["jobs"][0]
        side = job["read" if "read" in workload.verb else "write"]
        spent = 0.0 if self.pid is None else processor_s(self.pid) - before
        p99 = side["clat_ns"].get("percentile", {}).get("99.000000", 0) / 1e6
        self.figures.setdefault(workload, []).append(Figure(side["iops"], p99, spent / side["total_ios"] * 1e6))


@contextmanager
def _ours(where: str, size: str) -> Iterator[Server]:
    with drystone("drystone", where, DEVICES, [f"standard={COPIES}"]) as target:
        base = [sys.executable, "-m", "drystone", "--data", target.folder, "volume"]
        subprocess.run([*base, "create", "bench", "--size", size, "--rewind", "0"], check=True, capture_output=True)
        uri = subprocess.run([*base, "uri", "bench"], check=True, capture_output=True, text=True).stdout.strip()
        yield Server(_nbd(uri), target.pid)


@contextmanager
def _theirs(where: str, size: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="drystone-bench-", dir=where) as folder:
        socket, image = os.path.join(folder, "qemu.sock"), os.path.join(folder, "image")
        subprocess.run(["truncate", "-s", size, image], check=True)
        command = ["qemu-nbd", "--persistent", "--shared=0", "--export-name=disk", "--format=raw", "--cache=writeback"]
        process = subprocess.Popen([*command, f"--socket={socket}", image], stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + READY_SECONDS
            while not os.path.exists(socket):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise click.ClickException("qemu-nbd does not serve")
                time.sleep(0.05)
            yield Server(_nbd(f"nbd+unix:///disk?socket={socket}"), process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


@click.command()
@click.option("--rounds", default=3, show_default=True, help="Of each workload, by turns; the median counts.")
@click.option("--seconds", default=8, show_default=True, help="Of each workload.")
@click.option("--size", default="512M", show_default=True, help="Of the volume, and of the file.")
@click.option("--where", default=".", type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
@click.option("--rbd", metavar="POOL/IMAGE", help="Of Ceph, found by CEPH_CONF, without a cache: a peer. Overwritten.")
def main(rounds: int, seconds: int, size: str, where: str, rbd: str | None) -> None:
    """A volume in three copies beside qemu-nbd on a raw file, and beside RBD."""
    for program in ("qemu-nbd", "fio"):
        if shutil.which(program) is None:
            raise click.ClickException(f"{program} is not installed: ./setup-system bench")
    with _ours(where, size) as ours, _theirs(where, size) as theirs:
        peers = {"qemu-nbd": theirs}
        if rbd is not None:
            peers["rbd"] = _rbd(rbd)
        titles = "".join(f"{name:>30}{'rate':>6}" for name in peers)
        click.echo(f"{'':42}{'drystone':>30}{titles}")
        for workload in WORKLOADS:
            those = {name: peer for name, peer in peers.items() if workload.durable or not peer.durable}
            for server in (ours, *those.values()) * rounds:
                server.measure(workload, size, seconds)
            line = f"{workload.name:32}{workload.verb:10}{_column(ours.figures[workload]):>30}"
            for name in peers:
                line += _beside(ours.figures[workload], those[name].figures[workload]) if name in those else " " * 36
            click.echo(line)


def _nbd(uri: str) -> list[str]:
    return ["--ioengine=nbd", f"--uri={uri}"]


def _rbd(image: str) -> Server:
    pool, _, name = image.partition("/")
    return Server(["--ioengine=rbd", "--clientname=admin", f"--pool={pool}", f"--rbdname={name}"], None, durable=True)


def _beside(ours: list[Figure], theirs: list[Figure]) -> str:
    ratio = statistics.median(a.rate / b.rate for a, b in zip(ours, theirs, strict=True))
    return f"{_column(theirs):>30}{ratio:6.2f}"


def _column(figures: list[Figure]) -> str:
    rate = statistics.median(each.rate for each in figures)
    p99 = statistics.median(each.p99_ms for each in figures)
    cost = statistics.median(each.server_us for each in figures)
    return f"{rate:,.0f}/s {p99:.1f} ms {cost:.0f} us"


if __name__ == "__main__":
    main()
