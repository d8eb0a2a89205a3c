"""Backups are made, and go.

What a backup is made of does not change meanwhile: a snapshot, so a volume in use is backed up, too. The store's
snapshot is kept until a newer backup of the volume is there: it tells what changed since.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from gateway.rest.task_records import Task
from gateway.rest.task_runner import Work
from gateway.rest.tasks import Tasks
from gateway.volumes import amounts
from gateway.volumes.backup_records import Backup, held_name
from gateway.volumes.records import Volume, volume_name
from gateway.volumes.work.backup_hashes import Hashes, read_hashes
from gateway.volumes.work.backup_objects import BackupObjects
from gateway.volumes.work.backup_reading import STOCK, WITH_ZEROS
from gateway.volumes.work.backup_writing import BackupWriter, Written
from gateway.volumes.work.telling import said, telling_why
from gateway.volumes.work.worker import Worker
from store.blocks.interface import Changed
from store.core.errors import DrystoneError, NotFoundError

CREATE: Final = "create-backup"
DELETE: Final = "delete-backup"
RANGES: Final = 4096
"""Of what changed, that are asked for at one time."""


def kinds(worker: Worker) -> dict[str, Work]:
    """`backup` is its id; where it is made, `volume` and `snapshot` are what of ("" where it is the volume itself),
    and `account`, `container` and `prefix` say where its objects are."""

    async def create(tasks: Tasks, task: Task) -> None:
        id_ = task.arguments["backup"]
        found = await worker.backup_progress.current(id_, task)
        if found is not None:
            backup = await _held(worker, found.record, task)
            written = await _write(worker, tasks, task, backup)
            await worker.backup_progress.end(
                id_, task, lambda now: replace(now, object_count=len(written.objects), fail_reason=None)
            )
        if await _is_forgotten(worker, id_):
            await _undo(worker, task)  # it was deleted while it was made
        else:
            await _let_older_go(worker, id_)
        await _end_source(worker, task)

    async def created_not(task: Task, error: DrystoneError) -> None:
        id_ = task.arguments["backup"]
        if await worker.backup_progress.current(id_, task) is not None or await _is_forgotten(worker, id_):
            await _undo(worker, task)
        await fail_backup(worker, task, error, forgets=True)
        await _end_source(worker, task)

    async def delete(_: Tasks, task: Task) -> None:
        found = await worker.backup_progress.current(task.arguments["backup"], task)
        if found is not None:
            backup = found.record
            await objects_of(worker, backup).delete()
            if backup.holds_own:
                await worker.delete_snapshot(backup.held_volume, backup.held_snapshot)
            await worker.backup_progress.remove(backup.id, task, amounts.of_backup(backup.size))

    async def deleted_not(task: Task, error: DrystoneError) -> None:
        await fail_backup(worker, task, error)

    return {CREATE: telling_why(create, created_not), DELETE: telling_why(delete, deleted_not)}


def objects_of(worker: Worker, backup: Backup) -> BackupObjects:
    return BackupObjects(worker.objects, backup.account, backup.container, backup.prefix)


async def fail_backup(worker: Worker, task: Task, error: DrystoneError, *, forgets: bool = False) -> None:
    """Have the record say why. `forgets`: the store's snapshot that it names is not there any more."""
    id_ = task.arguments["backup"]

    def told(now: Backup) -> Backup:
        if now.doing is None or now.doing.task != task.id:
            return now
        after = replace(now, fail_reason=str(error)[:255])
        return replace(after, held_volume="", held_snapshot="") if forgets else after

    try:
        await worker.backups.change(id_, told)
    except NotFoundError:
        return
    await worker.backup_progress.fail(id_, task, said(error), keep=True)


async def _held(worker: Worker, backup: Backup, task: Task) -> Backup:
    """Have the store's snapshot that it is made of, and the record say which."""
    if backup.held_snapshot:
        return backup
    if backup.snapshot_id is not None:
        snapshot = (await worker.snapshots.find(backup.snapshot_id)).record
        volume, name = snapshot.store_volume, snapshot.store_snapshot
    else:
        volume, name = volume_name(backup.volume_id), held_name(backup.id)
        await worker.snapshot(backup.volume_id, name)
    made = replace(backup, held_volume=volume, held_snapshot=name)
    await worker.backups.change(
        backup.id,
        lambda now: (
            replace(now, held_volume=volume, held_snapshot=name) if now.doing and now.doing.task == task.id else now
        ),
    )
    return made


async def _write(worker: Worker, tasks: Tasks, task: Task, backup: Backup) -> Written:
    """All of its objects."""
    volume = (await worker.volumes.find(backup.volume_id)).record
    objects = objects_of(worker, backup)
    await objects.make_container()
    parent = changed = None
    if backup.parent_id is not None:
        before = (await worker.backups.find(backup.parent_id, backup.project_id)).record
        parent = await _hashes(objects_of(worker, before))
        changed = await _changes(worker, before, backup)

    async with worker.store.open(f"{backup.held_volume}@{backup.held_snapshot}") as disk:
        size = disk.size

        async def progress(done: int) -> None:
            nonlocal task
            percent = done * 100 // size
            if percent > task.percent:
                if await worker.backup_progress.current(backup.id, task) is None:
                    raise NotFoundError("The backup was deleted while it was made.")
                task = await tasks.progress(task, percent=percent)

        written = await BackupWriter(disk, size, objects, parent, changed).write(progress)
    about = _about(backup)
    await objects.put(objects.hashes_name, written.hashes.document(about))
    metadata = about | {
        "version": WITH_ZEROS if written.zeros else STOCK,
        "objects": written.objects,
        "zeros": written.zeros,
        "parent_id": backup.parent_id,
        "volume_meta": json.dumps(_volume_meta(volume)),
    }
    await objects.put(objects.metadata_name, [json.dumps(metadata, sort_keys=True, indent=2).encode()])
    return written


async def _hashes(objects: BackupObjects) -> Hashes:
    async with objects.reading(objects.hashes_name) as pieces:
        return await read_hashes(pieces)


async def _changes(worker: Worker, parent: Backup, backup: Backup) -> AsyncIterator[Changed] | None:
    """Where the volume may have changed since the parent; None where the store does not know any more."""
    volume, since, snapshot = backup.held_volume, parent.held_snapshot, backup.held_snapshot
    if not since or parent.held_volume != volume:
        return None
    held = {row.name: row for row in await worker.store.snapshots(volume)}
    if since not in held or snapshot not in held:
        return None
    return _ranges(worker, volume, since, snapshot, held[snapshot].size)


async def _ranges(worker: Worker, volume: str, since: str, snapshot: str, size: int) -> AsyncIterator[Changed]:
    offset = 0
    while True:
        some = await worker.store.changed(volume, since, snapshot, offset, size - offset, RANGES)
        for one in some:
            yield one
        if len(some) < RANGES:
            return
        offset = sum(some[-1])


async def _let_older_go(worker: Worker, id_: str) -> None:
    """The store's snapshots of a volume's older backups: what is made next goes on from this one."""
    try:
        backup = (await worker.backups.find(id_)).record
    except NotFoundError:
        return
    if backup.doing is not None or backup.error:
        return
    for older in await worker.backups.of_volume(backup.volume_id, backup.project_id):
        if older.data_us < backup.data_us and older.holds_own and older.doing is None:
            await worker.delete_snapshot(older.held_volume, older.held_snapshot)
            await worker.backups.change(
                older.id, lambda now: replace(now, held_volume="", held_snapshot="") if now.holds_own else now
            )


async def _is_forgotten(worker: Worker, id_: str) -> bool:
    """Whether a backup is gone, or goes."""
    try:
        doing = (await worker.backups.find(id_)).record.doing
    except NotFoundError:
        return True
    return doing is not None and doing.what == "deleting"


async def _undo(worker: Worker, task: Task) -> None:
    """Leave nothing of what was written for a backup."""
    said = task.arguments
    await BackupObjects(worker.objects, said["account"], said["container"], said["prefix"]).delete()
    await worker.delete_snapshot(volume_name(said["volume"]), held_name(said["backup"]))


async def _end_source(worker: Worker, task: Task) -> None:
    """What it was made of is not being backed up any more."""
    if task.arguments["snapshot"]:
        await worker.snapshot_progress.end(task.arguments["snapshot"], task, lambda now: now)
    else:
        await worker.volume_progress.end(task.arguments["volume"], task, lambda now: now)


def _about(backup: Backup) -> dict[str, Any]:
    """What both documents say, as in stock cinder."""
    return {
        "version": STOCK,
        "backup_id": backup.id,
        "volume_id": backup.volume_id,
        "backup_name": backup.name,
        "backup_description": backup.description,
        "created_at": str(datetime.fromtimestamp(backup.created_us // 1_000_000, UTC)),
    }


def _volume_meta(volume: Volume) -> dict[str, Any]:
    """Of the volume, as stock cinder's second version of it."""
    base = {
        "id": volume.id,
        "size": volume.size,
        "display_name": volume.name,
        "display_description": volume.description,
        "bootable": volume.bootable,
        "volume_type_id": volume.type_id,
        "availability_zone": volume.zone,
    }
    kinds = {"volume-base-metadata": base, "volume-metadata": volume.metadata, "volume-glance-metadata": volume.image}
    return {"version": 2, **{kind: held for kind, held in kinds.items() if held}}
