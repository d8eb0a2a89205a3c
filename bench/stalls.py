"""`python -m bench.stalls`: how long does the event loop keep everybody waiting, whatever else goes on?

Small PUTs and GETs go on all the time; beside them one disturbance after the other, and in the end all at once. The
figures are the program's own histograms (`drystone.loop_stalls`): of pieces of work, which nothing can interrupt, and
of whole turns of the loop, which grow with the load. Whatever asks does so at the lowest priority, as it would on
another machine: a program that waits for a processor in the midst of a piece of work looks as if that held it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

import click

from bench.client import Client
from bench.hostile import attacks
from bench.load import HERE
from bench.targets import Target, drystone, drystone_status

NAMES = 10_000


class Durations(NamedTuple):
    """How many took up to so many seconds, for each bound; the last bound is infinite."""

    within: dict[float, int]

    def since(self, before: Durations) -> Durations:
        return Durations({bound: count - before.within[bound] for bound, count in self.within.items()})

    @property
    def total(self) -> int:
        return self.within[float("inf")]

    def quantile(self, share: float) -> float:
        """The bound that so large a share of turns lies within."""
        return next(bound for bound, count in sorted(self.within.items()) if count >= share * self.total)


class Loop(NamedTuple):
    """What the loop was held by since the start."""

    pieces: Durations
    turns: Durations

    def since(self, before: Loop) -> Loop:
        return Loop(self.pieces.since(before.pieces), self.turns.since(before.turns))


def loop_of(target: Target) -> Loop:
    """Asks the program."""
    parts = urlsplit(target.account_url)
    with urllib.request.urlopen(f"http://{parts.netloc}/metrics") as response:
        lines = response.read().decode().splitlines()

    def durations(name: str) -> Durations:
        begin = f'drystone_loop_{name}_seconds_bucket{{le="'
        counts = (line.removeprefix(begin).split('"} ') for line in lines if line.startswith(begin))
        return Durations({float(bound): int(float(count)) for bound, count in counts})

    return Loop(durations("stall"), durations("turn"))


def small(target: Target, verb: str, container: str, seconds: float, connections: int, size: int = 4096) -> None:
    """Small requests from wrk, by names from the first."""
    environment = {**os.environ, "VERB": verb, "TOKEN": target.token, "BYTES": str(size), "NAMES": "2000", "FIRST": "0"}
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "60s"]
    command += ["-s", os.path.join(HERE, "small.lua"), f"{target.account_url}{container}"]
    subprocess.run(command, env=environment, check=True, capture_output=True)


@contextmanager
def going_on(*works: Callable[[], object]) -> Iterator[None]:
    """Each of the works again and again, in a thread of its own, until the end of the context."""
    over = threading.Event()

    def repeat(work: Callable[[], object]) -> None:
        while not over.is_set():
            work()

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def disturbances(target: Target, connections: int) -> dict[str, list[Callable[[], object]]]:
    """By name, what goes on beside the small requests."""
    command = [sys.executable, "-m", "drystone", "--data", target.folder]

    def operator(*words: str) -> None:
        subprocess.run([*command, *words], check=True, capture_output=True)

    def get(path: str) -> Callable[[], object]:
        client = Client(target)
        return lambda: client.ask("GET", path)

    weights = iter(range(1, 1_000_000))

    def change_layout() -> None:
        operator("ring", "weight", "0", "0.5" if next(weights) % 2 else "1")
        operator("ring", "apply")
        while len(drystone_status(target.folder)["live_layouts"]) > 1:
            time.sleep(0.5)

    def scrub() -> None:
        operator("scrub")
        time.sleep(2)

    return {
        "nothing else": [],
        f"lists of {NAMES:,}": [get(f"listed?limit={NAMES}&format=json"), get(f"listed?limit={NAMES}&format=xml")],
        "lists of an account that is all tombstones": [get("?limit=10000&format=json"), get("?limit=1")],
        "overwrites and deletes, so compaction": [
            lambda: small(target, "PUT", "/churn", 3, connections, 16_384),
            lambda: small(target, "DELETE", "/churn", 1, connections),
        ],
        "scrub": [scrub],
        "changes of the layout": [change_layout],
        "hostile forms and archives": list(attacks(target).values()),
    }


def _prepare(target: Target, tombstones: int) -> None:
    client = Client(target)
    for container in ("stalls", "listed", "churn"):
        client.ask("PUT", container, headers={"X-Container-Meta-Temp-URL-Key": "key"})
    small(target, "PUT", "/stalls", 5, 16)
    while int(client.ask("HEAD", "listed").headers["X-Container-Object-Count"]) < NAMES:
        small(target, "PUT", "/listed", 10, 32, 100)
    made = 0
    while made < tombstones:
        _containers(target, "PUT", made)
        made = int(client.ask("HEAD", "").headers["X-Account-Container-Count"])
    while int(client.ask("HEAD", "").headers["X-Account-Container-Count"]) > 4:
        first = client.ask("HEAD", "")
        click.echo(f"  {first.headers['X-Account-Container-Count']} containers left to delete")
        _containers(target, "DELETE", 0)


def _containers(target: Target, verb: str, first: int) -> None:
    environment = {**os.environ, "VERB": verb, "TOKEN": target.token, "BYTES": "0", "NAMES": "0", "FIRST": str(first)}
    command = ["wrk", "-t1", "-c32", "-d20s", "--timeout", "60s"]
    command += ["-s", os.path.join(HERE, "small.lua"), target.account_url]
    subprocess.run(command, env=environment, check=True, capture_output=True)


@click.command()
@click.option("--seconds", default=30, show_default=True, help="For each disturbance.")
@click.option("--connections", default=8, show_default=True, help="Of small PUTs, and as many of small GETs.")
@click.option("--tombstones", default=100_000, show_default=True, help="Of containers, in the account.")
@click.option("--where", default=".", type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
def main(seconds: int, connections: int, tombstones: int, where: str) -> None:
    """How long the event loop is held under load, by the program's own histograms."""
    with drystone("drystone", where, 4, ["standard=3"]) as target:
        os.nice(19)
        click.echo("preparing")
        _prepare(target, tombstones)
        others = disturbances(target, connections)
        others["all of it at once"] = [work for works in others.values() for work in works]
        click.echo(f"{'beside PUT and GET':44} {'of':>7} {'count':>9} {'within 10 ms':>13} {'p99.9':>7} {'worst':>7}")
        begun = loop_of(target)
        for name, works in others.items():
            before = loop_of(target)
            with going_on(*works):
                puts = threading.Thread(target=small, args=(target, "PUT", "/stalls", seconds, connections))
                puts.start()
                small(target, "GET", "/stalls", seconds, connections)
                puts.join()
                held = loop_of(target).since(before)
            _show(name, held)
        _show("the whole run", loop_of(target).since(begun))


def _show(name: str, held: Loop) -> None:
    for what, durations in held._asdict().items():
        share = durations.within[0.01] / durations.total
        bounds = [f"{durations.quantile(part) * 1e3:.0f} ms" for part in (0.999, 1.0)]
        click.echo(f"{name:44} {what:>7} {durations.total:>9,} {share:>13.4%} {bounds[0]:>7} {bounds[1]:>7}")
        name = ""


if __name__ == "__main__":
    main()
