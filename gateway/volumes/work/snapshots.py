"""Snapshots are made, and go."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gateway.rest.task_records import Task
from gateway.rest.task_runner import Work
from gateway.volumes import amounts
from gateway.volumes.records import Snapshot
from gateway.volumes.work.telling import telling
from gateway.volumes.work.worker import Worker
from store.core.errors import NotFoundError

CREATE: Final = "create-snapshot"
DELETE: Final = "delete-snapshot"


def kinds(worker: Worker) -> dict[str, Work]:
    """`snapshot` is its id."""

    async def create(task: Task) -> None:
        id_ = task.arguments["snapshot"]
        found = await worker.snapshot_progress.current(id_, task)
        if found is None:
            return
        volume, name = found.record.store_volume, found.record.store_snapshot
        await worker.snapshot(found.record.volume_id, name)
        await worker.snapshot_progress.end(id_, task, lambda now: now)
        try:
            await worker.snapshots.find(id_)
        except NotFoundError:
            await worker.delete_snapshot(volume, name)  # it was deleted while it was made

    async def delete(task: Task) -> None:
        """With `leave` it is only forgotten here."""
        found = await worker.snapshot_progress.current(task.arguments["snapshot"], task)
        if found is not None and task.arguments.get("leave"):
            one = found.record
            await worker.snapshot_progress.remove(one.id, task, amounts.of_snapshot(one.size, one.type_id))
        elif found is not None:
            await remove_snapshot(worker, task, found.record)

    async def created_not(task: Task, why: str) -> None:
        await worker.snapshot_progress.fail(task.arguments["snapshot"], task, why, keep=True)

    async def deleted_not(task: Task, why: str) -> None:
        await worker.snapshot_progress.fail(task.arguments["snapshot"], task, why)

    return {CREATE: telling(create, created_not), DELETE: telling(delete, deleted_not)}


async def remove_snapshot(worker: Worker, task: Task, snapshot: Snapshot) -> None:
    """With what it takes of the quota. The store's volume that it was the last snapshot of goes, too, where it is not
    the present one any more."""
    await worker.delete_snapshot(snapshot.store_volume, snapshot.store_snapshot)
    if snapshot.holder:
        others = await worker.snapshots.of_volume(snapshot.volume_id)
        if not any(one.holder == snapshot.holder and one.id != snapshot.id for one in others):
            await worker.delete(snapshot.holder)
            await _forget_former(worker, snapshot)
    await worker.snapshot_progress.remove(snapshot.id, task, amounts.of_snapshot(snapshot.size, snapshot.type_id))


async def _forget_former(worker: Worker, snapshot: Snapshot) -> None:
    await worker.volumes.change(
        snapshot.volume_id,
        lambda now: replace(now, former=tuple(one for one in now.former if one != snapshot.holder)),
    )
