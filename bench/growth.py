"""`python -m bench growth`: from four devices to five, once by itself and once beside half of what clients can ask.

By itself: how many bytes are written to move what the new layout gives the new device, counted by the kernel for the
whole process (`/proc/<pid>/io`), and how fast, beside what the disk gives in the same run to one who reads and writes
files. Beside clients: the same pace, and what the move does to their 99th percentile.

All devices are folders of one disk here, so that every byte which is moved is read from it and written to it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from bench import disk, load, report
from bench.client import Client
from bench.process_figures import written
from bench.targets import Target, drystone, drystone_status

DEVICES, REPLICAS = 4, 3
NEW = DEVICES
"""The number of the device that is added."""
OBJECT_BYTES = 4 * 1024 * 1024
NAMES = 500
"""That are asked for: fewer than are put in FILL_SECONDS."""
FILL_SECONDS = 5
CONNECTIONS = 8
"""Of each verb at full load."""
VERBS = ("GET", "PUT")
FILL_THREADS = 4
PATIENCE_SECONDS = 1800.0
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Move:
    """One growth. `given` bytes live on the new device in the end, `moved` were written by the loop that moves data,
    `written` by the whole process; `rate` in MB/s, from the first to the last block."""

    given: int
    moved: int
    written: int
    rate: float


@click.command()
@click.option("--objects", default=400, show_default=True, help="Of 4 MiB each.")
@click.option("--seconds", default=10, show_default=True, help="Of each load without a move.")
@click.option("--where", default=".", type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
def main(objects: int, seconds: int, where: str) -> None:
    """Four devices become five: bytes moved, pace, and what clients feel of it."""
    gives = disk.copy_rate(where)
    click.echo(f"{report.interpreter()}\nthe disk gives {gives:,.0f} MB/s to who copies files")
    with _filled(where, objects) as target:
        alone = _grow(target)
        click.echo(
            f"by itself: {alone.moved / 1e6:,.0f} MB moved, {alone.moved / alone.given:.3f} of what the new device "
            f"has, and {alone.written / 1e6:,.0f} MB written in all, {alone.written / alone.given:.3f} of it; "
            f"{alone.rate:,.0f} MB/s, {alone.rate / gives:.2f} of what the disk gives"
        )
    with _filled(where, objects) as target:
        load.wrk(target, _small(target), "PUT", FILL_SECONDS, CONNECTIONS)
        with _load(target, 0) as running:
            time.sleep(seconds)
        full = running()
        rate = {verb: figures.requests / figures.seconds for verb, figures in full.items()}
        pause_ms = _pause_ms(full)
        with _load(target, pause_ms) as running:
            time.sleep(seconds)
        before = running()
        with _load(target, pause_ms) as running:
            beside = _grow(target)
        during = running()
    for verb in VERBS:
        half = before[verb].requests / before[verb].seconds
        click.echo(
            f"{verb}: {rate[verb]:,.0f}/s at full load, {half:,.0f}/s at half ({half / rate[verb]:.2f}); "
            f"99th percentile {before[verb].p99_ms:.1f} ms without and {during[verb].p99_ms:.1f} ms beside the move "
            f"({during[verb].p99_ms / before[verb].p99_ms:.2f}), median {before[verb].p50_ms:.1f} and "
            f"{during[verb].p50_ms:.1f} ms; {during[verb].failed} failed"
        )
    click.echo(f"beside half of full load: {beside.rate:,.0f} MB/s, {beside.rate / gives:.2f} of what the disk gives")


@contextmanager
def _filled(where: str, objects: int) -> Iterator[Target]:
    """Four devices with objects, some large to move, and some small for clients to ask for."""
    with drystone("drystone", where, DEVICES, [f"standard={REPLICAS}"]) as target:
        client = Client(target)
        for container in "large", "small":
            client.ask("PUT", container)
        client.close()
        content = os.urandom(OBJECT_BYTES)

        def put(first: int) -> None:
            mine = Client(target)
            for number in range(first, objects, FILL_THREADS):
                answer = mine.ask("PUT", f"large/{number}", content)
                assert answer.status == 201, answer.status
            mine.close()

        threads = [threading.Thread(target=put, args=(first,)) for first in range(FILL_THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        yield target


def _small(target: Target) -> str:
    return f"{target.account_url}/small"


def _grow(target: Target) -> Move:
    """Add a device, and wait until everything is where it is to be."""
    path = os.path.join(target.folder, "devices", str(NEW))
    os.mkdir(path)
    _typed(target, "device", "add", path)
    before_bytes = written(target.pid)
    status = drystone_status(target.folder)
    layout, before = status["layout"], _loop(status)["bytes"]
    _typed(target, "ring", "apply")
    seen: list[tuple[float, int]] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        status, now = drystone_status(target.folder), time.monotonic()
        moved = _loop(status)["bytes"] - before
        if moved and (not seen or seen[-1][1] != moved):
            seen.append((now, moved))
        if status["layout"] > layout and len(status["live_layouts"]) == 1:
            break
        if now > deadline:
            raise TimeoutError("the change of the ring does not come to its end")
        time.sleep(LOOK_SECONDS)
    given = next(row["live_bytes"] for row in status["devices"] if row["device"] == NEW)
    # Between the first and the last look that saw it grow.
    (began, first), (ended, last) = seen[0], seen[-1]
    return Move(given, moved, written(target.pid) - before_bytes, (last - first) / 1e6 / (ended - began))


def _typed(target: Target, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "drystone", "--data", target.folder, *words], check=True, capture_output=True)


def _loop(status: dict[str, Any]) -> dict[str, Any]:
    return next(loop for loop in status["loops"] if loop["loop"] == "rebalance data")


@contextmanager
def _load(target: Target, pause_ms: dict[str, int] | int) -> Iterator[Callable[[], dict[str, load.Figures]]]:
    """Clients that put and get small objects meanwhile; what is yielded tells, at the end, what they saw."""
    pauses = pause_ms if isinstance(pause_ms, dict) else dict.fromkeys(VERBS, pause_ms)
    running = {
        verb: load.begin_wrk(target, _small(target), verb, 3600, CONNECTIONS, NAMES=NAMES, PAUSE_MS=pauses[verb])
        for verb in VERBS
    }
    found: dict[str, load.Figures] = {}
    try:
        yield lambda: found
    finally:
        for process in running.values():
            process.send_signal(signal.SIGINT)
        found |= {verb: load.end_wrk(process) for verb, process in running.items()}


def _pause_ms(full: dict[str, load.Figures]) -> dict[str, int]:
    """How long each connection is to pause after an answer, so that half as many come. Without a load an answer takes
    less long, which is left out of account: half as many is what the pause alone would bring about."""
    return {
        verb: max(1, round(1000 * 2 * CONNECTIONS * figures.seconds / figures.requests - figures.p50_ms))
        for verb, figures in full.items()
    }
