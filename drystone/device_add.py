"""`drystone device add` and `retry`: the only way in which a device is made once a data folder is in use."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

import click
import trio

from drystone.access import Access, data_option
from drystone.cluster import Cluster, read_cluster
from drystone.control_client import read_status, retry_device, serving
from drystone.device_copies import RingCopy
from drystone.device_folder import check_new, clear_made, make_in
from drystone.device_records import DeviceRecord, load_records, put_record, save_records
from drystone.folder import DataFolder
from drystone.layouts import Change, Stored, load_ring, load_staged, stage
from drystone.node_identity import find_identity
from store.core.entropy import SystemRandom
from store.core.errors import ConflictError, DamageError, DeviceError, DrystoneError, InvalidError, NotFoundError
from store.engine.folder import find_superblock
from store.engine.options import Options
from store.registry import Registry
from store.ring import Ring

TRIES: Final = 5

_SERVES = ("ok", "full", "rejoining")


@click.command()
@click.option("--in-place-of", type=int, metavar="N", help="The new device takes the place of device N, which is lost.")
@click.option("--region", type=int, help="[default: that of the node, or 1]")
@click.option("--zone", type=int, help="What fails together: a rack, a room, a fuse.  [default: as above]")
@click.option("--machine", help="[default: that of the node, or localhost]")
@click.option("--weight", type=float, default=1.0, show_default=True, help="Its share, in any unit; say, terabytes.")
@click.argument("path", type=click.Path(file_okay=False))
@data_option
@click.pass_obj
def add(
    access: Access,
    path: str,
    in_place_of: int | None,
    region: int | None,
    zone: int | None,
    machine: str | None,
    weight: float,
) -> None:
    """Make a device of the folder PATH, which must be there and empty: mount its disk first.

    A new device is staged: 'drystone ring plan' shows what would move, 'drystone ring apply' puts it to use. With
    --in-place-of nothing is staged: the device is filled from the others as soon as it is opened.
    """

    async def work() -> str:
        node = find_identity(access.folder)
        async with access.registry() as registry:
            adding = _Adding(access.folder, read_cluster(access.folder), registry, path, node.name if node else "")
            if in_place_of is not None:
                return await adding.in_place_of(in_place_of)
            return await adding.new(
                region if region is not None else node.region if node else 1,
                zone if zone is not None else node.zone if node else 1,
                machine or (node.machine if node else "localhost"),
                weight,
            )

    try:
        click.echo(trio.run(work))
    except (DrystoneError, OSError) as error:
        raise click.ClickException(str(error)) from error


@click.command()
@click.argument("number", type=int)
@data_option
@click.pass_obj
def retry(access: Access, number: int) -> None:
    """Have the running process try device NUMBER now, if it is out or missing; it does that by itself as well."""
    retry_device(access.folder, number)
    click.echo(f"Device {number} is tried; see 'drystone status'.")


class _Adding:
    """Makes one device."""

    def __init__(self, folder: DataFolder, cluster: Cluster, registry: Registry, path: str, node: str) -> None:
        self._node = node
        self._folder = folder
        self._cluster = cluster
        self._registry = registry
        self._path = os.path.abspath(path)
        self._label = folder.label(path)

    async def new(self, region: int, zone: int, machine: str, weight: float) -> str:
        """Again where the ring has taken a step meanwhile, as it does by itself."""
        for _ in range(TRIES - 1):
            with suppress(ConflictError):
                return await self._new(region, zone, machine, weight)
        return await self._new(region, zone, machine, weight)

    async def _new(self, region: int, zone: int, machine: str, weight: float) -> str:
        stored, records = await self._known()
        ring = stored.ring
        assert ring is not None
        staged = await load_staged(self._registry)
        builder = staged.builder(ring)
        for number, device in builder.devices.items():
            if self._is_here(number, records) and self._place(number, device.label, records) == self._path:
                raise InvalidError(f"{self._path} is device {number} already, or staged to be")
        change = Change("add", (region, zone, machine, weight, self._label))
        number = builder.add(region, zone, machine, weight, self._label).id
        record = self._make(number, ring, records)
        try:
            await stage(self._registry, staged, change, stored, [put_record(number, record)])
        except ConflictError:
            clear_made(self._path)
            raise
        return (
            f"{self._path} is device {number}, staged and not yet in use.\n"
            "'drystone ring plan' shows what would move, 'drystone ring apply' puts it to use."
        )

    async def in_place_of(self, number: int) -> str:
        stored, records = await self._known()
        ring = stored.ring
        assert ring is not None
        if number not in ring.devices:
            known = ", ".join(map(str, sorted(ring.devices)))
            raise NotFoundError(f"the ring has no device {number} (it has: {known})")
        self._need_lost(number, self._place(number, ring.devices[number].label, records))
        for other, device in ring.devices.items():
            if other == number or not self._is_here(other, records):
                continue
            if self._place(other, device.label, records) == self._path:
                raise InvalidError(f"{self._path} is device {other}")
        await save_records(self._registry, {number: self._make(number, ring, records)})
        if serving(self._folder):
            return f"{self._path} is device {number} now, empty. The running process fills it from the others."
        return f"{self._path} is device {number} now, empty. It is filled from the others after the next start."

    async def _known(self) -> tuple[Stored, dict[int, DeviceRecord]]:
        stored = await load_ring(self._registry, self._cluster.key)
        if stored.ring is None:
            raise DamageError(self._folder.lost("ring"))
        return stored, await load_records(self._registry)

    def _place(self, number: int, label: str, records: dict[int, DeviceRecord]) -> str:
        return self._folder.device(records[number].label if number in records else label)

    def _is_here(self, number: int, records: dict[int, DeviceRecord]) -> bool:
        """Whether this node has it: paths are those of one machine."""
        return number not in records or records[number].node == self._node

    def _need_lost(self, number: int, place: str) -> None:
        """Raises ConflictError where device N is still there: an empty one must not take a good one's place."""
        advice = "to move it to another disk, add that as a new device, and give this one the weight 0"
        if serving(self._folder):
            states = {device["device"]: device["state"] for device in read_status(self._folder)["devices"]}
            if states.get(number) in _SERVES:
                raise ConflictError(f"device {number} serves: {advice}")
            return
        try:
            found = find_superblock(place)
        except DeviceError:
            return
        if (found.cluster, found.device) == (self._cluster.id, number):
            raise ConflictError(f"device {number} is still in {place}: {advice}; if it is broken, move it away")

    def _make(self, number: int, ring: Ring, records: dict[int, DeviceRecord]) -> DeviceRecord:
        """What the registry is to be told of it, last: what it says is there, is there."""
        self._clear_unused()
        check_new(self._path, Options())
        copy = RingCopy(0, ring, records)
        made = make_in(self._path, number, self._cluster, copy, SystemRandom(), in_sync=False)
        return DeviceRecord(made.incarnation, in_sync=False, label=self._label, node=self._node)

    def _clear_unused(self) -> None:
        """A device of this cluster that was made here before, and never came into the ring, is made anew."""
        try:
            found = find_superblock(self._path)
        except DeviceError:
            return
        if found.cluster == self._cluster.id:
            clear_made(self._path)
