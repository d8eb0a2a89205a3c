"""`ImageService`: the image registry as one thing, made once a process."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

import trio

from authn.service import IdentityService
from gateway.rest.policy import Policy
from gateway.rest.quotas import Quotas
from gateway.rest.reserving import keep_swept
from gateway.rest.task_runner import TaskRunner
from gateway.rest.tasks import Tasks
from image_registry.bits import BitStore
from image_registry.cleaning import Cleaning
from image_registry.formats.bounds import Bounds
from image_registry.from_disk import FromDisk
from image_registry.images import Images
from image_registry.importing import IMPORT, LOCATION, Imports
from image_registry.limits import DEFAULTS, UnifiedLimits
from image_registry.metadefs.definitions import Definitions
from image_registry.policy import image_policy
from image_registry.process import Process
from image_registry.protection import PropertyProtection
from image_registry.receiving import Receiver
from image_registry.sealing import SEAL, Sealing
from image_registry.uploads import Uploads
from image_registry.web_source import WebRules, WebSource
from store.blocks.interface import VolumeStore
from store.core.clock import Clock
from store.core.entropy import Random
from store.objects.interface import ObjectStore
from store.registry import Registry


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """An operator's choices."""

    policy: Policy = field(default_factory=image_policy)
    size_max: int = 1 << 40
    """Bytes of one image, as of stock Glance's image_size_cap."""
    bounds: Bounds = field(default_factory=Bounds)
    """Of the disk that an image is."""
    web: WebRules = field(default_factory=WebRules)
    """What is fetched for users."""
    protection: PropertyProtection = field(default_factory=PropertyProtection)


class ImageService:
    """Start `run` and wait until it has started; then everything here works."""

    def __init__(
        self,
        registry: Registry,
        identity: IdentityService,
        objects: ObjectStore,
        volumes: VolumeStore,
        clock: Clock,
        random: Random,
        folder: str,
        config: ImageConfig | None = None,
    ) -> None:
        """`folder`: where there is room for images that are made of volumes."""
        self.config = config = config or ImageConfig()
        self.registry = registry
        self.identity = identity
        self.policy = config.policy
        self.clock = clock
        self.random = random
        self.images = Images(registry, clock)
        self.definitions = Definitions(registry, clock)
        self.bits = BitStore(objects)
        self.quotas = Quotas(registry, "image", DEFAULTS, clock, random, UnifiedLimits(identity))
        self.web = WebSource(config.web)
        self.tasks = Tasks(registry, "image", clock, random)
        self.process = Process(registry, random)
        receiver = Receiver(registry, self.images, self.bits, self.process, random, config.size_max)
        self.cleaning = Cleaning(registry, receiver, volumes)
        self.sealing = Sealing(self.images, self.bits, volumes, config.bounds)
        self.uploads = Uploads(
            self.images, receiver, self.process, self.quotas, self.cleaning, config.bounds, self.sealing.soon
        )
        self.from_disk = FromDisk(self.images, self.uploads, folder)
        self.imports = Imports(self.images, self.bits, receiver, self.uploads, self.web, config.size_max)
        self.runner = TaskRunner(
            self.tasks, {IMPORT: self.imports.work, LOCATION: self.imports.work, SEAL: self.sealing.work}
        )

    def new_id(self) -> str:
        """Of an image or a task: a random UUID."""
        return str(UUID(bytes=self.random.bytes(16), version=4))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled: everything besides requests."""
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: self.process.run(task_status=task_status))
            await nursery.start(lambda task_status: self.runner.run(task_status=task_status))
            await nursery.start(
                lambda task_status: keep_swept(self.quotas, self.tasks.goes_on, task_status=task_status)
            )
            nursery.start_soon(self.cleaning.run)
            nursery.start_soon(self.sealing.run, self.runner, self.tasks)
            task_status.started()
