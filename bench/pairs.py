"""`python -m bench pairs --base COMMIT`: what this tree costs the processor, relative to another commit, in one run.

Both are served at the same time, each by a process and from a data folder of its own, made as the program makes them on
one machine; the same Python and the same packages run both. Then rounds of about a second follow each other, always the
same kind of work for one and for the other, who takes turns at being first. What is compared is the processor time of
the server's process (user and system) per request, so the load client beside it, and whatever else the machine does,
count little; what is left of their influence meets both of a pair alike. Only ratios are printed: a second on one
machine says nothing about another, or about the same one an hour later.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import click

from bench import load, readers, report
from bench.targets import Target, drystone

ROOT = os.path.dirname(load.HERE)
ROOMS = ("authn", "drystone", "gateway", "store")
WRITES = ("PUT", "DELETE")
"""In this order in each round: what PUT has written, DELETE takes away."""
READS = ("GET", "HEAD", "LIST")
"""After both servers have done what writes leave for later, else reads would be charged with it."""
READ_NAMES = 2_000
PAGE_NAMES = 1_000
WRITES_BEFORE_DELETES = 20_000
DELETE_SECONDS = 10
_QUIET_SHARE = 0.05
_QUIET_SECONDS = 0.5
_PATIENCE_SECONDS = 20.0
_TICKS = os.sysconf("SC_CLK_TCK")
T = TypeVar("T")


class Side:
    """One of the two servers, and what was written to it."""

    def __init__(self, target: Target, connections: int) -> None:
        self._target = target
        self._connections = connections
        self._names = 0
        self._fresh = (0, 0)
        for container in ("read", "rounds", "many"):
            load.request(target, "PUT", self._url(container), {})
        self._write("read", READ_NAMES)
        listing = load.request(target, "GET", f"{self._url('read')}?limit={READ_NAMES}", {})
        self._to_read = [f"read/{name}" for name in listing.decode().split()]

    def cpu_us(self, kind: str, seconds: int) -> float:
        """Processor time of the server per request in one round, in microseconds."""
        before = _processor_seconds(self._target.pid)
        requests = self._work(kind, seconds)
        return (_processor_seconds(self._target.pid) - before) / requests * 1e6

    def delete_latency(self) -> tuple[float, float]:
        """Milliseconds at the median and the 99th percentile of DELETEs after many writes."""
        first = self._write("many", WRITES_BEFORE_DELETES)
        self.settle()
        figures = self._wrk("many", "DELETE", DELETE_SECONDS, FIRST=first, COUNT=WRITES_BEFORE_DELETES)
        return figures.p50_ms, figures.p99_ms

    def settle(self) -> None:
        """Wait until the server does little, so has done what it was asked for before, or for some seconds."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            before = _processor_seconds(self._target.pid)
            time.sleep(_QUIET_SECONDS)
            if _processor_seconds(self._target.pid) - before < _QUIET_SHARE * _QUIET_SECONDS:
                return

    def _work(self, kind: str, seconds: int) -> int:
        match kind:
            case "PUT":
                figures = self._wrk("rounds", "PUT", seconds, FIRST=self._names)
                self._fresh = (self._names, figures.requests)
                self._names += figures.requests + self._connections  # some were under way at the end
            case "DELETE":
                first, count = self._fresh
                figures = self._wrk("rounds", "DELETE", seconds, FIRST=first, COUNT=count)
            case "LIST":
                return self._read("GET", [f"read?limit={PAGE_NAMES}"], seconds)
            case _:
                return self._read(kind, self._to_read, seconds)
        return figures.requests

    def _read(self, verb: str, paths: Sequence[str], seconds: int) -> int:
        return readers.read(self._target, verb, paths, seconds, self._connections)

    def _write(self, container: str, count: int) -> int:
        """So many new objects; returns the number before that of the first."""
        first, written = self._names, 0
        while written < count:
            left = count - written
            figures = self._wrk(container, "PUT", 1 + left // 10_000, FIRST=first + written, COUNT=left)
            written += figures.requests
        self._names = first + written + self._connections
        return first

    def _wrk(self, container: str, verb: str, seconds: int, **settings: int) -> load.Figures:
        figures = load.wrk(self._target, self._url(container), verb, seconds, self._connections, **settings)
        if figures.failed > max(self._connections, figures.requests // 100) or not figures.requests:
            # some names are missing: those whose PUT was cut off when the time was over
            raise click.ClickException(f"{figures.failed} of {figures.requests} {verb} failed: {self._target.name}")
        return figures

    def _url(self, container: str) -> str:
        return f"{self._target.account_url}/{container}"


def _processor_seconds(pid: int) -> float:
    """What a process has used since its start, all its threads, as user and in the kernel."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@contextmanager
def tree_of(commit: str, where: str) -> Iterator[str]:
    """The files of a commit in a folder that is there as long as the context."""
    with tempfile.TemporaryDirectory(prefix="drystone-base-", dir=where) as folder:
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
        if archive.returncode:
            raise click.ClickException(archive.stderr.decode().strip())
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        yield folder


def check_source(tree: str) -> None:
    """Raises ClickException where Python would take a package of the program from elsewhere."""
    code = f"import {', '.join(ROOMS)}; print({', '.join(f'{room}.__path__[0]' for room in ROOMS)}, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tree, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        if os.path.realpath(os.path.dirname(line)) != os.path.realpath(tree):
            raise click.ClickException(f"{line} would be measured, and not what is in {tree}")


def spread(ratios: Sequence[float]) -> str:
    """The median, and between which bounds half of the ratios lie."""
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{middle:.3f}  ({low:.3f} to {high:.3f})"


@click.command()
@click.option("--base", required=True, metavar="COMMIT", help="What to compare with: anything that git understands.")
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(2), help="Of each kind, on each side.")
@click.option("--seconds", default=1, show_default=True, type=click.IntRange(1), help="For each of them.")
@click.option("--connections", default=16, show_default=True)
@click.option("--deletes", default=3, show_default=True, type=click.IntRange(2), help="Rounds of DELETE after writes.")
@click.option("--where", default=".", type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
def main(base: str, rounds: int, seconds: int, connections: int, deletes: int, where: str) -> None:
    """Processor time per request of this tree, relative to another commit."""
    with tree_of(base, where) as base_tree:
        check_source(base_tree)
        check_source(ROOT)
        with drystone(base, where, tree=base_tree) as before, drystone("this tree", where, tree=ROOT) as now:
            sides = (Side(before, connections), Side(now, connections))
            for side in sides:
                side.settle()
            click.echo(f"{report.interpreter()}, {rounds} rounds of {seconds} s, {connections} connections\n")
            click.echo(f"processor time of the server per request, this tree / {base}: median (middle half)")
            _compare(sides, rounds, seconds)
            _compare_deletes(sides, deletes, base)


def _of_both(sides: tuple[Side, Side], number: int, measure: Callable[[Side], T]) -> tuple[T, T]:
    """The same of the base and of this tree, who take turns at being first."""
    before, now = sides
    if number % 2:
        later = measure(now)
        return measure(before), later
    return measure(before), measure(now)


def _compare(sides: tuple[Side, Side], rounds: int, seconds: int) -> None:
    spent: dict[str, list[tuple[float, float]]] = {kind: [] for kind in (*WRITES, *READS)}
    for number in range(rounds + 1):
        for kind, pairs in spent.items():
            if kind == READS[0]:
                for side in sides:
                    side.settle()
            pair = _of_both(sides, number, partial(Side.cpu_us, kind=kind, seconds=seconds))
            if number:  # the first warms up
                pairs.append(pair)
    for kind, pairs in spent.items():
        click.echo(f"  {kind:7} {spread([now / before for before, now in pairs])}")
    heads_to_gets = [head / get for (_, head), (_, get) in zip(spent["HEAD"], spent["GET"], strict=True)]
    click.echo(f"processor time of HEAD / GET, this tree: {spread(heads_to_gets)}")


def _compare_deletes(sides: tuple[Side, Side], rounds: int, base: str) -> None:
    pairs = [_of_both(sides, number, Side.delete_latency) for number in range(rounds)]
    click.echo(f"latency of DELETE after {WRITES_BEFORE_DELETES:,} writes, this tree / {base}")
    for index, name in enumerate(("p50", "p99")):
        click.echo(f"  {name:7} {spread([now[index] / before[index] for before, now in pairs])}")
    for name, latencies in zip((base, "this tree"), zip(*pairs, strict=True), strict=True):
        click.echo(f"p99 / p50 of DELETE, {name}: {spread([p99 / p50 for p50, p99 in latencies])}")
