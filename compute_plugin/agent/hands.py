"""`Hands`: what an agent works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from compute_plugin.clients.image_records import ImageRecords
from compute_plugin.clients.local_disks import LocalDisks
from compute_plugin.clients.networks import Networks
from compute_plugin.clients.volumes import Volumes
from compute_plugin.hypervisors.interface import Hypervisor
from compute_plugin.records.states import States
from compute_plugin.records.store import ComputeStore
from compute_plugin.settings import Settings
from gateway.rest.images import Images
from store.core.clock import Clock
from store.core.entropy import Random

SAVED: Final = "memory.saved"
CONFIG_DRIVE: Final = "config.iso"


@dataclass(frozen=True, slots=True)
class Hands:
    """Of one host."""

    host: str
    """Its name."""
    store: ComputeStore
    states: Callable[[], States]
    hypervisor: Hypervisor
    volumes: Volumes
    networks: Networks
    disks: LocalDisks
    images: Images
    image_records: ImageRecords
    settings: Settings
    clock: Clock
    random: Random
    new_id: Callable[[], str]
    folder: str
    """Absolute: below it each guest has a folder. Short enough for sockets in these."""
    socket: str
    """Path of the socket at which volumes are served on this host."""

    @property
    def is_first(self) -> bool:
        """Whether this host does what any could, of all that live."""
        return min((one.id for one in self.states().hosts), default="") == self.host

    def folder_of(self, server: str) -> str:
        return f"{self.folder}/{server}"

    def saved(self, server: str) -> str:
        """Where the memory of a server is that was suspended."""
        return f"{self.folder_of(server)}/{SAVED}"
