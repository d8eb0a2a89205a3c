"""The volume API over a node: what it stands on, and where the hosts of servers find volumes."""

from __future__ import annotations

import trio

from authn.service import IdentityService
from drystone.nbd_over_tcp import port_of
from drystone.node import Node
from drystone.volume_images import VolumeImages
from drystone.volumes import Volumes
from gateway.volumes.service import VolumeService
from gateway.volumes.types_store import StoragePolicy
from image_registry.service import ImageService
from store.core.entropy import PooledRandom
from store.objects.model import Policy


class VolumeExports:
    """`gateway.volumes.exports.Exports`. On this machine it is the socket; for others the port, where there is one."""

    def __init__(self, volumes: Volumes, socket: str, host: str, port: int | None) -> None:
        """`host` and `port`: of NBD in TLS; None where volumes are for this machine alone."""
        self._volumes = volumes
        self._socket = socket
        self._host = host
        self._port = port

    def place(self) -> dict[str, object]:
        """Both ways, where there are both: a host on this machine needs no TLS."""
        if self._port is None:
            return {"socket": self._socket}
        return {"socket": self._socket, "host": self._host, "port": self._port, "tls": True}

    async def cut_off(self, name: str) -> None:
        """See Exports."""
        await self._volumes.cut_off(name)


def volume_service(
    node: Node, identity: IdentityService, images: ImageService, volumes: Volumes, disks: list[trio.SocketListener]
) -> VolumeService:
    """`disks`: where volumes are served to other machines."""
    host = disks[0].socket.getsockname()[0] if disks else ""
    exports = VolumeExports(volumes, node.folder.nbd, host, port_of(disks))
    policies = storage_policies(node.store.policies)
    source = VolumeImages(images, volumes)
    return VolumeService(
        node.registry, identity, volumes, exports, source, policies, node.clock, PooledRandom(), objects=node.store
    )


def storage_policies(policies: tuple[Policy, ...]) -> list[StoragePolicy]:
    """Those that volumes can be under: they are kept in copies. The default of containers is theirs, too, where it is
    one of these, and the first of these otherwise."""
    usable = [policy for policy in policies if not policy.erasure and not policy.deprecated]
    default = next((policy for policy in usable if policy.default), usable[0] if usable else None)
    return [StoragePolicy(policy.name, policy is default) for policy in usable]
