"""Receiving the bytes of an image: they are hashed and looked into on the way, and nothing is seen before all are
durable.

Before the first byte the registry says that the object is coming, and who receives it; the record of the image then
takes it over in one transaction. Whatever ends in between leaves an entry that says what is to be deleted.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

import structlog
import trio

from gateway.rest.errors import TooLargeError
from image_registry import keys
from image_registry.bits import HEAD, BitStore
from image_registry.formats.inspector import Inspector
from image_registry.hashing import hashing
from image_registry.images import Found, Images
from image_registry.process import Process
from image_registry.records import INCOMING_CODEC, Bits, Image, Incoming, Receiving
from store.core.entropy import Random
from store.core.errors import ConflictError, DrystoneError, NotFoundError, RetryableError
from store.registry import Compare, Delete, OutcomeUnknownError, Put, Registry

CLEAN_UP_S: Final = 30

Pieces = AsyncGenerator[bytes, None]
"""Of a body, as they come. Whoever reads them closes them."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Received:
    """Bits that are durable, and that no image has yet."""

    bits: Bits
    virtual_size: int | None
    incoming: Incoming
    formats: tuple[str, str] | None = None
    """Disk and container format that they were looked into as; None where they were not."""


class Receiver:
    """Takes the bytes of images into the store."""

    def __init__(
        self, registry: Registry, images: Images, bits: BitStore, process: Process, random: Random, size_max: int
    ) -> None:
        """`size_max`: bytes of one image, wherever they come from."""
        self._size_max = size_max
        self._registry = registry
        self._images = images
        self._bits = bits
        self._process = process
        self._random = random

    async def begin(self, found: Found, kind: Receiving, store: str, check: Callable[[Image], None]) -> Incoming:
        """Say that bits are coming for an image. Raises ConflictError where others are faster, NotFoundError, and what
        `check` raises of the image as it is now."""
        object_ = f"{found.image.id}-{self._random.bytes(8).hex()}"
        incoming = Incoming(object_, store, self._process.id, kind)
        while True:
            check(found.image)
            after = replace(found.image, receiving=incoming)
            coming = Put(keys.incoming(object_), INCOMING_CODEC.encode(incoming))
            try:
                begun = await self._images.write(found, after, [coming], [_alive(incoming)])
            except OutcomeUnknownError:
                await self.drop(found.image.id, incoming)
                raise
            if begun:
                return incoming
            found = await self._images.find(found.image.id)

    async def receive(
        self,
        incoming: Incoming,
        pieces: Pieces,
        size: int | None,
        inspector: Inspector | None,
        told: Callable[[int], Awaitable[None]] | None = None,
    ) -> Received:
        """All bytes, durable. `size`: how many there will be, where that is known. `told` is told how many there are.
        Raises TooLargeError, what the inspector raises, and what the pieces raise."""
        self._check_size(size or 0)
        async with (
            hashing() as sha512,
            await self._bits.upload(incoming.store, incoming.object, size) as upload,
            aclosing(pieces),
        ):
            done = 0
            async for piece in pieces:
                done += len(piece)
                self._check_size(done)
                if inspector is not None:
                    inspector.feed(piece)
                await sha512.add(piece)
                await upload.write(piece)
                if told is not None:
                    await told(done)
            count, md5 = await upload.digest()
            verdict = None if inspector is None else inspector.finish(count)
            digest = await sha512.hexdigest()
            await upload.commit(HEAD)
        bits = Bits(incoming.object, incoming.store, count, md5, digest)
        virtual_size = None if verdict is None else verdict.virtual_size
        return Received(bits, virtual_size, incoming, None if inspector is None else inspector.formats)

    def taken(self, received: Received) -> tuple[list[Delete], list[Compare]]:
        """What goes along with the write that gives the bits to an image, and what has to hold then: nobody has taken
        who receives them for dead. This process may live again, under another name; what it received before may be
        deleted by then."""
        incoming = received.incoming
        kept = Compare.value_is(keys.incoming(incoming.object), INCOMING_CODEC.encode(incoming))
        return [Delete(keys.incoming(incoming.object))], [kept, _alive(incoming)]

    async def require_kept(self, received: Received) -> None:
        """Raises RetryableError where who received the bits was taken for dead: they are no image's any more."""
        _, compares = self.taken(received)
        if not (await self._registry.transact(compares, ())).succeeded:
            raise RetryableError("This process was taken for dead while it received an image.")

    def _check_size(self, size: int) -> None:
        if size > self._size_max:
            raise TooLargeError(f"The incoming image is too large: it has more than {self._size_max} bytes.")

    async def drop(self, id_: str, incoming: Incoming) -> None:
        """Nothing came of it: the image waits again, and there is nothing of the object. Where the image has the bits
        all the same, since the answer to the write that gave them was lost, they stay. Never fails: what it cannot do
        now is done by the sweep."""
        with trio.CancelScope(shield=True), trio.move_on_after(CLEAN_UP_S):
            try:
                await self._images.change(id_, lambda image: _without(image, incoming))
            except NotFoundError:
                pass  # the image was deleted meanwhile
            except DrystoneError as error:
                _log.info("an image is told as received until its process ends", image=id_, error=str(error))
                return
            try:
                if await self._given_up(id_, incoming):
                    await self.forget(incoming)
            except DrystoneError as error:
                _log.info("bits of an image that nobody needs are left to the sweep", image=id_, error=str(error))

    async def _given_up(self, id_: str, incoming: Incoming) -> bool:
        """Whether no image has the object, nor ever will: a write that is on its way yet fails then."""
        same = Compare.value_is(keys.incoming(incoming.object), INCOMING_CODEC.encode(incoming))
        gone = Put(same.key, INCOMING_CODEC.encode(replace(incoming, owner="")))
        if (await self._registry.transact([same], [gone])).succeeded:
            return True
        # Another has swept the entry, or the image has the object.
        try:
            image = (await self._images.find(id_)).image
        except NotFoundError:
            return True
        held = [*image.copies, *([image.staged] if image.staged else [])]
        return all(bits.object != incoming.object for bits in held)

    async def forget(self, incoming: Incoming) -> None:
        """Delete an object that no image has, and the entry that says so."""
        await self._bits.delete(incoming.store, incoming.object)
        await self._registry.transact((), [Delete(keys.incoming(incoming.object))])

    async def sweep(self) -> int:
        """Delete what nobody receives any more, and what images left behind. How many there were."""
        items = await self._registry.range(keys.INCOMING)
        living = await self._process.living()
        count = 0
        for item in items:
            incoming = INCOMING_CODEC.decode(item.value)
            if incoming.owner in living:
                continue
            # Its image, if there is one, is still told as being received by a process that is no more: that means
            # nothing, and goes with the next change.
            same = Compare.unchanged(item.key, item.mod_revision)
            gone = replace(incoming, owner="")
            if incoming.owner:
                # From now on its process, should it only have slept, cannot give it to an image any more.
                result = await self._registry.transact([same], [Put(item.key, INCOMING_CODEC.encode(gone))])
                if not result.succeeded:
                    continue
            await self.forget(gone)
            count += 1
        return count


def _alive(incoming: Incoming) -> Compare:
    """Holds as long as the others take who receives it for alive."""
    return Compare.exists(keys.process(incoming.owner))


def _without(image: Image, incoming: Incoming) -> Image:
    return replace(image, receiving=None) if image.receiving == incoming else image


def conflict_of(image: Image, status: str, wanted: str) -> ConflictError:
    return ConflictError(f"Image {image.id}: status transition from {status} to {wanted} is not allowed")
