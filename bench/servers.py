"""`python -m bench servers`: what servers cost.

A list of a thousand in processor time, over the API in this process. With guests that boot (root; emulation where KVM
does not work): a server of an image of 1 GiB beside one of 10 GiB, by turns: bytes that its disk takes once it runs,
time until it is ACTIVE and until its first line on the console. What counts is that both are the same.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import click
import trio

from compute_plugin.records.flavor import Flavor
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server, VmState
from tests.compute_api.cloud import Cloud
from tests.guests.image import make
from tests.process.program import Client, Program, running

BOUND_MS: Final = 100.0
"""Of processor time, for a list of 1,000 servers."""
AT_ONCE: Final = 100
"""Records of one change."""
COMPUTE, IMAGE = "/compute/v2.1", "/image/v2"
PATIENCE_S: Final = 300.0
FIRST_LINE: Final = "drystone-guest: starts"


@click.command()
@click.option("--servers", default=1000, show_default=True, help="In the list.")
@click.option("--times", default=9, show_default=True, help="It is asked for so often; the median counts.")
@click.option("--sizes", default="1,10", show_default=True, help="GiB of images.")
@click.option("--rounds", default=3, show_default=True, help="Servers of each image, by turns.")
@click.option("--part", type=click.Choice(["all", "list", "boot"]), default="all", show_default=True)
def main(servers: int, times: int, sizes: str, rounds: int, part: str) -> None:
    """A list of many servers, and servers of small and large images."""
    click.echo(f"load of the machine: {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors")
    if part != "boot":
        trio.run(_list, servers, times)
    if part != "list":
        if os.geteuid() != 0 or make.missing():
            raise click.ClickException(make.missing() or "servers are run by root")
        _boot([int(one) for one in sizes.split(",")], rounds)


async def _list(count: int, times: int) -> None:
    cloud = Cloud()
    async with trio.open_nursery() as nursery:
        await nursery.start(cloud.service.run)
        await cloud.host("one")
        flavor = Flavor(id="1", name="m1.tiny", vcpus=1, ram=512, disk=1)
        for begin in range(0, count, AT_ONCE):

            def step(records: Records, begin: int = begin) -> None:
                for number in range(begin, min(begin + AT_ONCE, count)):
                    records.servers.put(
                        Server(
                            id=f"00000000-0000-4000-8000-{number:012d}", number=number, project_id="blue",
                            user_id="member-id", name=f"web-{number}", hostname=f"web-{number}", flavor=flavor,
                            created_us=number + 1, updated_us=number + 1, state=VmState.ACTIVE, host="one",
                            metadata={"role": "web"},
                        )
                    )  # fmt: skip

            await cloud.service.store.change(step)
        took = []
        for _ in range(times):
            begun = time.process_time()
            answer = await cloud.ask("GET", "/servers/detail?limit=1000")
            took.append((time.process_time() - begun) * 1000)
            assert len(answer.json["servers"]) == min(count, 1000)
        median = statistics.median(took)
        click.echo(f"a list of {count} servers in detail: {median:.1f} ms of a processor (bound {BOUND_MS:g})")
        nursery.cancel_scope.cancel()


def _boot(sizes: list[int], rounds: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="drystone-bench-") as folder,
        running(Path(folder) / "data", servers=True) as program,
    ):
        until(lambda: bool(ask(program, "GET", f"{COMPUTE}/os-hypervisors")["hypervisors"]))
        raw = make.make_image(Path(folder))
        images = {size: _image(program, raw, size) for size in sizes}
        for size in sizes:
            flavor = {"id": f"disk-{size}", "name": f"disk-{size}", "ram": 256, "vcpus": 1, "disk": size}
            ask(program, "POST", f"{COMPUTE}/flavors", {"flavor": flavor})
        figures: dict[int, list[tuple[float, float, int]]] = {size: [] for size in sizes}
        for _ in range(rounds):
            for size in sizes:
                figures[size].append(_one(program, images[size], size))
        for size, found in figures.items():
            active, line, stored = (statistics.median(column) for column in zip(*found, strict=True))
            click.echo(
                f"an image of {size} GiB: ACTIVE after {active:.1f} s, its first line after {line:.1f} s, its disk "
                f"takes {stored:.0f} bytes (medians of {rounds})"
            )
        click.echo(f"memory of the process: {program.memory_bytes() / 2**20:.0f} MiB")


def _image(program: Program, raw: Path, size: int) -> str:
    disk = raw.with_name(f"guest-{size}.qcow2")
    subprocess.run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", str(raw), str(disk)], check=True)
    subprocess.run(["qemu-img", "resize", "-q", str(disk), f"{size}G"], check=True)
    asked = {"name": f"guest-{size}", "disk_format": "qcow2", "container_format": "bare"}
    id_ = str(ask(program, "POST", f"{IMAGE}/images", asked)["id"])
    ask(program, "PUT", f"{IMAGE}/images/{id_}/file", disk.read_bytes(), "application/octet-stream")
    # The volume of an image is made once, before its first server.
    until(lambda: any(row["name"].startswith(f"image-{id_}") for row in _volumes(program)))
    return id_


def _one(program: Program, image: str, size: int) -> tuple[float, float, int]:
    """Seconds until it is ACTIVE and until its first line, and the bytes that its disk takes then."""
    begun = time.monotonic()
    asked = {"name": f"s{size}", "imageRef": image, "flavorRef": f"disk-{size}", "networks": "none"}
    id_ = str(ask(program, "POST", f"{COMPUTE}/servers", {"server": asked})["server"]["id"])
    path = f"{COMPUTE}/servers/{id_}"

    def is_active() -> bool:
        status = ask(program, "GET", path)["server"]["status"]
        assert status != "ERROR", ask(program, "GET", path)
        return bool(status == "ACTIVE")

    until(is_active)
    active = time.monotonic() - begun
    stored = sum(row["stored_bytes"] for row in _volumes(program) if id_ in row["name"])
    log: dict[str, Any] = {"os-getConsoleOutput": {}}
    until(lambda: FIRST_LINE in ask(program, "POST", f"{path}/action", log)["output"])
    line = time.monotonic() - begun
    ask(program, "DELETE", path)
    until(lambda: all(id_ not in row["name"] for row in _volumes(program)))
    return active, line, stored


def _volumes(program: Program) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(program.command("volume", "list", "--json").stdout)
    return found


def ask(program: Program, method: str, path: str, body: Any = None, type_: str = "application/json") -> Any:
    """Of any service; what it answers."""
    headers = {"X-Auth-Token": program.token, "Content-Type": type_, "OpenStack-API-Version": "compute 2.96"}
    sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    with closing(Client(program)) as client:
        answer = client.ask(method, path, sent, headers)
    assert answer.status < 300, (method, path, answer)
    return json.loads(answer.body) if answer.body else None


def until(holds: Any) -> None:
    """Wait for it."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)
