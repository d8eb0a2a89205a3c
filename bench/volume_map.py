"""`python -m bench volume-map`: how long a large volume takes to open after a kill, and what its map takes of disk and
memory; and what volumes cost that are open and do nothing.

The map is made without the data that it names: a terabyte that was written at random is not written for this. What is
written before the kill is real.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager

import click
import trio

from bench.process_figures import memory
from bench.processes import processor_s
from bench.volume_client import fio
from drystone.cluster import read_cluster
from drystone.folder import DataFolder
from drystone.founding import Wish, found
from drystone.founding import plan as plan_founding
from drystone.node import open_node
from store.blocks.block_map import BlockMap
from store.blocks.catalogue import Catalogue
from store.blocks.checkpoints import Checkpoints
from store.blocks.head import Root
from store.blocks.lineage import Lineage
from store.blocks.log_object import OBJECT_PAGES
from store.blocks.owned_head import change_head
from store.blocks.page_table import PAGE_ENTRIES
from store.blocks.place import BLOCK_BYTES, pack
from store.blocks.table import Table
from store.core.entropy import PooledRandom

DEVICES = 3
VOLUME = "large"
LEAVES_A_CHECKPOINT = 16_384
IDLE_SECONDS = 20
SETTLE_SECONDS = 8


@click.command()
@click.option("--size-gib", default=1024, show_default=True, help="Of the volume.")
@click.option("--blocks", default=20_000_000, show_default=True, help="That are mapped, at random.")
@click.option("--writes", default=30_000, show_default=True, help="4 KiB each, at random, before it is killed.")
@click.option("--idle", default=200, show_default=True, help="Volumes that are open, and do nothing.")
@click.option("--where", default=".", type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
def main(size_gib: int, blocks: int, writes: int, idle: int, where: str) -> None:
    """A large volume's map, and idle volumes."""
    with tempfile.TemporaryDirectory(prefix="drystone-bench-", dir=os.path.abspath(where)) as path:
        folder = DataFolder(path)
        began = time.monotonic()
        made = trio.run(_make, folder, size_gib << 30, blocks)
        click.echo(f"a map of {blocks:,} blocks of {size_gib} GiB, made in {time.monotonic() - began:.0f} s")
        click.echo(f"its checkpoints take {made / (1 << 30):.2f} GiB in each copy")
        with _serving(path) as process:
            before = memory(process.pid)
            uri = _volume(path, "uri", VOLUME)
            click.echo(f"first opened: {_first_read(uri):.2f} s")
            fio(uri, "randwrite", "4k", 16, size_gib << 30, f"--number_ios={writes}", "--norandommap")
            click.echo(
                f"memory: {before / 1e6:.0f} MB before, {memory(process.pid) / 1e6:.0f} MB when {writes} are written"
            )
            process.kill()
            process.wait()
        with _serving(path) as process:
            before = memory(process.pid)
            click.echo(f"opened after the kill: {_first_read(uri):.2f} s")
            click.echo(f"memory: {before / 1e6:.0f} MB before, {memory(process.pid) / 1e6:.0f} MB then")
        with _serving(path) as process:
            _idle(path, process.pid, idle)


async def _make(folder: DataFolder, size: int, blocks: int) -> int:
    """A data folder with a volume: the bytes of its map."""
    await found(folder, *plan_founding(folder, Wish(devices=DEVICES, policies=(f"standard={DEVICES}",))), "")
    known = read_cluster(folder)
    async with open_node(folder, known, known, 1) as node:
        table = Table(node.store, await Catalogue(node.store, PooledRandom()).create(VOLUME, size))
        checkpoints = Checkpoints(Lineage(table, ()))
        chosen, map_ = random.Random(1), BlockMap()
        leaves = size // BLOCK_BYTES // PAGE_ENTRIES
        objects = -(-blocks // OBJECT_PAGES)
        sizes = dict.fromkeys(range(1, objects + 1), OBJECT_PAGES)
        placed = array("I", [0]) * (objects + 1)
        stored: dict[int, int] = {}
        number = 1

        async def store() -> None:
            nonlocal number
            frozen = map_.freeze(0, number)
            await checkpoints.write(number, frozen, sizes, stored)
            map_.stored()
            map_.evict(0)
            stored[number] = len(frozen.pages)
            number += 1

        for leaf in range(leaves):
            for block in chosen.sample(range(PAGE_ENTRIES), blocks * (leaf + 1) // leaves - blocks * leaf // leaves):
                object_ = chosen.randint(1, objects)
                placed[object_] = min(placed[object_] + 1, OBJECT_PAGES)
                map_.put(leaf * PAGE_ENTRIES + block, 1, pack(0, object_, placed[object_]))
            if map_.dirty_leaves >= LEAVES_A_CHECKPOINT:
                await store()
        await store()
        root = Root(0, number - 1, objects + 1, 1)
        await change_head(table, lambda head: head._replace(root=root, next_checkpoint=number))
    return sum(stored.values()) * BLOCK_BYTES


@contextmanager
def _serving(path: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "drystone", "--data", path, "up", "--no-servers", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen([*command, "--log-level", "warning"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "serves" in line:
                break
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=120)
        process.stdout.close()


def _volume(path: str, *words: str) -> str:
    command = [sys.executable, "-m", "drystone", "--data", path, "volume", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _first_read(uri: str) -> float:
    began = time.monotonic()
    subprocess.run(["qemu-io", "-r", "-f", "raw", "-c", "read 2M 4k", uri], check=True, capture_output=True)
    return time.monotonic() - began


def _idle(path: str, pid: int, count: int) -> None:
    for number in range(count):
        _volume(path, "create", f"idle{number}", "--size", "1G")
    resting = _spent(pid)
    before = memory(pid)
    clients = [
        subprocess.Popen(
            ["qemu-io", "-f", "raw", _volume(path, "uri", f"idle{number}")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        for number in range(count)
    ]  # fmt: skip
    try:
        for client in clients:
            assert client.stdin is not None
            assert client.stdout is not None
            client.stdin.write(b"read 0 4k\n")
            client.stdin.flush()
            client.stdout.readline()
        more_memory = memory(pid) - before
        more = (_spent(pid) - resting) / IDLE_SECONDS
        click.echo(f"{count} idle volumes: {more_memory / 1e6:.0f} MB, and {more:.2%} of a processor more than none")
    finally:
        for client in clients:
            client.kill()
            client.wait()


def _spent(pid: int) -> float:
    """Processor time while nothing is asked, in seconds."""
    time.sleep(SETTLE_SECONDS)
    before = processor_s(pid)
    time.sleep(IDLE_SECONDS)
    return processor_s(pid) - before


if __name__ == "__main__":
    main()
