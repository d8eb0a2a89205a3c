"""`Clients`: the other services, as servers need them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from compute_plugin.clients.image_records import ImageRecords
from compute_plugin.clients.local_disks import LocalDisks
from compute_plugin.clients.networks import Networks
from compute_plugin.clients.volumes import Volumes
from compute_plugin.networks.records.records import Records
from gateway.rest.images import Images


@dataclass(frozen=True, slots=True)
class Clients:
    """Of one process."""

    volumes: Volumes
    networks: Networks
    images: Images
    image_records: ImageRecords
    disks: LocalDisks
    network_records: Callable[[], Records]
    """What networks are to be, as this process knows it."""
    network_fresh: Callable[[], Awaitable[Records]]
    """The same, with all that was acknowledged before."""
