"""`python -m bench volume-snapshots`: what a snapshot and a clone cost, and whom: of a small volume and of a large one
with as many blocks, while a writer writes as fast as it can; and reading the last of a long chain of clones."""

from __future__ import annotations

import random
import statistics
import subprocess
import time

import click

from bench.targets import drystone
from bench.volume_cleaning import disk_bytes
from bench.volume_client import Job, asked, fio, fio_command, make_volume, parse_job, volume_uri
from bench.volumes import COPIES, DEVICES

GIB = 1 << 30
BLOCK_BYTES = 4096
EVERY_SECONDS = 3.0
PATIENCE_SECONDS = 300
SPARE_BYTES = 160 << 20
"""What a device has on disk whatever is in it: the segment of its log that it writes, and spare ones."""


@click.group()
def main() -> None:
    """What snapshots and clones of volumes cost."""


@main.command("while-written")
@click.option("--sizes", default="1,100", show_default=True, help="Of the volumes, in GiB.")
@click.option("--blocks", default=1_000_000, show_default=True, help="That are written in each, at random, first.")
@click.option("--seconds", default=30, show_default=True, help="Of writing, without snapshots and with.")
@click.option("--where", default=".", type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
def while_written(sizes: str, blocks: int, seconds: int, where: str) -> None:
    """Snapshots and clones of a volume that is written meanwhile, every few seconds."""
    for gib in map(int, sizes.split(",")):
        with drystone("drystone", where, DEVICES, [f"standard={COPIES}"]) as target:
            size = gib * GIB
            uri = make_volume(target.folder, "v", size)
            fio(uri, "randwrite", "4k", 64, size, "--norandommap", f"--number_ios={blocks}")
            options = ["--time_based", f"--runtime={seconds}", "--norandommap"]
            before = fio(uri, "randwrite", "4k", 16, size, *options)
            command = fio_command(uri, "randwrite", "4k", 16, size, options)
            writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            snapshots: list[float] = []
            clones: list[float] = []
            ends = time.monotonic() + seconds - EVERY_SECONDS
            while time.monotonic() < ends:
                time.sleep(EVERY_SECONDS)
                name = f"s{len(snapshots)}"
                began = time.monotonic()
                asked(target.folder, "POST", "/v/snapshots", {"name": name, "time_us": None})
                snapshots.append(time.monotonic() - began)
                began = time.monotonic()
                asked(target.folder, "POST", "/v/clones", {"snapshot": name, "name": f"c{name}", "size": None})
                clones.append(time.monotonic() - began)
            assert writer.stdout is not None
            during = parse_job(writer.stdout.read(), "randwrite")
            writer.wait()
            first = fio(uri, "randwrite", "4k", 1, size, "--number_ios=1")
            click.echo(f"{gib} GiB: snapshot {_times(snapshots)}, clone {_times(clones)}")
            click.echo(f"  writer without: {_job(before)}")
            click.echo(f"  writer with:    {_job(during)}; the first write after one: {first.max_ms:.1f} ms")


@main.command()
@click.option("--depth", default=1000, show_default=True)
@click.option("--size-mib", default=256, show_default=True, help="Of the volumes.")
@click.option("--where", default=".", type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
def chain(depth: int, size_mib: int, where: str) -> None:
    """A chain of clones of clones: each writes a little, and the last is read; all are deleted in any order."""
    size = size_mib << 20
    with drystone("drystone", where, DEVICES, [f"standard={COPIES}"]) as target:
        empty = disk_bytes(target.folder)
        fio(make_volume(target.folder, "flat", size), "write", "1m", 8, size)
        fio(make_volume(target.folder, "v0", size), "write", "1m", 8, size)
        began = time.monotonic()
        for number in range(depth):
            new = {"snapshot": "s", "name": f"v{number + 1}", "size": None}
            asked(target.folder, "POST", f"/v{number}/snapshots", {"name": "s", "time_us": None})
            asked(target.folder, "POST", f"/v{number}/clones", new)
            uri = volume_uri(target.folder, f"v{number + 1}")
            command = ["qemu-io", "-f", "raw", "-c", f"write -P 7 {random.randrange(size // BLOCK_BYTES) * 4}k 4k", uri]
            subprocess.run(command, check=True, capture_output=True)
        click.echo(f"a chain of {depth} in {time.monotonic() - began:.0f} s")
        last = f"v{depth}"
        rates = []
        for _ in range(3):
            jobs = [
                fio(volume_uri(target.folder, name), "randread", "4k", 16, size, "--time_based", "--runtime=5")
                for name in (last, "flat")
            ]
            rates.append(jobs[1].rate / jobs[0].rate)
            click.echo(f"  the last: {_job(jobs[0])}; flat: {_job(jobs[1])}")
        click.echo(f"reading the last takes {statistics.median(rates):.2f} of a flat volume's time")
        names = [f"v{number}" for number in range(depth + 1)] + ["flat"]
        random.Random(1).shuffle(names)
        began = time.monotonic()
        for name in names:
            asked(target.folder, "DELETE", f"/{name}?force=1")
        click.echo(f"all deleted in {time.monotonic() - began:.0f} s")
        while (left := disk_bytes(target.folder) - empty) > DEVICES * SPARE_BYTES:
            if time.monotonic() > began + PATIENCE_SECONDS:
                break
            time.sleep(1)
        click.echo(f"after {time.monotonic() - began:.0f} s {left / 1e6:.0f} MB of it are left on disk")


def _times(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.0f} ms (at most {max(seconds) * 1000:.0f})"


def _job(job: Job) -> str:
    return f"{job.rate:,.0f}/s, p99 {job.p99_ms:.1f} ms, p99.9 {job.p999_ms:.1f}, at most {job.max_ms:.1f}"


if __name__ == "__main__":
    main()
