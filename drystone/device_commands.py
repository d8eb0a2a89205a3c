"""`drystone device`: make devices; try one again; look into one's folder while nobody serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager

import click
import trio

from drystone.access import Access, data_option
from drystone.cluster import Cluster, read_cluster
from drystone.device_add import add, retry
from drystone.device_folder import find_superblock
from drystone.device_records import load_records
from drystone.folder import DataFolder
from drystone.layouts import load_ring
from drystone.local_device import open_local_device
from store.core.clock import SystemClock
from store.core.disk import SystemDisk
from store.core.errors import DrystoneError, NotFoundError
from store.device.block import decode_meta as decode_block
from store.device.block import decode_target
from store.device.record import BULK_ALIGN, LOG_ALIGN, Kind
from store.device.row import FLAG_NAMES, decode_meta
from store.engine.check import check_device
from store.engine.committer import decode_previous
from store.engine.device import Device
from store.engine.recovery import Found, Reader
from store.engine.segment import HEADER_BYTES, SegmentKind, Segments
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


async def _check_one(opened: Device) -> bool:
    report = await check_device(opened)
    problems = [*opened.health.damage, *report.problems]
    for problem in problems:
        click.echo(f"device {opened.id}: {problem}")
    size = report.bytes_read / 1e6
    behind = "" if opened.in_sync else ", waits to rejoin its peers"
    click.echo(
        f"device {opened.id}: {report.rows} rows ({report.tombstones} tombstones), {report.blocks} blocks, "
        f"{size:.1f} MB read, {len(report.problems)} problems{behind}"
    )
    return not problems


async def _paths(folder: DataFolder, cluster: Cluster, number: int | None) -> list[tuple[int, str]]:
    with open_embedded(folder.registry, SystemClock()) as registry:
        stored, records = await load_ring(registry, cluster.key), await load_records(registry)
    labels = {each: device.label for each, device in stored.ring.devices.items()} if stored.ring else {}
    labels |= {each: record.label for each, record in records.items() if each in labels}
    if number is not None and number not in labels:
        raise NotFoundError(f"there is no device {number} (there are: {', '.join(map(str, sorted(labels)))})")
    return [(each, folder.device(labels[each])) for each in sorted(labels) if number in (None, each)]


@asynccontextmanager
async def _opened(cluster: Cluster, number: int, path: str) -> AsyncIterator[Device]:
    with ExitStack() as stack:
        opened = await open_local_device(number, cluster.id, path, stack)
        try:
            yield opened
        finally:
            await opened.close()


@device.command()
@click.argument("path", type=click.Path(exists=True, file_okay=False))
@click.option("--kind", type=click.Choice([kind.name.lower() for kind in Kind]), help="Only records of this kind.")
def dump(path: str, kind: str | None) -> None:
    """Print every record in a device's folder, in the order of its segments.

    Reads the log alone, without the index; what is unreadable is said and stepped over.
    """
    try:
        for line in _dump(path, kind):
            click.echo(line)
    except (DrystoneError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _dump(path: str, kind: str | None) -> Iterator[str]:
    superblock = find_superblock(path)
    disk = SystemDisk(path)
    yield (
        f"device {superblock.device} of cluster {superblock.cluster.hex()}, in sync={superblock.in_sync}, "
        f"incarnation={superblock.incarnation.hex()}, enforced={superblock.enforced}"
    )
    segments = Segments(disk, superblock.device)
    for segment, its_kind in sorted(segments.kinds.items()):
        align = LOG_ALIGN if its_kind is SegmentKind.LOG else BULK_ALIGN
        reader = Reader(segments.file(segment), segment, align)
        yield f"segment {segment:016x} ({its_kind.name.lower()}, {reader.size} bytes)"
        offset = HEADER_BYTES
        while (found := reader.record(offset) or reader.next(offset, reader.size)) is not None:
            if found.location.offset != offset:
                yield f"  {offset}: {found.location.offset - offset} bytes hold no record"
            offset = found.location.offset + found.location.length
            if kind is None or Kind(found.header.kind).name.lower() == kind:
                yield "  " + _describe(found)
    disk.close()


def _describe(found: Found) -> str:
    header, location = found.header, found.location
    front = f"{location.offset}: seq {header.seq}, {location.length} bytes, "
    match header.kind:
        case Kind.ROW:
            row = decode_meta(found.meta, found.payload)
            flags = ", ".join(name for bit, name in FLAG_NAMES.items() if row.flags & bit) or "-"
            stamp = f"{row.stamp.time_us}.{row.stamp.writer}"
            return (
                f"{front}row {row.key.table.hex()}/{row.key.shard} {row.key.name!r} at {stamp} {flags} {row.size} bytes"
            )
        case Kind.BLOCK:
            key, owner = decode_block(found.meta)
            return f"{front}block {key.block}/{key.fragment} of {key.data_id.hex()} for {owner.name!r}"
        case Kind.REFERENCE:
            key, owner = decode_block(found.meta)
            at = decode_target(found.meta).location
            return (
                f"{front}block {key.block}/{key.fragment} of {key.data_id.hex()} for {owner.name!r}, "
                f"the payload at {at.offset} of segment {at.segment:016x}"
            )
        case Kind.PREVIOUS_SEGMENT:
            previous = decode_previous(found.meta)
            return f"{front}segment {previous.segment:016x} before this ends at {previous.end}, seq {previous.seq}"
    return f"{front}kind {header.kind}"
