"""`Uploads`: images are made, get their bits and are deleted, each within their owner's quota and in one moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import trio

from gateway.rest.quotas import Quotas
from gateway.rest.reserving import reserving
from image_registry import keys
from image_registry.cleaning import Cleaning
from image_registry.errors import GoneError
from image_registry.formats.bounds import Bounds
from image_registry.formats.inspector import Inspector
from image_registry.images import Found, Images, doomed
from image_registry.limits import COUNT, SIZE, STAGE, UPLOADING, mebibytes
from image_registry.process import Process
from image_registry.receiving import Pieces, Received, Receiver, conflict_of
from image_registry.records import Image, Incoming, Receiving, Status
from store.core.errors import ConflictError, InvalidError, NotFoundError, RetryableError
from store.registry import Compare


class Uploads:
    """Of one registry, as one process does them."""

    def __init__(
        self,
        images: Images,
        receiver: Receiver,
        process: Process,
        quotas: Quotas,
        cleaning: Cleaning,
        bounds: Bounds,
        activated: Callable[[], None],
    ) -> None:
        """`bounds`: of the disk that an image is. `activated` is called when an image has become active."""
        self._activated = activated
        self._images = images
        self._receiver = receiver
        self._process = process
        self._quotas = quotas
        self._cleaning = cleaning
        self._bounds = bounds

    async def status(self, image: Image) -> str:
        """Of one image, as clients are told it: one that is received is told so as long as whoever receives it
        lives."""
        living = await self._process.living() if image.receiving is not None else frozenset()
        return self.told_status(image, living)

    def told_status(self, image: Image, living: frozenset[str]) -> str:
        if image.receiving is not None and image.receiving.owner in living and not image.copies:
            return str(image.receiving.kind)  # one that has its bits is as it was while it is copied
        return str(image.status)

    def inspector(self, image: Image) -> Inspector:
        """Looks into the bits of an image as they come."""
        assert image.disk_format is not None
        assert image.container_format is not None
        return Inspector(image.disk_format, image.container_format, self._bounds)

    async def create(self, image: Image) -> None:
        """A new image, within its owner's quota. Raises ConflictError where there is or was one of this id,
        OverQuotaError."""
        unused = [Compare.absent(keys.image(image.id)), Compare.absent(keys.deleted(image.id))]
        try:
            async with reserving(self._quotas, image.owner, {COUNT: 1}) as reservation:
                await self._quotas.commit(reservation, [self._images.put(image)], unused)
        except ConflictError as error:
            raise ConflictError(f"Image ID {image.id} already exists!") from error

    async def change(self, id_: str, changed: Callable[[Image], Image]) -> Image:
        """As Images.change. What is counted goes with the image to another owner, within the quota of that one. Raises
        OverQuotaError."""
        while True:
            before = await self._images.find(id_)
            after = changed(before.image)
            owner, giver = after.owner, before.image.owner
            if owner == giver:
                if after == before.image or await self._images.write(before, after):
                    return (await self._images.find(id_)).image
                continue
            amounts = {COUNT: 1, SIZE: after.counted_mib, STAGE: after.staged_mib}
            try:
                async with reserving(self._quotas, owner, amounts) as reservation:
                    await self._quotas.hand_over(reservation, giver, [self._images.put(after)], [before.unchanged])
            except ConflictError:
                continue
            return (await self._images.find(id_)).image

    async def delete(self, found: Found) -> None:
        """An image, and all that it has; whoever reads it goes on. Raises ConflictError where it changes meanwhile."""
        image = found.image
        amounts = {COUNT: 1, SIZE: image.counted_mib, STAGE: image.staged_mib}
        await self._quotas.free(image.owner, amounts, self._images.removal(image), [found.unchanged])
        self._cleaning.soon()

    async def store_bits(self, found: Found, store: str, pieces: Pieces, size: int | None) -> Image:
        """Receive the bits of an image that waits for them: it is active then. Raises ConflictError where it does not
        wait, GoneError where it was deleted meanwhile, OverQuotaError, ImageRefusedError."""
        if found.image.disk_format is None or found.image.container_format is None:
            raise InvalidError("Properties disk_format, container_format must be set prior to saving data.")
        async with self._receiving(found, Receiving.SAVING, store, SIZE, size) as incoming:
            received = await self._receiver.receive(incoming, pieces, size, self.inspector(found.image))
            return await self.activate(found.image.id, received)

    async def stage_bits(self, found: Found, store: str, pieces: Pieces, size: int | None) -> Image:
        """Receive bits that are to be imported later. Raises as `store_bits` does."""
        async with self._receiving(found, Receiving.UPLOADING, store, STAGE, size) as incoming:
            received = await self._receiver.receive(incoming, pieces, size, None)
            return await self._give(
                found.image.id,
                received,
                STAGE,
                lambda image: replace(
                    image,
                    status=Status.UPLOADING,
                    staged=received.bits,
                    staged_mib=mebibytes(received.bits.size),
                    receiving=None,
                ),
            )

    @asynccontextmanager
    async def _receiving(
        self, found: Found, kind: Receiving, store: str, resource: str, size: int | None
    ) -> AsyncIterator[Incoming]:
        """Around receiving: within quotas, and with nothing left of what fails."""
        owner, living = found.image.owner, await self._process.living()

        def check(image: Image) -> None:
            status = self.told_status(image, living)
            if status != Status.QUEUED:
                raise conflict_of(image, status, kind)

        check(found.image)
        if size is not None:  # what is known to be too much need not come
            await self._quotas.take_back(await self._quotas.reserve(owner, {resource: mebibytes(size)}))
        place = await self._quotas.reserve(owner, {UPLOADING: 1})
        try:
            incoming = await self._receiver.begin(found, kind, store, check)
            try:
                yield incoming
            except BaseException:
                await self._receiver.drop(found.image.id, incoming)
                raise
        finally:
            with trio.CancelScope(shield=True), suppress(NotFoundError, RetryableError):
                await self._quotas.take_back(place)  # where it cannot be now, it is swept

    async def activate(
        self, id_: str, received: Received, hashed: tuple[str, str] = ("sha512", ""), task: str = ""
    ) -> Image:
        """Give received bits to an image, which is active then. `hashed`: see Image.hash_algorithm and hash_value.
        `task`: that goes on with it."""
        image = await self._give(
            id_,
            received,
            SIZE,
            lambda image: replace(
                image,
                status=Status.ACTIVE,
                copies=(received.bits,),
                virtual_size=received.virtual_size,
                receiving=None,
                counted_mib=mebibytes(received.bits.size),
                hash_algorithm=hashed[0],
                hash_value=hashed[1],
                task=task,
                importing_to=image.importing_to if task or image.importing_to is None else "",
            ),
        )
        self._activated()
        return image

    async def activate_staged(self, id_: str, task: str, virtual_size: int | None) -> None:
        """What a task found good of what was staged is the image. What was counted as staged still is, until
        `end_staging`. Raises OverQuotaError, ConflictError where the image is the task's no more."""
        while True:
            found = await self._images.find(id_)
            staged = found.image.staged
            if found.image.task != task or staged is None:
                raise ConflictError(f"Others have changed image {id_} meanwhile.")
            active = replace(
                found.image,
                status=Status.ACTIVE,
                copies=(staged,),
                staged=None,
                virtual_size=virtual_size,
                counted_mib=mebibytes(staged.size),
            )
            try:
                async with reserving(self._quotas, active.owner, {SIZE: active.counted_mib}) as reservation:
                    await self._quotas.commit(reservation, [self._images.put(active)], [found.unchanged])
            except ConflictError:
                continue
            self._activated()
            return

    async def keep_in(self, id_: str, task: str, stores: Collection[str]) -> None:
        """Of an image that is the task's the copies in these stores stay, one of which it has, and no others."""
        while True:
            found = await self._images.find(id_)
            copies = found.image.copies
            gone = [bits for bits in copies if bits.store not in stores]
            if found.image.task != task or not gone or len(gone) == len(copies):
                return
            after = replace(found.image, copies=tuple(bits for bits in copies if bits not in gone))
            if await self._images.write(found, after, [doomed(bits) for bits in gone]):
                self._cleaning.soon()
                return

    async def end_staging(self, id_: str, task: str) -> None:
        """The task has done its part: nothing is counted as staged any more."""
        await self._free_stage(id_, task, lambda image: replace(image, task="", staged_mib=0, importing_to=""))

    async def give_up(self, id_: str, task: str) -> None:
        """Nothing came of a task: the image waits again, and what was staged is gone. Does nothing where the image is
        the task's no more."""
        await self._free_stage(
            id_,
            task,
            lambda image: replace(
                image,
                task="",
                staged=None,
                staged_mib=0,
                importing_to="",
                failed_import=image.importing_to,
                status=image.status if image.copies else Status.QUEUED,
            ),
        )

    async def _free_stage(self, id_: str, task: str, changed: Callable[[Image], Image]) -> None:
        while True:
            try:
                found = await self._images.find(id_)
            except NotFoundError:
                return
            before, after = found.image, changed(found.image)
            if before.task != task:
                return
            gone = [] if before.staged is None or after.staged is not None else [doomed(before.staged)]
            operations = [self._images.put(after), *gone]
            try:
                await self._quotas.free(before.owner, {STAGE: before.staged_mib}, operations, [found.unchanged])
            except ConflictError:
                continue
            self._cleaning.soon()
            return

    async def add_copy(self, id_: str, received: Received) -> Image:
        """Give received bits to an image that is active, as another copy. Copies are not counted."""
        taken, kept = self._receiver.taken(received)
        while True:
            found = await self._images.find(id_)
            if found.image.receiving != received.incoming:
                raise ConflictError(f"Others have changed image {id_} meanwhile.")
            copies = (*found.image.copies, received.bits)
            there = {bits.store for bits in copies}
            left = [store for store in (found.image.importing_to or "").split(",") if store and store not in there]
            after = replace(found.image, copies=copies, receiving=None, importing_to=",".join(left))
            if await self._images.write(found, after, taken, kept):
                return after
            await self._receiver.require_kept(received)

    async def _give(self, id_: str, received: Received, resource: str, after: Callable[[Image], Image]) -> Image:
        """In one moment: the image has the bits, its owner's quota counts them, and nobody deletes them."""
        taken, kept = self._receiver.taken(received)
        while True:
            try:
                found = await self._images.find(id_)
            except NotFoundError as error:
                raise GoneError(
                    f"Image {id_} could not be found after upload. The image may have been deleted during the upload."
                ) from error
            if found.image.receiving != received.incoming:
                raise ConflictError(f"Others have changed image {id_} meanwhile.")
            if received.formats not in (None, (found.image.disk_format, found.image.container_format)):
                raise ConflictError(f"The formats of image {id_} were changed while it was received.")
            image = after(found.image)
            amounts = {resource: mebibytes(received.bits.size)}
            try:
                async with reserving(self._quotas, image.owner, amounts) as reservation:
                    await self._quotas.commit(reservation, [self._images.put(image), *taken], [found.unchanged, *kept])
            except ConflictError:
                await self._receiver.require_kept(received)
                continue
            return (await self._images.find(id_)).image
