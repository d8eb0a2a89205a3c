"""`python -m bench.scale`: does it stay as fast, and as small, while one container grows? Draws bench/scale.svg."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable

import click

from bench.client import Client
from bench.load import HERE
from bench.targets import Target, drystone, drystone_status

SIZES = (1_000, 10_000, 100_000, 1_000_000)
SAMPLES = 300
OBJECT_BYTES = 100
FILL_SECONDS = 5


def _median_ms(work: Callable[[int], object]) -> float:
    spent = []
    for number in range(SAMPLES):
        began = time.perf_counter()
        work(number)
        spent.append((time.perf_counter() - began) * 1e3)
    return statistics.median(spent)


def _fill(target: Target, client: Client, size: int, names: int) -> int:
    """Put objects until the container holds `size`; returns the number of names used by each thread."""
    count = 0
    environment = {**os.environ, "VERB": "PUT", "TOKEN": target.token, "BYTES": str(OBJECT_BYTES), "NAMES": "0"}
    while count < size:
        environment["FIRST"] = str(names)
        command = ["wrk", "-t2", "-c32", f"-d{FILL_SECONDS}s", "-s", os.path.join(HERE, "small.lua")]
        if size <= 10_000:
            command[3] = "-d1s"
        subprocess.run([*command, f"{target.account_url}/scale"], env=environment, check=True, capture_output=True)
        count = int(client.ask("HEAD", "scale").headers["X-Container-Object-Count"])
        names = count
    return names


def _measure(target: Target, client: Client, count: int) -> dict[str, float]:
    status = drystone_status(target.folder)
    return {
        "objects": count,
        "put_ms": _median_ms(lambda n: client.ask("PUT", f"scale/sample-{n}", b"x" * OBJECT_BYTES)),
        "get_ms": _median_ms(lambda n: client.ask("GET", f"scale/sample-{n}")),
        "head_ms": _median_ms(lambda n: client.ask("HEAD", f"scale/sample-{n}")),
        "list_ms": _median_ms(lambda _: client.ask("GET", "scale?limit=100&marker=n1-9")),
        "delete_ms": _median_ms(lambda n: client.ask("DELETE", f"scale/sample-{n}")),
        "memory_mb": status["memory_private_bytes"] / 1e6,
    }


@click.command()
@click.option("--objects", default=SIZES[-1], show_default=True, help="How large the container gets.")
@click.option("--where", default=".", type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
def main(objects: int, where: str) -> None:
    """Median latencies of one client, and memory, while one container grows."""
    points = []
    with drystone("drystone", where, 4, ["standard=3"]) as target:
        client = Client(target)
        client.ask("PUT", "scale")
        names = 0
        for size in [size for size in SIZES if size < objects] + [objects]:
            names = _fill(target, client, size, names)
            points.append(_measure(target, client, names))
            click.echo(json.dumps(points[-1]))
    with open(os.path.join(HERE, "scale.json"), "w", encoding="utf-8") as file:
        json.dump(points, file, indent=1)
    _draw(points)


def _draw(points: list[dict[str, float]]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4))
    counts = [point["objects"] for point in points]
    for name in ("put_ms", "get_ms", "head_ms", "list_ms", "delete_ms"):
        left.plot(counts, [point[name] for point in points], marker="o", label=name.removesuffix("_ms"))
    left.set_xscale("log")
    left.set_ylim(bottom=0)
    left.set_xlabel("objects in the container")
    left.set_title("median latency, ms, one client")
    left.legend()
    right.plot(counts, [point["memory_mb"] for point in points], marker="o")
    right.set_xscale("log")
    right.set_ylim(bottom=0)
    right.set_xlabel("objects in the container")
    right.set_title("private memory, MB")
    figure.tight_layout()
    figure.savefig(os.path.join(HERE, "scale.svg"), metadata={"Date": None})


if __name__ == "__main__":
    main()
