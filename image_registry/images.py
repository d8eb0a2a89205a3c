"""`Images`: the records of images, each change one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from image_registry import keys
from image_registry.records import (
    IMAGE_CODEC,
    INCOMING_CODEC,
    Bits,
    Image,
    Incoming,
)
from store.core.clock import Clock
from store.core.errors import ConflictError, NotFoundError
from store.registry import Compare, Delete, Item, Put, Registry

ATTEMPTS = 16
"""How often a change is tried while others change the same image."""

Operation = Put | Delete


class Found:
    """An image as it was read."""

    def __init__(self, image: Image, item: Item) -> None:
        self.image = image
        self._item = item

    @property
    def unchanged(self) -> Compare:
        """Holds as long as the record is the one that was read."""
        return Compare.unchanged(self._item.key, self._item.mod_revision)


class Images:
    """Of one registry."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock

    # -- what there is -------------------------------------------------------------------------------------------

    async def all(self) -> list[Image]:
        return [IMAGE_CODEC.decode(item.value) for item in await self._registry.range(keys.IMAGES)]

    async def find(self, id_: str) -> Found:
        """Raises NotFoundError."""
        item = await self._registry.get(keys.image(id_))
        if item is None:
            raise missing(id_)
        return Found(IMAGE_CODEC.decode(item.value), item)

    # -- changes -------------------------------------------------------------------------------------------------

    def put(self, image: Image) -> Put:
        """Stores an image, as of now."""
        return Put(keys.image(image.id), IMAGE_CODEC.encode(replace(image, updated_us=self._clock.wall_us())))

    def put_as_it_is(self, image: Image) -> Put:
        """The same for what clients are not told of: it is as old as before."""
        return Put(keys.image(image.id), IMAGE_CODEC.encode(image))

    async def write(
        self, found: Found, after: Image, operations: Sequence[Operation] = (), compares: Sequence[Compare] = ()
    ) -> bool:
        """Whether the record was still the one that was read, and the compares held; then it is `after`, and the
        operations are done."""
        result = await self._registry.transact([found.unchanged, *compares], [self.put(after), *operations])
        return result.succeeded

    async def change(self, id_: str, changed: Callable[[Image], Image], *, told: bool = True) -> Image:
        """Has `changed` made of the image, of the newest if others change it meanwhile. `told`: clients see the change,
        which makes the image younger. Raises NotFoundError, and what `changed` raises."""
        for _ in range(ATTEMPTS):
            found = await self.find(id_)
            after = changed(found.image)
            put = self.put(after) if told else self.put_as_it_is(after)
            if after == found.image or (await self._registry.transact([found.unchanged], [put])).succeeded:
                return (await self.find(id_)).image
        raise ConflictError(f"Others keep changing image {id_}; try again.")

    def removal(self, image: Image) -> list[Operation]:
        """What goes with an image: its bits and its volume, which are marked as of nobody. Its id stays taken, as in
        stock Glance: whoever made another image under it would have it used by all who still name the one that was."""
        operations: list[Operation] = [Delete(keys.image(image.id)), Put(keys.deleted(image.id), b"")]
        stored = [*image.copies, *([image.staged] if image.staged else [])]
        operations += [doomed(bits) for bits in stored]
        volume = image.sealed or (volume_name(image.id, image.sealing) if image.sealing else "")
        if volume:
            operations.append(Put(keys.volume(volume), b""))
        return operations


def volume_name(id_: str, task: str) -> str:
    """Of the volume that a task makes of an image."""
    return f"image-{id_}-{task[:8]}"


def doomed(bits: Bits) -> Put:
    """Marks bits as of nobody: they are deleted soon."""
    return Put(keys.incoming(bits.object), INCOMING_CODEC.encode(Incoming(bits.object, bits.store, "")))


def missing(id_: str) -> NotFoundError:
    return NotFoundError(f"Failed to find image {id_}")
