"""Imports: tasks that give images their bits. What was staged becomes the image as it is, once it has been looked into;
what is fetched is received as an upload is; a copy goes into another store.

A task says in `arguments` what it was asked for, as clients are told it. A process that dies leaves it to another,
which begins the image anew: nothing was seen of what was received before.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Final

from gateway.rest.errors import TooLargeError
from gateway.rest.task_records import Task
from gateway.rest.tasks import Tasks
from image_registry.bits import BitStore
from image_registry.conversion.looking import look_through
from image_registry.images import Found, Images
from image_registry.receiving import Pieces, Receiver
from image_registry.records import Bits, Image, Incoming, Receiving
from image_registry.uploads import Uploads
from image_registry.web_source import WebSource
from store.core.errors import CallerError, ConflictError, DigestError, NotFoundError
from store.objects.interface import OpenObject

IMPORT: Final = "api_image_import"
"""The kind of the task, and its type as clients see it."""
LOCATION: Final = "location_import"
"""The same for an image that was given a location on the web."""
VALIDATION_ALGORITHMS: Final = ("sha1", "sha256", "sha512", "md5")
"""By which it can be said what has to be there."""
TOLD_PERCENT: Final = 5
"""How much has to be done before it is told again."""


class Imports:
    """The work of import tasks."""

    def __init__(
        self, images: Images, bits: BitStore, receiver: Receiver, uploads: Uploads, web: WebSource, size_max: int
    ) -> None:
        """`size_max`: of what is fetched, in bytes."""
        self._size_max = size_max
        self._images = images
        self._bits = bits
        self._receiver = receiver
        self._uploads = uploads
        self._web = web

    async def work(self, tasks: Tasks, task: Task) -> None:
        """See gateway.rest.task_runner. Whatever is wrong with what was asked for, the image waits again."""
        method, id_ = task.arguments["import_req"]["method"], task.arguments["image_id"]
        told = _Told(tasks, task)
        try:
            match method["name"]:
                case "glance-direct":
                    await self._direct(told, task, id_)
                case "web-download" | "location_import":
                    await self._download(told, task, id_, method["uri"])
                case _:
                    await self._copy(told, task, id_)
        except CallerError:
            await self._uploads.give_up(id_, task.id)
            raise

    async def _own(self, id_: str, task: Task) -> Found:
        """The image, as long as the task is what is done with it. Raises ConflictError, NotFoundError."""
        found = await self._images.find(id_)
        if found.image.task != task.id:
            raise ConflictError(f"Image {id_} is not imported by this task any more.")
        return found

    async def _is_done(self, id_: str, task: Task) -> bool:
        """Whether whoever did this before came to its end, and died before the task could say so."""
        image = (await self._images.find(id_)).image
        there = {bits.store for bits in image.copies}
        return image.task != task.id and bool(there) and there.issuperset(task.arguments["backend"])

    async def _direct(self, told: _Told, task: Task, id_: str) -> None:
        """What was staged is the image, and is copied into the stores that were asked for."""
        if await self._is_done(id_, task):
            return
        found = await self._own(id_, task)
        if not found.image.copies:
            if found.image.staged is None:
                raise NotFoundError(f"Image {id_} has nothing staged.")
            virtual_size = await self._inspected(found.image, found.image.staged)
            await self._uploads.activate_staged(id_, task.id, virtual_size)
        await self._copies(told, task, id_)
        await self._uploads.keep_in(id_, task.id, task.arguments["backend"])
        await self._uploads.end_staging(id_, task.id)

    async def _inspected(self, image: Image, bits: Bits) -> int | None:
        """Only what has to be looked at is read."""
        async with await self._bits.open(bits) as opened:
            return (await look_through(opened, self._uploads.inspector(image))).virtual_size

    async def _download(self, told: _Told, task: Task, id_: str, uri: str) -> None:
        """Fetched from the URL that was named into the first store, and copied into the others."""
        if await self._is_done(id_, task):
            return
        found = await self._own(id_, task)
        if not found.image.copies:
            await self._fetch(told, task, found, uri)
        await self._copy(told, task, id_)

    async def _fetch(self, told: _Told, task: Task, found: Found, uri: str) -> None:
        async with (
            self._receiving(found, task, task.arguments["backend"][0]) as incoming,
            self._web.open(uri) as (size, pieces),
        ):
            inspector = self._uploads.inspector(found.image)
            wanted = task.arguments["import_req"].get("validation_data", {}) if task.kind == LOCATION else {}
            pieces = _checked(pieces, self._size_max, wanted)
            received = await self._receiver.receive(incoming, pieces, size, inspector, told.of(size))
            hashed = (wanted["os_hash_algo"], wanted["os_hash_value"].lower()) if wanted else ("sha512", "")
            await self._uploads.activate(found.image.id, received, hashed, task.id)

    async def _copy(self, told: _Told, task: Task, id_: str) -> None:
        """From one store into others; that is all."""
        if await self._is_done(id_, task):
            return
        await self._copies(told, task, id_)
        await self._images.change(id_, lambda image: _done(image, task.id))

    async def _copies(self, told: _Told, task: Task, id_: str) -> None:
        """Have one in each of the stores that were asked for."""
        for store in task.arguments["backend"]:
            found = await self._own(id_, task)
            bits = found.image.bits
            if bits is None:
                raise ConflictError(f"Image {id_} has no data to be copied.")
            if any(copy.store == store for copy in found.image.copies):
                continue
            async with self._receiving(found, task, store) as incoming, await self._bits.open(bits) as opened:
                received = await self._receiver.receive(
                    incoming, _bytes_of(opened), bits.size, None, told.of(bits.size)
                )
                await self._uploads.add_copy(id_, received)

    @asynccontextmanager
    async def _receiving(self, found: Found, task: Task, store: str) -> AsyncIterator[Incoming]:
        """Around receiving, with nothing left of what fails."""

        def check(image: Image) -> None:
            if image.task != task.id:
                raise ConflictError(f"Image {image.id} is not imported by this task any more.")

        incoming = await self._receiver.begin(found, Receiving.IMPORTING, store, check)
        try:
            yield incoming
        except BaseException:
            await self._receiver.drop(found.image.id, incoming)
            raise


def _done(image: Image, task: str) -> Image:
    return replace(image, task="", importing_to="") if image.task == task else image


class _Told:
    """Tells the task how far it is: one for all parts of it, since the task as it was told last is what may be told
    next."""

    def __init__(self, tasks: Tasks, task: Task) -> None:
        self._tasks = tasks
        self._task = task

    def of(self, size: int | None) -> Callable[[int], Awaitable[None]]:
        """To be told how many of so many bytes are done."""

        async def note(done: int) -> None:
            percent = min(done * 100 // size, 99) if size else 0
            if percent >= self._task.percent + TOLD_PERCENT:
                self._task = await self._tasks.progress(self._task, percent=percent)

        return note


async def _bytes_of(opened: OpenObject) -> AsyncGenerator[bytes, None]:
    """Pieces that may be kept: the object's own may be written over."""
    async with aclosing(opened.read()) as pieces:
        async for piece in pieces:
            yield bytes(piece)


async def _checked(pieces: Pieces, most: int, wanted: Mapping[str, str]) -> Pieces:
    """The same. Raises TooLargeError as soon as there are more bytes than `most`; after the last one DigestError where
    they were not what somebody said that they are."""
    digest, count = hashlib.new(wanted.get("os_hash_algo", "md5"), usedforsecurity=False), 0
    async with aclosing(pieces):
        async for piece in pieces:
            count += len(piece)
            if count > most:
                raise TooLargeError(f"The incoming image is too large: it has more than {most} bytes.")
            if wanted:
                digest.update(piece)
            yield piece
    if wanted and digest.hexdigest() != wanted["os_hash_value"].lower():
        raise DigestError(
            f"os_hash_value: ({wanted['os_hash_value']}) not matched with actual os_hash_value: ({digest.hexdigest()})"
        )
