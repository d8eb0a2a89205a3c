"""`drystone device`: make devices; try one again; look into one's folder while nobody serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import click
import trio

from drystone.access import Access, data_option
from drystone.cluster import Cluster, read_cluster
from drystone.device_add import add, retry
from drystone.device_records import load_records
from drystone.folder import DataFolder
from drystone.layouts import load_ring
from drystone.node_identity import find_identity
from store.core.clock import SystemClock
from store.core.errors import DrystoneError, InvalidError, NotFoundError
from store.engine.dump import KIND_NAMES, dump_folder
from store.engine.owner import OwnedDevice, open_folder
from store.registry import open_embedded


@click.group()
def device() -> None:
    """Make a device of a folder, have one tried again, or look into one.

    To check or dump a device the process that serves it must be stopped.
    """


device.add_command(add)
device.add_command(retry)


@device.command()
@click.argument("number", type=int, required=False)
@data_option
@click.pass_obj
def check(access: Access, number: int | None) -> None:
    """Read and verify everything on one device, or on all.

    Exits with 1 where anything is not as it must be.
    """
    try:
        clean = trio.run(_check, access.folder, number)
    except DrystoneError as error:
        raise click.ClickException(str(error)) from error
    if not clean:
        raise SystemExit(1)


async def _check(folder: DataFolder, number: int | None) -> bool:
    cluster = read_cluster(folder)
    clean = True
    for device_id, path in await _paths(folder, cluster, number):
        try:
            async with _opened(cluster, device_id, path) as opened:
                clean = await _check_one(opened) and clean
        except (DrystoneError, OSError) as error:
            click.echo(f"device {device_id}: cannot be opened: {error}")
            clean = False
    return clean


async def _check_one(opened: OwnedDevice) -> bool:
    report = await opened.check()
    number = opened.port.id
    problems = [*opened.status().damage, *report.problems]
    for problem in problems:
        click.echo(f"device {number}: {problem}")
    size = report.bytes_read / 1e6
    behind = "" if opened.port.in_sync else ", waits to rejoin its peers"
    click.echo(
        f"device {number}: {report.rows} rows ({report.tombstones} tombstones), {report.promises} promises, "
        f"{report.fences} fences, {report.blocks} blocks, "
        f"{size:.1f} MB read, {len(report.problems)} problems{behind}"
    )
    return not problems


async def _paths(folder: DataFolder, cluster: Cluster, number: int | None) -> list[tuple[int, str]]:
    identity = find_identity(folder)
    node = identity.name if identity else ""
    if identity is not None and not identity.owns_registry:
        raise InvalidError("the registry is not in this folder: 'drystone scrub' has the process check its devices")
    with open_embedded(folder.registry, SystemClock()) as registry:
        stored, records = await load_ring(registry, cluster.key), await load_records(registry)
    here = {each for each, device in records.items() if device.node == node}
    labels = {
        each: device.label
        for each, device in (stored.ring.devices.items() if stored.ring else ())
        if each in here or each not in records
    }
    labels |= {each: record.label for each, record in records.items() if each in labels}
    if number is not None and number not in labels:
        raise NotFoundError(f"there is no device {number} (there are: {', '.join(map(str, sorted(labels)))})")
    return [(each, folder.device(labels[each])) for each in sorted(labels) if number in (None, each)]


@asynccontextmanager
async def _opened(cluster: Cluster, number: int, path: str) -> AsyncIterator[OwnedDevice]:
    with ExitStack() as stack:
        opened = await open_folder(number, cluster.id, path, stack)
        try:
            yield opened
        finally:
            await opened.close()


@device.command()
@click.argument("path", type=click.Path(exists=True, file_okay=False))
@click.option("--kind", type=click.Choice(KIND_NAMES), help="Only records of this kind.")
def dump(path: str, kind: str | None) -> None:
    """Print every record in a device's folder, in the order of its segments.

    Reads the log alone, without the index; what is unreadable is said and stepped over.
    """
    try:
        for line in dump_folder(path, kind):
            click.echo(line)
    except (DrystoneError, OSError) as error:
        raise click.ClickException(str(error)) from error
