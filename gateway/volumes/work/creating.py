"""Volumes are made: empty, of a snapshot, of another volume now or at a time, of an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from gateway.rest.images import ImageFacts
from gateway.rest.task_records import Task
from gateway.rest.task_runner import Work
from gateway.volumes.records import GIB, Volume, volume_name
from gateway.volumes.work.telling import telling
from gateway.volumes.work.worker import Worker
from store.core.errors import InvalidError

CREATE: Final = "create-volume"
TAKE_IN: Final = "take-in-volume"


def kinds(worker: Worker) -> dict[str, Work]:
    """`volume` is the id of what is to be made; `snapshot`, `source` (with `time_us` or not) or `image` what of;
    `name` a volume of the store that is to be taken in."""

    async def create(task: Task) -> None:
        id_ = task.arguments["volume"]
        found = await worker.volume_progress.current(id_, task)
        if found is None:
            return
        await make_volume(worker, task, found.record, task.arguments)

    async def failed(task: Task, why: str) -> None:
        await fail_volume(worker, task, task.arguments["volume"], why)

    async def take_in(task: Task) -> None:
        id_ = task.arguments["volume"]
        if await worker.volume_progress.current(id_, task) is not None:
            if not await worker.exists(volume_name(id_)):
                await worker.store.rename(task.arguments["name"], volume_name(id_))
            await worker.volume_progress.end(id_, task, lambda now: now)

    async def taken_in_not(task: Task, why: str) -> None:
        await worker.volume_progress.fail(task.arguments["volume"], task, why, keep=True)

    return {CREATE: telling(create, failed), TAKE_IN: telling(take_in, taken_in_not)}


async def make_volume(worker: Worker, task: Task, volume: Volume, said: Mapping[str, Any]) -> None:
    """Have a volume that a task makes of what is `said`, and its record say that it is there."""
    id_, facts = volume.id, None
    await worker.require_place(volume)
    if said.get("snapshot"):
        snapshot = (await worker.snapshots.find(said["snapshot"])).record
        await worker.fill(volume, volume_name(id_), snapshot.store_volume, snapshot.store_snapshot)
    elif said.get("source"):
        await _of_volume(worker, volume, said["source"], said.get("time_us"))
    elif said.get("image"):
        facts = await worker.images.wait_sealed(said["image"])
        check_fits(facts, volume.size)
        await worker.fill(volume, volume_name(id_), facts.volume, facts.snapshot)
    else:
        await worker.create(volume, volume_name(id_))
    await worker.volume_progress.end(id_, task, lambda now: now if facts is None else with_image(now, facts))
    await worker.delete_if_forgotten(id_)


async def fail_volume(worker: Worker, task: Task, id_: str, why: str) -> None:
    """Have the record of one that could not be made say so."""
    if await worker.volume_progress.current(id_, task) is not None:
        await worker.delete(volume_name(id_))
    await worker.volume_progress.fail(id_, task, why, keep=True)


async def _of_volume(worker: Worker, volume: Volume, source_id: str, time_us: int | None) -> None:
    source, between = volume_name(source_id), f"copy-{volume.id}"
    if not await worker.exists(volume_name(volume.id)):
        await worker.snapshot(source_id, between, time_us)
        await worker.fill(volume, volume_name(volume.id), source, between)
    await worker.delete_snapshot(source, between)


def check_fits(facts: ImageFacts, size: int) -> None:
    """Raises InvalidError where an image does not fit into so many GiB."""
    if facts.min_disk > size:
        raise InvalidError(f"Volume size {size}GB cannot be smaller than the image minDisk size {facts.min_disk}GB.")
    if max(facts.size, facts.virtual_size) > size * GIB:
        least = -(-max(facts.size, facts.virtual_size) // GIB)
        raise InvalidError(f"Size of specified image {least}GB is larger than volume size {size}GB.")


def with_image(volume: Volume, facts: ImageFacts) -> Volume:
    """The volume, with what is known of the image that is in it."""
    known = {
        "image_id": facts.id,
        "image_name": facts.name,
        "checksum": facts.checksum,
        "container_format": facts.container_format,
        "disk_format": facts.disk_format,
        "min_disk": str(facts.min_disk),
        "min_ram": str(facts.min_ram),
        "size": str(facts.size),
    }
    return replace(volume, image=dict(facts.properties) | known, bootable=True, image_id=facts.id)
