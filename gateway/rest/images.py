"""What other services ask of the image registry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from gateway.rest.policy import Credentials
from store.core.errors import InvalidError

MAPPING: Final = "block_device_mapping"
"""The property of an image of a server whose disks are volumes: as JSON, which snapshots it is made of. Such an image
has no bytes of its own."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Of an image that the caller may see."""

    id: str
    name: str
    status: str
    """`active` where its bits are sealed."""
    size: int
    """Bytes of the file that was sent; 0 where it is not known."""
    virtual_size: int
    """Bytes of the disk that it is."""
    min_disk: int
    """GiB."""
    min_ram: int
    disk_format: str
    container_format: str
    checksum: str
    volume: str
    """The store's sealed volume that has its bits; "" before it is active."""
    snapshot: str
    """And its snapshot, which is cloned."""
    properties: Mapping[str, str] = field(default_factory=dict)

    def mapping(self) -> list[dict[str, Any]]:
        """The disks that its property MAPPING tells of, each as Nova's `block_device_mapping_v2` has it. Raises
        InvalidError where that is no JSON: anybody may write it."""
        try:
            held = json.loads(self.properties.get(MAPPING) or "[]")
        except (ValueError, RecursionError) as error:
            raise InvalidError(f"Image {self.id} is unacceptable: its {MAPPING} is no JSON.") from error
        return [one for one in held if isinstance(one, dict)] if isinstance(held, list) else []


@dataclass(frozen=True, slots=True)
class WantedImage:
    """An image that is to be made of a volume."""

    name: str
    disk_format: str
    container_format: str
    visibility: str
    protected: bool
    properties: Mapping[str, str]
    min_disk: int


class Images(Protocol):
    """Images by their ids."""

    async def find(self, id_: str, credentials: Credentials) -> ImageFacts:
        """Raises NotFoundError, also where the caller may not see it."""
        ...

    async def named(self, name: str, credentials: Credentials) -> list[ImageFacts]:
        """Those of a name that the caller may see."""
        ...

    async def wait_sealed(self, id_: str) -> ImageFacts:
        """The image once its bits are sealed. Raises NotFoundError where it is gone, InvalidError where that can never
        be."""
        ...

    async def begin(self, wanted: WantedImage, credentials: Credentials) -> str:
        """A new image of the caller's project, `queued`: its id. Raises OverQuotaError, ForbiddenError and
        InvalidError."""
        ...

    async def seal(self, id_: str, volume: str, snapshot: str) -> None:
        """Have the bits of an image that was begun be those of a snapshot of the store. May be asked again for the same
        image. Raises NotFoundError where it was deleted meanwhile."""
        ...

    async def abandon(self, id_: str, why: str) -> None:
        """An image that was begun will get no bits."""
        ...
