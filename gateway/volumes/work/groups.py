"""Groups of volumes are made of others and go, and snapshots are made of all volumes of a group at one moment.

The moment was chosen when it was asked for: each volume's snapshot is of what it was then, as its window remembers it,
however long after that it is made. A volume without a window has one of what it is now.
"""

from __future__ import annotations

from typing import Final

from gateway.rest.task_records import Task
from gateway.rest.task_runner import Work
from gateway.volumes.records import volume_name
from gateway.volumes.work.creating import fail_volume, make_volume
from gateway.volumes.work.deleting import remove_volume
from gateway.volumes.work.snapshots import remove_snapshot
from gateway.volumes.work.telling import telling
from gateway.volumes.work.worker import Worker

CREATE: Final = "create-group"
DELETE: Final = "delete-group"
SNAPSHOT: Final = "snapshot-group"
DELETE_SNAPSHOT: Final = "delete-group-snapshot"


def kinds(worker: Worker) -> dict[str, Work]:
    """`group` and `volumes` are the ids of a group and of those in it, which are keys where they are to be made: their
    values are as of `create-volume`. `group_snapshot` and `snapshots` are the same of a group's snapshot, and `time_us`
    is the moment that it is of."""

    async def create(task: Task) -> None:
        for id_, said in task.arguments["volumes"].items():
            found = await worker.volume_progress.current(id_, task)
            if found is not None:
                await make_volume(worker, task, found.record, said)
        await worker.group_progress.end(task.arguments["group"], task, lambda now: now)

    async def created_not(task: Task, why: str) -> None:
        for id_ in task.arguments["volumes"]:
            await fail_volume(worker, task, id_, why)
        await worker.group_progress.fail(task.arguments["group"], task, why, keep=True)

    async def delete(task: Task) -> None:
        for id_ in task.arguments["volumes"]:
            await remove_volume(worker, task, id_)
        await worker.group_progress.remove(task.arguments["group"], task, {"groups": 1})

    async def deleted_not(task: Task, why: str) -> None:
        for id_ in task.arguments["volumes"]:
            await worker.volume_progress.fail(id_, task, why)
        await worker.group_progress.fail(task.arguments["group"], task, why)

    async def snapshot(task: Task) -> None:
        ids = task.arguments["snapshots"]
        for id_ in ids:
            found = await worker.snapshot_progress.current(id_, task)
            if found is not None:
                await _cut(worker, found.record.volume_id, found.record.store_snapshot, task.arguments["time_us"])
        for id_ in ids:
            await worker.snapshot_progress.end(id_, task, lambda now: now)
        await worker.group_snapshot_progress.end(task.arguments["group_snapshot"], task, lambda now: now)

    async def snapshot_not(task: Task, why: str) -> None:
        for id_ in task.arguments["snapshots"]:
            found = await worker.snapshot_progress.current(id_, task)
            if found is not None:
                await worker.delete_snapshot(found.record.store_volume, found.record.store_snapshot)
            await worker.snapshot_progress.fail(id_, task, why, keep=True)
        await worker.group_snapshot_progress.fail(task.arguments["group_snapshot"], task, why)

    async def delete_snapshot(task: Task) -> None:
        for id_ in task.arguments["snapshots"]:
            found = await worker.snapshot_progress.current(id_, task)
            if found is not None:
                await remove_snapshot(worker, task, found.record)
        await worker.group_snapshot_progress.remove(task.arguments["group_snapshot"], task, {})

    async def deleted_snapshot_not(task: Task, why: str) -> None:
        for id_ in task.arguments["snapshots"]:
            await worker.snapshot_progress.fail(id_, task, why)
        await worker.group_snapshot_progress.fail(task.arguments["group_snapshot"], task, why)

    return {
        CREATE: telling(create, created_not),
        DELETE: telling(delete, deleted_not),
        SNAPSHOT: telling(snapshot, snapshot_not),
        DELETE_SNAPSHOT: telling(delete_snapshot, deleted_snapshot_not),
    }


async def _cut(worker: Worker, volume_id: str, name: str, time_us: int) -> None:
    """A snapshot of what a volume was."""
    remembers = (await worker.store.row(volume_name(volume_id))).window_us > 0
    await worker.snapshot(volume_id, name, time_us if remembers else None)
