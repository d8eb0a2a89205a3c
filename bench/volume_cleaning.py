"""`python -m bench volume-cleaning`: a volume of which four fifths are mapped is overwritten at random, three times its
size: what that costs of disk and memory, and whether it stays as fast as it was.

Cleaning goes on in the background all the while, and what it writes is counted. Disk is what `du` says of the whole
data folder; what is written is what the kernel says of the whole process.
"""

from __future__ import annotations

import subprocess

import click

from bench.process_figures import memory, written
from bench.processes import processor_s
from bench.targets import drystone
from bench.volume_client import fio, make_volume
from bench.volumes import COPIES, DEVICES

PARTS = 3
OVERWRITES = 3
MAPPED = 0.8


@click.command()
@click.option("--size-mib", default=1024, show_default=True, help="Of the volume.")
@click.option("--where", default=".", type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
def main(size_mib: int, where: str) -> None:
    """What cleaning costs a volume that is overwritten at random."""
    size = size_mib << 20
    live = int(size_mib * MAPPED) << 20
    with drystone("drystone", where, DEVICES, [f"standard={COPIES}"]) as target:
        uri = make_volume(target.folder, "bench", size)
        fio(uri, "write", "1m", 8, live)
        for _ in range(PARTS):
            spent, wrote = processor_s(target.pid), written(target.pid)
            job = fio(uri, "randwrite", "4k", 16, live, f"--io_size={size * OVERWRITES // PARTS}", "--norandommap")
            spent, wrote = processor_s(target.pid) - spent, written(target.pid) - wrote
            amplification = wrote / COPIES / job.operations / 4096
            click.echo(
                f"{job.rate:,.0f}/s, p99 {job.p99_ms:.1f} ms, {spent / job.operations * 1e6:.0f} us of processor, "
                f"{amplification:.2f} bytes written a byte in each copy, "
                f"disk {disk_bytes(target.folder) / COPIES / live:.2f} of what is mapped, "
                f"memory {memory(target.pid) / 1e6:.0f} MB"
            )


def disk_bytes(folder: str) -> int:
    """What a data folder takes of its disk."""
    done = subprocess.run(["du", "-s", "-B1", folder], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[0])


if __name__ == "__main__":
    main()
