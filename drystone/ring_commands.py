"""`drystone ring`: see where things live, and change it in two steps. Changes are staged; nothing moves before
`apply`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import click
import trio

from drystone.device_records import DeviceRecord, load_records
from drystone.layouts import Change, Staged, Stored, load_ring, load_staged, publish_layout, stage, unstage_all
from store.core.errors import ConflictError, DrystoneError
from store.registry import Registry
from store.ring import ROWS, Layout, Plan, Ring, plan, report


@dataclass(frozen=True)
class RingAccess:
    """What the commands need; the click context's `obj`. `registry` opens the registry for one command."""

    registry: Callable[[], AbstractAsyncContextManager[Registry]]
    cluster_key: bytes
    check_device: Callable[[str, int], None] = lambda _label, _number: None
    """Raises InvalidError unless the device of this number lies in the folder of this label."""
    node: str = ""
    """The name of this node, whose devices alone can be looked at; empty on a machine alone."""


def ring_group() -> click.Group:
    """The group `ring`; its context's `obj` must be a RingAccess."""
    group = click.Group("ring", help="Devices, weights, and what lives where.")
    for command in (show, add, remove, weight, width, overload, unstage, show_plan, apply):
        group.add_command(command)
    return group


def _run(access: RingAccess, work: Callable[[Registry], Awaitable[str]]) -> None:
    async def main() -> str:
        async with access.registry() as registry:
            return await work(registry)

    try:
        click.echo(trio.run(main))
    except DrystoneError as error:
        raise click.ClickException(str(error)) from error


@click.command()
@click.pass_obj
def show(access: RingAccess) -> None:
    """Devices, how evenly and how far apart copies stand, open changes."""

    async def work(registry: Registry) -> str:
        stored, staged = await load_ring(registry, access.cluster_key), await load_staged(registry)
        parts = ["There is no ring yet: add devices, then apply."] if stored.ring is None else _describe(stored.ring)
        if stored.ring is not None:
            parts += _describe_moved(stored.ring, await load_records(registry))
        if staged.changes:
            parts.append(_describe_staged(staged))
        return "\n\n".join(parts)

    _run(access, work)


@click.command()
@click.option("--region", type=int, default=1, show_default=True)
@click.option("--zone", type=int, default=1, show_default=True, help="What fails together: a rack, a room, a fuse.")
@click.option("--machine", default="localhost", show_default=True)
@click.option("--weight", type=float, default=1.0, show_default=True, help="Its share, in any unit; say, terabytes.")
@click.argument("label")
@click.pass_obj
def add(access: RingAccess, region: int, zone: int, machine: str, weight: float, label: str) -> None:
    """Stage the device in LABEL: the path of its folder, absolute or below the data folder.

    The folder must hold a device that 'drystone device add' has made, which stages it too: this is for doing that
    again, after 'drystone ring unstage' or with other options.
    """
    _stage(access, Change("add", (region, zone, machine, weight, label)))


@click.command()
@click.argument("device", type=int)
@click.pass_obj
def remove(access: RingAccess, device: int) -> None:
    """Stage that DEVICE (its id) is gone. To empty a living one first: weight DEVICE 0."""
    _stage(access, Change("remove", (device,)))


@click.command()
@click.argument("device", type=int)
@click.argument("weight", type=float)
@click.pass_obj
def weight(access: RingAccess, device: int, weight: float) -> None:
    """Stage a new WEIGHT for DEVICE; 0 empties it."""
    _stage(access, Change("weight", (device, weight)))


@click.command()
@click.argument("copies", type=int)
@click.pass_obj
def width(access: RingAccess, copies: int) -> None:
    """Stage that a policy needs COPIES replicas: its replicas, or its data and parity fragments together."""
    _stage(access, Change("width", (copies,)))


@click.command()
@click.argument("factor", type=float)
@click.pass_obj
def overload(access: RingAccess, factor: float) -> None:
    """Stage by which FACTOR of its fair share a device may be over it to keep copies apart (0.1: a tenth)."""
    _stage(access, Change("overload", (factor,)))


def _stage(access: RingAccess, change: Change) -> None:
    async def work(registry: Registry) -> str:
        stored, before = await load_ring(registry, access.cluster_key), await load_staged(registry)
        after = Staged((*before.changes, change), before.revision)
        # Made once now, so that what cannot be made is refused here and not at the end.
        _check_devices(access, stored, after, await load_records(registry))
        await stage(registry, before, change)
        return _describe_staged(after)

    _run(access, work)


@click.command()
@click.pass_obj
def unstage(access: RingAccess) -> None:
    """Forget all staged changes."""

    async def work(registry: Registry) -> str:
        staged = await load_staged(registry)
        await unstage_all(registry, staged)
        return f"{len(staged.changes)} staged changes forgotten."

    _run(access, work)


@click.command("plan")
@click.pass_obj
def show_plan(access: RingAccess) -> None:
    """Show what the staged changes would move."""

    async def work(registry: Registry) -> str:
        stored, staged = await load_ring(registry, access.cluster_key), await load_staged(registry)
        return "\n\n".join(_describe_next(stored, _next_layout(stored, staged)))

    _run(access, work)


@click.command()
@click.option("--during-change", is_flag=True, help="Even though the change before has not come to its end.")
@click.option("--accept-loss", is_flag=True, help="Even though removed devices held quorums of some partitions.")
@click.pass_obj
def apply(access: RingAccess, during_change: bool, accept_loss: bool) -> None:
    """Make the staged changes: a new layout that devices begin to sync."""

    async def work(registry: Registry) -> str:
        stored, staged = await load_ring(registry, access.cluster_key), await load_staged(registry)
        layout = _next_layout(stored, staged)
        _check_devices(access, stored, staged, await load_records(registry))
        if stored.ring is not None:
            if len(stored.ring.live) > 1 and not during_change:
                raise ConflictError(
                    "the change before is not done yet (see `ring show`); --during-change starts this one all the same"
                )
            if plan(stored.ring.newest, layout).quorums_lost and not accept_loss:
                raise ConflictError(
                    "the devices removed hold quorums of some partitions, whose newest rows may be lost with them "
                    "(see `ring plan`); --accept-loss goes on"
                )
        await publish_layout(registry, access.cluster_key, stored, layout, applied=staged)
        done = (
            f"Layout {layout.version} is published. When it is done ('drystone ring show'), plan again: a partition "
            "gives up one copy at a time."
        )
        return "\n\n".join([*_describe_next(stored, layout), done])

    _run(access, work)


def _next_layout(stored: Stored, staged: Staged) -> Layout:
    # The seed is the version: what plan shows is what apply makes.
    seed = stored.ring.newest.version + 1 if stored.ring else 1
    return staged.builder(stored.ring).rebalance(seed)


def _check_devices(access: RingAccess, stored: Stored, staged: Staged, records: Mapping[int, DeviceRecord]) -> None:
    """Make the staged changes once. Raises what they raise, and InvalidError for a new device whose folder is none.
    Those of other nodes have been looked at there."""
    known = stored.ring.newest.devices if stored.ring else {}
    for number, device in staged.builder(stored.ring).devices.items():
        if number not in known and (number not in records or records[number].node == access.node):
            access.check_device(device.label, number)


def _describe_moved(ring: Ring, records: Mapping[int, DeviceRecord]) -> list[str]:
    """Devices that were made anew in another place than the ring names."""
    return [
        f"Device {number} lies in {records[number].label} now."
        for number, device in sorted(ring.devices.items())
        if number in records and records[number].label != device.label
    ]


def _describe_staged(staged: Staged) -> str:
    lines = [f"  {change.action} {' '.join(map(str, change.arguments))}" for change in staged.changes]
    return "\n".join(["Staged, not applied:", *lines])


def _describe(ring: Ring) -> list[str]:
    parts = _describe_layout(ring.newest)
    if len(ring.live) > 1:
        live = ", ".join(str(layout.version) for layout in ring.live)
        parts.append(f"A change is open. Live layouts: {live}; reads ask {ring.reading.version}.")
        waiting = [
            f"Layout {layout.version} waits for devices to sync: {_ids(ring.unsynced(layout.version))}"
            for layout in ring.live
            if ring.unsynced(layout.version)
        ]
        if ring.unenforced():
            waiting.append(f"Older layouts wait for devices to confirm: {_ids(ring.unenforced())}")
        parts += waiting
    return parts


def _describe_layout(layout: Layout) -> list[str]:
    head = f"Layout {layout.version}: {layout.partitions:,} partitions, rows on {layout.row_width} devices each."
    if layout.row_width < 3:
        head += f" Fewer than 3 devices have weight, so rows survive the loss of {(layout.row_width - 1) // 2}."
    loads = [(load.device, load.copies, load.percent_off) for load in report(layout, ROWS).loads]
    devices = _table(
        ("id", "region", "zone", "machine", "label", "weight", "partitions", "off fair share"),
        [
            (d.id, d.region, d.zone, d.machine, d.label, f"{d.weight:g}", copies, _percent_off(off))
            for d, copies, off in loads
        ],
    )
    reports = [report(layout, width) for width in sorted(layout.tables)]
    quality = _table(
        ("table", "copies", "balance", "crowded regions", "zones", "machines"),
        [
            (
                "rows" if found.width == ROWS else f"{found.width} copies",
                found.copies,
                f"{found.balance:.2f} %",
                *(f"{found.crowded[tier]:.2f} %" for tier in ("region", "zone", "machine")),
            )
            for found in reports
        ],
    )
    return [head, devices, quality]


def _describe_next(stored: Stored, layout: Layout) -> list[str]:
    if stored.ring is None:
        return ["The first layout; nothing moves.", *_describe_layout(layout)]
    return [*describe_plan(plan(stored.ring.newest, layout)), *_describe_layout(layout)]


def describe_plan(moves: Plan) -> list[str]:
    """What moves, and what would be lost."""
    parts = [
        f"From layout {moves.before} to {moves.after}: {moves.moved:,} of {moves.copies:,} copies of partitions move "
        f"({moves.percent:.2f} %)."
    ]
    if moves.flows:
        rows = [
            (
                "rows" if flow.width == ROWS else f"{flow.width} copies",
                "-" if flow.source is None else flow.source,
                "-" if flow.target is None else flow.target,
                flow.copies,
            )
            for flow in moves.flows
        ]
        parts.append(_table(("table", "from device", "to device", "copies"), rows))
    parts += [
        f"WARNING: {count:,} partitions of table {'rows' if width == ROWS else width} lose their quorum with the "
        "devices removed; their newest writes may be lost."
        for width, count in moves.quorums_lost.items()
    ]
    return parts


def _percent_off(off: float) -> str:
    return "being emptied" if off == float("inf") else f"{off:+.2f} %"


def _ids(devices: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(devices)))


def _table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as they must be; numbers to the right, all else to the left."""
    cells = [list(headings), *([f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [bool(rows) and all(isinstance(row[index], int) for row in rows) for index in range(len(headings))]
    return "\n".join(
        "  ".join(
            cell.rjust(size) if to_right else cell.ljust(size)
            for cell, size, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in cells
    )
