"""`VolumeImages`: what the volume API asks of the image registry, answered by the one in this process."""

from __future__ import annotations

from gateway.rest.errors import ForbiddenError, TooLargeError
from gateway.rest.images import ImageFacts, WantedImage
from gateway.rest.policy import Credentials
from image_registry.attributes import PROPERTIES_MAX, is_property
from image_registry.images import missing
from image_registry.policy import image_target, sees
from image_registry.records import Image, Visibility
from image_registry.sealing import SNAPSHOT
from image_registry.service import ImageService
from store.blocks.interface import VolumeStore
from store.core.errors import ConflictError, NotFoundError


class VolumeImages:
    """Images by their ids; see gateway.rest.images.Images."""

    def __init__(self, service: ImageService, volumes: VolumeStore) -> None:
        self._service = service
        self._volumes = volumes

    async def find(self, id_: str, credentials: Credentials) -> ImageFacts:
        image = (await self._service.images.find(id_)).image
        if not sees(self._service.policy, credentials, image):
            raise missing(id_)
        return await self._facts(image)

    async def named(self, name: str, credentials: Credentials) -> list[ImageFacts]:
        images = [image for image in await self._service.images.all() if image.name == name]
        return [await self._facts(image) for image in images if sees(self._service.policy, credentials, image)]

    async def wait_sealed(self, id_: str) -> ImageFacts:
        return await self._facts(await self._service.sealing.wait(id_))

    async def begin(self, wanted: WantedImage, credentials: Credentials) -> str:
        service, project, now = self._service, credentials.get("project_id"), self._service.clock.wall_us()
        image = Image(
            service.new_id(),
            str(project or ""),
            now,
            now,
            name=wanted.name,
            visibility=Visibility(wanted.visibility),
            container_format=wanted.container_format,
            disk_format=wanted.disk_format,
            min_disk=wanted.min_disk,
            protected=wanted.protected,
            properties={name: value for name, value in wanted.properties.items() if is_property(name)},
        )
        if len(image.properties) > PROPERTIES_MAX:
            raise TooLargeError(f"An image has at most {PROPERTIES_MAX} properties.")
        needed = {Visibility.PUBLIC: ["publicize_image"], Visibility.COMMUNITY: ["communitize_image"]}
        for operation in ("add_image", *needed.get(image.visibility, ())):
            if not service.policy.decide(operation, credentials, image_target(image, str(project))):
                raise ForbiddenError(operation)
        await service.uploads.create(image)
        return image.id

    async def seal(self, id_: str, volume: str, snapshot: str) -> None:
        async with self._volumes.open(f"{volume}@{snapshot}") as disk:
            await self._service.from_disk.store(id_, self._service.bits.stores[0], disk)

    async def abandon(self, id_: str, why: str) -> None:
        while True:
            try:
                found = await self._service.images.find(id_)
                if found.image.copies:
                    return
                await self._service.uploads.delete(found)
            except ConflictError:
                continue
            except NotFoundError:
                return
            return

    async def _facts(self, image: Image) -> ImageFacts:
        bits = image.bits
        return ImageFacts(
            id=image.id,
            name=image.name or "",
            status=await self._service.uploads.status(image),
            size=bits.size if bits else 0,
            virtual_size=image.virtual_size or (bits.size if bits else 0),
            min_disk=image.min_disk,
            min_ram=image.min_ram,
            disk_format=image.disk_format or "",
            container_format=image.container_format or "",
            checksum=bits.md5 if bits else "",
            volume=image.sealed,
            snapshot=SNAPSHOT if image.sealed else "",
            properties=image.properties,
        )
