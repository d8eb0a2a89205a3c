"""Images are made of volumes."""

from __future__ import annotations

from typing import Final

from gateway.rest.task_records import Task
from gateway.rest.task_runner import Work
from gateway.volumes.records import volume_name
from gateway.volumes.work.telling import telling
from gateway.volumes.work.worker import Worker

UPLOAD: Final = "upload-volume"


def kinds(worker: Worker) -> dict[str, Work]:
    """`volume` and `image` are their ids."""

    async def upload(task: Task) -> None:
        id_, image = task.arguments["volume"], task.arguments["image"]
        if await worker.volume_progress.current(id_, task) is None:
            return
        name, between = volume_name(id_), f"upload-{image}"
        await worker.snapshot(id_, between)
        await worker.images.seal(image, name, between)
        await worker.delete_snapshot(name, between)
        await worker.volume_progress.end(id_, task, lambda now: now)

    async def failed(task: Task, why: str) -> None:
        id_, image = task.arguments["volume"], task.arguments["image"]
        await worker.delete_snapshot(volume_name(id_), f"upload-{image}")
        await worker.images.abandon(image, "the volume could not be read")
        await worker.volume_progress.fail(id_, task, why)

    return {UPLOAD: telling(upload, failed)}
