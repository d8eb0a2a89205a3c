"""Backups are restored: to a new volume, or to one that is there.

What the volume is to be is made beside it, from the full backup to the one that is asked for, and is compared with the
hashes of that one. Only then it takes the volume's place: one that could not be restored is what it was before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from gateway.rest.task_records import Task
from gateway.rest.task_runner import Work
from gateway.rest.tasks import Tasks
from gateway.volumes.backup_records import Backup
from gateway.volumes.reading import TEXT_MAX
from gateway.volumes.records import GIB, Volume, volume_name
from gateway.volumes.work.backup_hashes import read_hashes
from gateway.volumes.work.backup_reading import Contents, apply, read_contents, verify
from gateway.volumes.work.backups import fail_backup, objects_of
from gateway.volumes.work.replacing import replace_contents
from gateway.volumes.work.telling import said, telling_why
from gateway.volumes.work.worker import Worker
from store.core.errors import DrystoneError, InvalidError, NotFoundError

RESTORE: Final = "restore-backup"
CHAIN_MAX: Final = 1000
TEXTS_MAX: Final = 256
"""Texts of each kind that a volume gets of what was backed up."""
NAMED: Final = "restore_backup_"
"""How the names of volumes begin that a restore makes."""


def kinds(worker: Worker) -> dict[str, Work]:
    """`backup` and `volume` are the ids of what is restored and of where to."""

    async def restore(tasks: Tasks, task: Task) -> None:
        id_ = task.arguments["backup"]
        backup = (await worker.backups.find(id_)).record
        if await worker.volume_progress.current(task.arguments["volume"], task) is not None:
            contents = await read_contents(objects_of(worker, backup), backup.size * GIB)

            async def fill(volume: Volume, new: str) -> None:
                await _fill(worker, tasks, task, backup, volume, new)

            await replace_contents(worker, task, fill, lambda volume: _described(volume, contents))
        await worker.delete_if_forgotten(task.arguments["volume"])
        await worker.backup_progress.end(id_, task, lambda now: replace(now, fail_reason=None))

    async def restored_not(task: Task, error: DrystoneError) -> None:
        id_ = task.arguments["volume"]
        name = volume_name(id_)
        if await worker.exists(name) or not await worker.exists(f"{name}-before-{task.id}"):
            await worker.delete(f"{name}-new-{task.id}")
        await worker.volume_progress.fail(id_, task, said(error), keep=True)
        await worker.delete_if_forgotten(id_)
        await fail_backup(worker, task, error)

    return {RESTORE: telling_why(restore, restored_not)}


async def _fill(worker: Worker, tasks: Tasks, task: Task, backup: Backup, volume: Volume, new: str) -> None:
    """Make a volume of the store that is what was backed up."""
    await worker.delete(new)  # what a death left of it
    await worker.create(volume, new)
    chain = await _chain(worker, backup)
    async with worker.store.open(new) as disk:
        for number, one in enumerate(chain):
            objects = objects_of(worker, one)
            contents = await read_contents(objects, one.size * GIB)
            count = len(contents.entries)

            async def progress(done: int, number: int = number, count: int = count) -> None:
                nonlocal task
                percent = (number * 100 + done * 100 // count) // len(chain)
                if percent > task.percent:
                    task = await tasks.progress(task, percent=percent)

            await apply(objects, contents, disk, progress, fresh=number == 0)
        objects = objects_of(worker, backup)
        async with objects.reading(objects.hashes_name) as pieces:
            hashes = await read_hashes(pieces)
        await verify(disk, backup.size * GIB, hashes)
        await disk.flush()


async def _chain(worker: Worker, backup: Backup) -> list[Backup]:
    """From the full backup on. Raises InvalidError where one of them is not there."""
    chain = [backup]
    while (parent := chain[-1].parent_id) is not None:
        try:
            found = (await worker.backups.find(parent, backup.project_id)).record
        except NotFoundError as error:
            raise InvalidError(f"The backup {parent}, which this one goes on from, is missing.") from error
        if found.project_id != backup.project_id or found.id in {one.id for one in chain} or len(chain) == CHAIN_MAX:
            raise InvalidError("The backups that this one goes on from cannot be followed.")
        chain.append(found)
    return chain[::-1]


def _described(volume: Volume, contents: Contents) -> Volume:
    """With what is known of the volume that was backed up. A volume that was given a name keeps it."""
    base = contents.volume.get("volume-base-metadata", {})
    after = volume
    if base.get("display_name") and (not volume.name or volume.name.startswith(NAMED)):
        after = replace(after, name=_text(base["display_name"]), description=_text(base.get("display_description")))
    metadata, image = (_texts(contents.volume.get(kind)) for kind in ("volume-metadata", "volume-glance-metadata"))
    if metadata:
        after = replace(after, metadata=metadata)
    return replace(after, image=image, bootable=True) if image else after


def _text(value: Any) -> str | None:
    """As it can be kept: anybody of the project may have written it."""
    return None if value is None else str(value)[:TEXT_MAX].encode("utf-8", "replace").decode()


def _texts(held: dict[str, Any] | None) -> dict[str, str]:
    some = list((held or {}).items())[:TEXTS_MAX]
    return {_text(key) or "": _text(value) or "" for key, value in some}
