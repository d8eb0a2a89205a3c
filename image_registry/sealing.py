"""Sealing: an image that is a disk becomes a volume of which others are cloned, so that booting from it copies nothing.

It is done once for each image, soon after that is active, as a task. The volume's name has the task's id in it: what a
task left behind is never taken for what another made. When the volume has all, its snapshot is made, and the image's
record says so.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog
import trio

from gateway.rest.task_records import Task
from gateway.rest.task_runner import TaskRunner
from gateway.rest.tasks import LostTaskError, Tasks
from image_registry import keys
from image_registry.attributes import AMAZON
from image_registry.bits import BitStore
from image_registry.conversion.seal import seal, virtual_size
from image_registry.formats.bounds import Bounds
from image_registry.images import Found, Images, volume_name
from image_registry.records import Image, Status
from store.blocks.disk import OwnerReplacedError
from store.blocks.interface import VolumeStore
from store.core.beside import beside
from store.core.errors import CallerError, ConflictError, DrystoneError, InvalidError, NotFoundError, RetryableError
from store.registry import Put

SEAL: Final = "seal"
SNAPSHOT: Final = "image"
"""Of the volume: what clones are made of."""
LOOK_S: Final = 60
UNKNOWN: Final = "An unexpected error ended it."
TELL_S: Final = 2
WAIT_S: Final = 0.5
BLOCK_BYTES: Final = 4096

_log = structlog.get_logger(__name__)


class Sealing:
    """`run` while images are served."""

    def __init__(self, images: Images, bits: BitStore, volumes: VolumeStore, bounds: Bounds) -> None:
        self._images = images
        self._bits = bits
        self._volumes = volumes
        self._bounds = bounds
        self._wanted = trio.Event()

    def soon(self) -> None:
        """There is an image to be sealed."""
        self._wanted.set()

    async def run(self, runner: TaskRunner, tasks: Tasks) -> None:
        """Until cancelled: begins what is to be sealed, soon after it is, and now and then."""
        while True:
            self._wanted = trio.Event()
            try:
                for image in await self._images.all():
                    if _is_waiting(image):
                        await self._begin(image.id, runner, tasks)
                    elif image.sealing and not await tasks.goes_on(image.sealing):
                        await self._ended_untold(image)
            except DrystoneError as error:
                _log.warning("images are not made volumes now", error=str(error))
            with trio.move_on_after(LOOK_S):
                await self._wanted.wait()

    async def _begin(self, id_: str, runner: TaskRunner, tasks: Tasks) -> None:
        with suppress(ConflictError, NotFoundError):  # another process was faster, or it is gone
            found = await self._images.find(id_)
            if _is_waiting(found.image):
                task = tasks.new_id()
                after = replace(found.image, sealing=task)
                await runner.start(SEAL, {"image_id": id_}, [self._images.put_as_it_is(after)], [found.unchanged], task)

    async def _ended_untold(self, image: Image) -> None:
        """The task met what nobody foresaw, and said nothing: whoever waits for the volume is not to wait for ever."""
        volume = Put(keys.volume(volume_name(image.id, image.sealing)), b"")
        with suppress(NotFoundError):
            found = await self._images.find(image.id)
            after = _ended(found.image, image.sealing, "", UNKNOWN)
            if after != found.image:
                await self._images.write(found, after, [volume])

    async def wait(self, id_: str) -> Image:
        """Until an image has its volume. Raises NotFoundError, and InvalidError where it never will."""
        while True:
            image = (await self._images.find(id_)).image
            if image.sealed:
                return image
            if image.seal_error or not is_disk(image):
                raise InvalidError(f"Image {id_} is no disk that volumes can be made of. {image.seal_error}".rstrip())
            if image.status not in (Status.ACTIVE, Status.DEACTIVATED):
                raise InvalidError(f"Image {id_} is not active.")
            self.soon()
            await trio.sleep(WAIT_S)

    # -- the task ------------------------------------------------------------------------------------------------

    async def work(self, tasks: Tasks, task: Task) -> None:
        """See gateway.rest.task_runner. Begins anew each time."""
        id_ = task.arguments["image_id"]
        name = volume_name(id_, task.id)
        try:
            found = await self._own(id_, task)
        except NotFoundError:
            await self._forget(name)  # made by whoever did this before, when the image was deleted
            return
        if found is None:
            await self._forget_unless_sealed(id_, name)
            return
        try:
            await self._forget(name)
            await self._fill(found.image, name, tasks, task)
        except CallerError as error:
            await tasks.require_own(task)  # else it met what another, who has the task by now, has done
            why = str(error)
            await self._forget(name)
            with suppress(NotFoundError):
                await self._images.change(id_, lambda image: _ended(image, task.id, "", why), told=False)
            raise
        except OwnerReplacedError as error:
            # Whoever took the volume away did it since the image is gone, or since the task is another's by now.
            await tasks.progress(task)
            try:
                await self._images.find(id_)
            except NotFoundError:
                await self._forget(name)
                return
            raise RetryableError(f"the volume of image {id_} was taken away while it was made") from error
        # Else another makes the volume anew under the same name, and has not come to its end.
        await tasks.require_own(task)
        with suppress(NotFoundError):
            await self._images.change(id_, lambda image: _ended(image, task.id, name, ""), told=False)
        await self._forget_unless_sealed(id_, name)

    async def _forget_unless_sealed(self, id_: str, name: str) -> None:
        """The volume, where the image was deleted meanwhile, or is another one of the same id."""
        with suppress(NotFoundError):
            if (await self._images.find(id_)).image.sealed == name:
                return
        await self._forget(name)

    async def _own(self, id_: str, task: Task) -> Found | None:
        """The image, as long as this task is to seal it; None where it has ended. Raises NotFoundError."""
        found = await self._images.find(id_)
        return found if found.image.sealing == task.id else None

    async def _fill(self, image: Image, name: str, tasks: Tasks, task: Task) -> None:
        bits = image.bits
        assert bits is not None
        assert image.disk_format is not None
        async with await self._bits.open(bits) as opened:
            size = await virtual_size(opened, image.disk_format, self._bounds)
            await self._volumes.create(name, max(-(-size // BLOCK_BYTES), 1) * BLOCK_BYTES, self._bits.volume_policy)
            told = _Told(tasks, task)
            async with self._volumes.open(name) as disk, beside(told.run):
                await seal(opened, image.disk_format, disk, told.note, bounds=self._bounds)
        await self._volumes.snapshot(name, SNAPSHOT)

    async def _forget(self, name: str) -> None:
        with suppress(NotFoundError):
            await self._volumes.delete(name, force=True, take_over=True)


class _Told:
    """Tells the task how far it is, now and then. Where that cannot be told the work goes on."""

    def __init__(self, tasks: Tasks, task: Task) -> None:
        self._tasks = tasks
        self._task = task
        self._percent = 0

    def note(self, part: float) -> None:
        self._percent = int(part * 100)

    async def run(self) -> None:
        while True:
            await trio.sleep(TELL_S)
            if self._percent > self._task.percent:
                try:
                    self._task = await self._tasks.progress(self._task, percent=self._percent)
                except RetryableError as error:
                    _log.info("how far an image is sealed is not told now", error=str(error))
                except LostTaskError:
                    return  # asked again before anything comes of the work


def is_disk(image: Image) -> bool:
    """Whether an image's bits are those of one disk, which can be made a volume."""
    if image.disk_format in AMAZON:
        return image.disk_format == "ami"
    return image.container_format == "bare" and image.disk_format is not None


def _is_waiting(image: Image) -> bool:
    waits = not image.sealed and not image.sealing and not image.seal_error
    return waits and image.status is Status.ACTIVE and is_disk(image)


def _ended(image: Image, task: str, sealed: str, error: str) -> Image:
    return replace(image, sealing="", sealed=sealed, seal_error=error) if image.sealing == task else image
