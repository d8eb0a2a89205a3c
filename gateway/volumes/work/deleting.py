"""Volumes go, and their snapshots with them where that is said; and they get larger."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gateway.rest.task_records import Task
from gateway.rest.task_runner import Work
from gateway.volumes import amounts
from gateway.volumes.records import GIB, Volume, volume_name
from gateway.volumes.work.snapshots import remove_snapshot
from gateway.volumes.work.telling import telling
from gateway.volumes.work.worker import Worker
from store.core.errors import NotFoundError
from store.registry import Delete

DELETE: Final = "delete-volume"
EXTEND: Final = "extend-volume"


def kinds(worker: Worker) -> dict[str, Work]:
    """`volume` is its id; `size` what it is extended to, in GiB."""

    async def delete(task: Task) -> None:
        await remove_volume(worker, task, task.arguments["volume"])

    async def extend(task: Task) -> None:
        id_, size = task.arguments["volume"], task.arguments["size"]
        if await worker.volume_progress.current(id_, task) is not None:
            if (await worker.store.row(volume_name(id_))).size < size * GIB:
                await worker.store.resize(volume_name(id_), size * GIB)
            await worker.servers.grown(id_, size)
            await worker.volume_progress.end(id_, task, lambda now: replace(now, size=size))

    async def failed(task: Task, why: str) -> None:
        await worker.volume_progress.fail(task.arguments["volume"], task, why)

    return {DELETE: telling(delete, failed), EXTEND: telling(extend, failed)}


async def _offer(worker: Worker, volume: Volume) -> list[Delete]:
    """What goes with a volume that is offered to another project."""
    if volume.transfer_id is None:
        return []
    try:
        return worker.transfers.deletes((await worker.transfers.find(volume.transfer_id)).record)
    except NotFoundError:
        return []


async def remove_volume(worker: Worker, task: Task, id_: str) -> None:
    """With what it takes of the quota. Snapshots that are there are the task's, too: it marked them. With
    `leave` it is only forgotten here."""
    found = await worker.volume_progress.current(id_, task)
    if found is None:
        return
    for snapshot in await worker.snapshots.of_volume(id_):
        await remove_snapshot(worker, task, snapshot)
    if not task.arguments.get("leave"):
        await worker.delete(volume_name(id_))
    for former in found.record.former:
        await worker.delete(former)
    volume = found.record
    along = await _offer(worker, volume)
    await worker.volume_progress.remove(id_, task, amounts.of_volume(volume.size, volume.type_id), along)
