"""Images in memory: the twin of what the volume API asks of the image registry."""

from __future__ import annotations

from dataclasses import replace

from gateway.rest.images import ImageFacts, Images, WantedImage
from gateway.rest.policy import Credentials
from store.core.errors import InvalidError, NotFoundError
from tests.twins.volumes import MemoryVolumes

MIB = 1024 * 1024


class MemoryImages:
    """An `Images` over volumes in memory; everybody sees every image."""

    def __init__(self, store: MemoryVolumes) -> None:
        self.store = store
        self.images: dict[str, ImageFacts] = {}
        self.abandoned: dict[str, str] = {}

    async def add(self, id_: str, size: int = MIB, min_disk: int = 0, status: str = "active") -> ImageFacts:
        """An image whose first bytes are its id."""
        name = f"image-{id_}"
        await self.store.create(name, size, "")
        async with self.store.open(name) as disk:
            await disk.write(0, id_.encode())
        await self.store.snapshot(name, "sealed")
        facts = ImageFacts(
            id_, f"name of {id_}", status, size, size, min_disk, 0, "raw", "bare", "c0ffee", name, "sealed", {"os": "x"}
        )
        self.images[id_] = facts
        return facts

    async def find(self, id_: str, credentials: Credentials) -> ImageFacts:
        return self._find(id_)

    async def named(self, name: str, credentials: Credentials) -> list[ImageFacts]:
        return [one for one in self.images.values() if one.name == name]

    async def wait_sealed(self, id_: str) -> ImageFacts:
        facts = self._find(id_)
        if not facts.volume:
            raise InvalidError(f"image {id_} has no bits")
        return facts

    async def begin(self, wanted: WantedImage, credentials: Credentials) -> str:
        id_ = f"00000000-0000-4000-8000-{len(self.images):012}"
        self.images[id_] = ImageFacts(
            id_, wanted.name, "queued", 0, 0, wanted.min_disk, 0, wanted.disk_format, wanted.container_format,
            "", "", "", dict(wanted.properties),
        )  # fmt: skip
        return id_

    async def seal(self, id_: str, volume: str, snapshot: str) -> None:
        facts = self._find(id_)
        await self.store.clone(volume, snapshot, f"image-{id_}", None)
        await self.store.snapshot(f"image-{id_}", "sealed")
        size = (await self.store.row(f"image-{id_}")).size
        self.images[id_] = replace(
            facts, status="active", size=size, virtual_size=size, volume=f"image-{id_}", snapshot="sealed"
        )

    async def abandon(self, id_: str, why: str) -> None:
        self.abandoned[id_] = why

    def _find(self, id_: str) -> ImageFacts:
        if id_ not in self.images:
            raise NotFoundError(f"there is no image {id_}")
        return self.images[id_]


_: type[Images] = MemoryImages
