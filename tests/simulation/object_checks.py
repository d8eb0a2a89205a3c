"""What must be true of a whole store at rest: its objects, listings and counts, and that nothing is left over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from store.core.errors import NotFoundError
from store.device.block import parse_key
from store.device.row import SYSTEM, decode_value, key_shard
from store.engine.check import check_device
from store.engine.device import Device
from store.objects.block_lengths import BlockLengths
from store.objects.model import Container, ListingQuery, ObjectEntry
from store.objects.rowcodec import decode_object
from store.objects.store import DeviceStore
from store.replicator.restore import Restorer
from store.ring import ROWS
from tests.simulation.engine_checks import EVERYTHING, WrongError
from tests.simulation.node import SimNode
from tests.simulation.object_model import Register, Value, find
from tests.simulation.world import now

Model = dict[tuple[str, str], Register]
"""By container and name."""


class Whole(Protocol):
    """Devices, and a store that uses them all."""

    @property
    def store(self) -> DeviceStore: ...

    @property
    def devices(self) -> Mapping[int, Device]: ...


async def read_value(store: DeviceStore, container: Container, name: str) -> tuple[str | None, bytes]:
    """(mark, data) of an object; None where there is none."""
    try:
        async with store.open(container, name) as opened:
            pieces = [bytes(piece) async for piece in opened.read()]
            data = b"".join(pieces)
            if len(data) != opened.info.size:
                raise WrongError(f"{name}: {len(data)} bytes of {opened.info.size}")
            return opened.info.head.headers["mark"], data
    except NotFoundError:
        return None, b""


def judge(name: str, allowed: set[Value | None], mark: str | None, data: bytes, at: float) -> Value | None:
    """The value that was shown. Raises WrongError if it may not be."""
    right, value = find(allowed, mark, at)
    if not right:
        raise WrongError(f"{name} shows {mark}, which is none of {allowed}")
    if value is not None and mark is not None and data != value.data():
        raise WrongError(f"{name} shows other bytes than were written as {mark}")
    return value


async def check_objects(node: SimNode, containers: list[Container], model: Model, *, settled: bool) -> None:
    """Every object and every listing, and once writes have settled every count; decides the model."""
    for container in containers:
        shown, expired = await _read_all(node.store, container, model)
        await _check_listing(node.store, container, shown)
        if settled:
            await _check_usage(node.store, container, list(shown.values()), expired)


async def _read_all(store: DeviceStore, container: Container, model: Model) -> tuple[dict[str, Value], list[Value]]:
    """What is shown of a container by name, and what of it has expired."""
    shown = {}
    expired = []
    for (held_by, name), register in model.items():
        if held_by == container.name:
            mark, data = await read_value(store, container, name)
            value = judge(name, {register.current, *register.pending}, mark, data, now())
            register.shown(value)
            if mark is not None and value is not None:
                shown[name] = value
            elif value is not None:
                expired.append(value)
    return shown, expired


async def _check_listing(store: DeviceStore, container: Container, shown: dict[str, Value]) -> None:
    listed = []
    marker = ""
    while page := await store.list_objects(container, ListingQuery(limit=3, marker=marker)):
        listed += page
        marker = page[-1].name
    names = sorted(shown, key=str.encode)
    if [entry.name for entry in listed] != names:
        raise WrongError(f"{container.name} lists {[entry.name for entry in listed]}, but has {names}")
    for entry in listed:
        if not isinstance(entry, ObjectEntry) or entry.size != shown[entry.name].size:
            raise WrongError(f"{container.name} lists {entry}, but has {shown[entry.name]}")


async def _check_usage(store: DeviceStore, container: Container, shown: list[Value], expired: list[Value]) -> None:
    """The count is exact, but for what has expired and may be deleted or not."""
    usage = await store.container_usage(container)
    count, size = len(shown), sum(value.size for value in shown)
    more = sum(value.size for value in expired)
    if not (count <= usage.objects <= count + len(expired) and size <= usage.bytes <= size + more):
        raise WrongError(f"{container.name} counts {usage}, but has {count} objects and {size} bytes")


async def lacking(node: Whole) -> list[str]:
    """Rows and blocks that a replica or a device should have and has not, hints not yet replayed, and damage."""
    found = []
    store = node.store
    ring = store.rows.ring
    devices = {number: device for number, device in node.devices.items() if device.health.failed is None}
    for device in devices.values():
        found += [f"device {device.id} keeps hints for {number}" for number in await device.hinted()]
        found += [f"device {device.id}: {problem}" for problem in await problems_of(device)]
        for packed, row in (await device.walk_rows(b"", EVERYTHING))[0]:
            ring_hash = key_shard(packed)[0]
            if row.name[:1] == SYSTEM or device.id not in ring.in_sync(ROWS, ring_hash):
                continue
            for replica in ring.in_sync(ROWS, ring_hash):
                there = devices.get(replica)
                stamp = None if there is None else await there.find_stamp(packed)
                if stamp is None or stamp < row.stamp:
                    found.append(f"device {replica} has not row {row.name!r} of device {device.id}")
            data_location = Restorer.data_location(row)
            if data_location is None:
                continue
            blocks = BlockLengths(data_location, row.size).count
            for position, number in enumerate(data_location.devices):
                if number in devices and number in ring.devices:
                    held = set(await devices[number].has_blocks(row.data_id))
                    wanted = {(block, position if data_location.k else 0) for block in range(blocks)}
                    if not wanted <= held:
                        found.append(f"device {number} has not blocks {wanted - held} of {row.name!r}")
    return found


def check_nothing_left(node: Whole) -> None:
    """After the daemons: no notes, no marks, no tombstones, and no block that no row names."""
    named: set[tuple[int, bytes]] = set()
    for device in node.devices.values():
        for packed, value in device.merged_index.range(b"r", b"s", EVERYTHING):
            row = decode_value(packed, value)
            if row.name[:1] == SYSTEM:
                raise WrongError(f"device {device.id} keeps the mark {row.name.hex()}")
            if row.data_id:
                data_location = decode_object(row.summary, node.store.rows.stamps.next()).data_location
                assert data_location is not None
                named.update((number, row.data_id) for number in data_location.devices)
    for device in node.devices.values():
        row_table = device.row_table
        for what, left in (
            ("garbage", row_table.garbage(b"", EVERYTHING)),
            ("hints", device._hints.devices()),
            ("retired tombstones", row_table.retired(b"", EVERYTHING)),
            ("uploads", row_table.uploads(b"", EVERYTHING)),
            ("tombstones", row_table.tombstones(b"", EVERYTHING)),
        ):
            if left:
                raise WrongError(f"device {device.id} keeps {what}: {left}")
        blocks = [parse_key(packed) for packed, _ in device.merged_index.range(b"d", b"e", EVERYTHING)]
        orphans = [key for key in blocks if (device.id, key.data_id) not in named]
        if orphans:
            raise WrongError(f"device {device.id} keeps blocks that nobody names: {orphans}")


async def check_devices(node: Whole) -> None:
    """Each device by itself."""
    for device in node.devices.values():
        problems = await problems_of(device)
        if problems:
            raise WrongError(f"device {device.id}: " + "; ".join(problems))
        if not device.in_sync:
            raise WrongError(f"device {device.id} is not in sync")
        if device.health.damages and not LEAKS.allowed:
            raise WrongError(f"device {device.id}: damage where there is none: {device.health.damage}")


class LEAKS:
    """Where entries of an index were damaged, the space of their records is known to nobody, and stays in use until the
    index is made anew: then more is noted than counted."""

    allowed = False


async def problems_of(device: Device) -> list[str]:
    """What a check of one device finds, twice: a daemon that writes while it counts is no problem."""
    problems = (await check_device(device)).problems
    if problems:
        again = (await check_device(device)).problems
        problems = [problem for problem in again if problem in problems]
    return [problem for problem in problems if not (LEAKS.allowed and problem.startswith(("segment ", "references ")))]
