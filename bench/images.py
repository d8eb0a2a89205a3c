"""`python -m bench images`: images up and down, beside a Glance that somebody else runs, and volumes of images.

Of each service, in turns: an image of random bytes is sent, and read twice; the processor time of its processes is
told. Drystone keeps copies (`--replicas`), syncs them and hashes twice; what Glance does is a matter of its
configuration (the plain one: one file, not synced).

Then, of Drystone alone: a volume of an image of 1 GiB and of one of 10 GiB, how long it takes and how many bytes the
store has more of; and lists of many images and volumes, by processor time of the server.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import click

from bench.process_figures import memory
from bench.service_client import MIB, Service, token_of, until_there
from bench.targets import administrator, drystone, drystone_status

PIECE = bytes(MIB)
GIB = 1 << 30


def pieces(size: int, zeros: bool) -> Iterator[bytes]:
    """What no two images have in common; or zeros."""
    made = os.urandom(MIB)
    for number in range(size // MIB):
        yield PIECE if zeros else number.to_bytes(8, "big") + made[8:]


def upload(service: Service, size: int, *, zeros: bool = False, disk_format: str = "raw") -> str:
    """A new image: its id."""
    wanted = {"name": "bench", "disk_format": disk_format, "container_format": "bare"}
    _, answer = service.ask("POST", "/v2/images", wanted)
    id_ = str(json.loads(answer)["id"])
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
    service.ask("PUT", f"/v2/images/{id_}/file", pieces(size, zeros), headers)
    return id_


def both_ways(service: Service, size: int) -> dict[str, float]:
    """MB a second up, down, and down again, each while nothing else is done; processor seconds of all, and of what is
    made of an image after the answer (Drystone seals it)."""
    figures: dict[str, float] = {}
    service.rest()
    before, began = service.used(), time.monotonic()
    id_ = upload(service, size)
    figures["up"] = size / 1e6 / (time.monotonic() - began)
    figures["up, processor s"] = service.used() - before
    figures["afterwards, processor s"] = service.rest()
    for kind in ("down", "down again"):
        before, began = service.used(), time.monotonic()
        length, _ = service.ask("GET", f"/v2/images/{id_}/file")
        if length != size:
            raise OSError(f"{service.name} gives {length} bytes of {size}")
        figures[kind] = size / 1e6 / (time.monotonic() - began)
        figures[f"{kind}, processor s"] = service.used() - before
    service.ask("DELETE", f"/v2/images/{id_}")
    service.rest()
    return figures


def volume_of_image(images: Service, volumes: Service, size: int, stored: Any) -> tuple[float, int]:
    """Seconds until a volume of an image is there, and how many bytes more the store has of it."""
    id_ = upload(images, size, zeros=True)
    first = volumes.ask("POST", "/volumes", {"volume": {"size": size // GIB, "imageRef": id_}})[1]
    until_there(volumes, json.loads(first)["volume"]["id"])  # from here on the image is sealed
    before, began = stored(), time.monotonic()
    second = volumes.ask("POST", "/volumes", {"volume": {"size": size // GIB, "imageRef": id_}})[1]
    until_there(volumes, json.loads(second)["volume"]["id"])
    return time.monotonic() - began, stored() - before


def list_cost(service: Service, path: str, times: int = 5) -> float:
    """Milliseconds of the server's processor for one list."""
    before = service.used()
    for _ in range(times):
        service.ask("GET", path)
    return (service.used() - before) * 1000 / times


def _shown(own: dict[str, float], other: dict[str, float]) -> Iterator[str]:
    for what, figure in own.items():
        unit = "s" if what.endswith(" s") else "MB/s"
        beside = f"; glance {other[what]:,.1f} {unit}: {figure / other[what]:.2f} times" if other.get(what) else ""
        yield f"{what}: drystone {figure:,.1f} {unit}{beside}"


@click.command()
@click.option("--size", default=512, show_default=True, help="Of the image that is sent and read, in MiB.")
@click.option("--glance", metavar="URL", help="A Glance without Keystone, such as http://127.0.0.1:9292.")
@click.option("--glance-pid", "glance_pids", multiple=True, type=int, help="Of its processes, for processor time.")
@click.option("--rounds", default=3, show_default=True, help="In turns; the best of each figure counts.")
@click.option("--large", default=10, show_default=True, help="GiB of the large image that a volume is made of.")
@click.option("--many", default=1000, show_default=True, help="Images and volumes to be listed.")
@click.option("--where", default=".", type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
def main(
    size: int, glance: str | None, glance_pids: tuple[int, ...], rounds: int, large: int, many: int, where: str
) -> None:
    """Images up and down, beside Glance; volumes of images; long lists."""
    with drystone("drystone", where) as target:
        settings = administrator(target.folder)
        base, token = settings["OS_AUTH_URL"].removesuffix("/identity/v3"), token_of(settings)
        images = Service("drystone", f"{base}/image", token, (target.pid,))
        volumes = Service("drystone", f"{base}/volume/v3", token, (target.pid,))
        click.echo(f"at rest: {memory(target.pid) / MIB:.0f} MiB of its own")
        peer = Service("glance", glance, "", glance_pids) if glance else None
        own, other = list[dict[str, float]](), list[dict[str, float]]()
        for _ in range(rounds):
            own.append(both_ways(images, size * MIB))
            if peer is not None:
                other.append(both_ways(peer, size * MIB))
        for line in _shown(_best(own), _best(other) if other else {}):
            click.echo(line)

        def stored() -> int:
            return sum(device["live_bytes"] for device in drystone_status(target.folder)["devices"])

        for gib in (1, large):
            seconds, more = volume_of_image(images, volumes, gib * GIB, stored)
            click.echo(f"a volume of an image of {gib} GiB: {seconds * 1000:.0f} ms, {more / 1024:.0f} KiB stored")
        unlimited = {"quota_set": {"volumes": -1, "gigabytes": -1}}
        volumes.ask("PUT", f"/os-quota-sets/{project_of(volumes)}", unlimited)
        for _ in range(many):
            images.ask("POST", "/v2/images", {"name": "bench"})
            volumes.ask("POST", "/volumes", {"volume": {"size": 1}})
        time.sleep(10)  # until they are made
        click.echo(f"a list of {many} images: {list_cost(images, f'/v2/images?limit={many}'):.0f} ms of the processor")
        click.echo(f"a list of {many} volumes: {list_cost(volumes, '/volumes/detail'):.0f} ms of the processor")
        click.echo(f"with them: {memory(target.pid) / MIB:.0f} MiB of its own")


def project_of(volumes: Service) -> str:
    """The id of the project that the token is for."""
    row = json.loads(volumes.ask("POST", "/volumes", {"volume": {"size": 1}})[1])["volume"]
    shown = json.loads(volumes.ask("GET", f"/volumes/{row['id']}")[1])["volume"]
    return str(shown["os-vol-tenant-attr:tenant_id"])


def _best(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Of each figure: the most MB/s, the fewest seconds."""
    return {what: (min if what.endswith(" s") else max)(one[what] for one in rounds) for what in rounds[0]}
