"""What is in a volume is replaced as a whole: by what it was, by an image, by a copy under another storage policy.

What is to be in it is made beside it and takes its name; what it was until then is kept as long as snapshots are in it.
So each of these takes constant time where it is a clone, and a death leaves the volume as it was or as it is to be.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from gateway.rest.images import ImageFacts
from gateway.rest.task_records import Task
from gateway.rest.task_runner import Work
from gateway.volumes import amounts
from gateway.volumes.records import Volume, volume_name
from gateway.volumes.work.creating import check_fits, with_image
from gateway.volumes.work.telling import telling
from gateway.volumes.work.worker import Worker
from store.core.errors import NotFoundError

REVERT: Final = "revert-volume"
REWIND: Final = "rewind-volume"
REIMAGE: Final = "reimage-volume"
RETYPE: Final = "retype-volume"

Fill = Callable[[Volume, str], Awaitable[None]]


def kinds(worker: Worker) -> dict[str, Work]:
    """`volume` is its id; `snapshot`, `time_us`, `image` or `type` what it is to be."""

    async def revert(task: Task) -> None:
        snapshot = (await worker.snapshots.find(task.arguments["snapshot"])).record

        async def fill(volume: Volume, new: str) -> None:
            await worker.fill(volume, new, snapshot.store_volume, snapshot.store_snapshot)

        await replace_contents(worker, task, fill, lambda now: now)
        await worker.snapshot_progress.end(snapshot.id, task, lambda now: now)

    async def rewind(task: Task) -> None:
        async def fill(volume: Volume, new: str) -> None:
            source, between = volume_name(volume.id), f"rewind-{task.id}"
            await worker.snapshot(volume.id, between, task.arguments["time_us"])
            await worker.fill(volume, new, source, between)
            await worker.delete_snapshot(source, between)

        await replace_contents(worker, task, fill, lambda now: now)

    async def reimage(task: Task) -> None:
        facts: ImageFacts = await worker.images.wait_sealed(task.arguments["image"])

        async def fill(volume: Volume, new: str) -> None:
            check_fits(facts, volume.size)
            await worker.fill(volume, new, facts.volume, facts.snapshot)

        await replace_contents(worker, task, fill, lambda now: with_image(replace(now, image={}), facts))

    async def retype(task: Task) -> None:
        type_id = task.arguments["type"]

        async def fill(volume: Volume, new: str) -> None:
            source, between = volume_name(volume.id), f"retype-{task.id}"
            await worker.snapshot(volume.id, between)
            await worker.fill(replace(volume, type_id=type_id), new, source, between)
            await worker.delete_snapshot(source, between)

        await replace_contents(worker, task, fill, lambda now: replace(now, type_id=type_id), frees=True)

    async def failed(task: Task, why: str) -> None:
        await worker.volume_progress.fail(task.arguments["volume"], task, why)
        if task.arguments.get("snapshot"):
            await worker.snapshot_progress.end(task.arguments["snapshot"], task, lambda now: now)

    return {
        REVERT: telling(revert, failed),
        REWIND: telling(rewind, failed),
        REIMAGE: telling(reimage, failed),
        RETYPE: telling(retype, failed),
    }


async def replace_contents(
    worker: Worker, task: Task, fill: Fill, step: Callable[[Volume], Volume], *, frees: bool = False
) -> None:
    """Have `fill` make what is to be in the volume, and the record be what `step` makes of it. `frees`: what the volume
    took of its type's quota is free then."""
    id_ = task.arguments["volume"]
    found = await worker.volume_progress.current(id_, task)
    if found is not None:
        name = volume_name(id_)
        new, former = f"{name}-new-{task.id}", f"{name}-before-{task.id}"
        if await worker.exists(new) or not await worker.exists(former):
            await fill(found.record, new)
            # Another may have ended the task meanwhile, and what was written since is in the volume.
            await worker.tasks.require_own(task)
            await worker.swap(name, new, former)
        for snapshot in await worker.snapshots.of_volume(id_):
            if not snapshot.holder:
                await worker.snapshots.change(snapshot.id, lambda now: replace(now, holder=former))
        was = amounts.of_type(found.record.size, found.record.type_id) if frees else None
        await worker.volume_progress.end(
            id_, task, lambda now: step(replace(now, former=(*now.former, former))), frees=was
        )
    await _drop_former(worker, id_)


async def _drop_former(worker: Worker, id_: str) -> None:
    """Those that no snapshot is in. Only once the record says that the volume is another: before, a death would leave
    nothing to tell what has been done."""
    try:
        volume = (await worker.volumes.find(id_)).record
    except NotFoundError:
        return
    held = {snapshot.holder for snapshot in await worker.snapshots.of_volume(id_)}
    for former in volume.former:
        if former not in held:
            await worker.delete(former)
    await worker.volumes.change(
        id_,
        lambda now: replace(now, former=tuple(one for one in now.former if one in held or one not in volume.former)),
    )
