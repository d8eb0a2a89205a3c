"""The volume API over a node: what it stands on, and where the hosts of servers find volumes."""

from __future__ import annotations

import trio

from authn.service import IdentityService
from drystone.nbd_over_tcp import port_of
from drystone.node import Node
from drystone.served_disks import Meant
from drystone.volume_images import VolumeImages
from drystone.volume_links import VolumesOfAll
from gateway.nbd.limited_disk import Limits, Rate
from gateway.rest.policy import Policy
from gateway.volumes.qos_limits import limits_of as qos_limits
from gateway.volumes.records import export_name, volume_name
from gateway.volumes.server_check import Servers
from gateway.volumes.service import VolumeService
from gateway.volumes.types_store import StoragePolicy
from image_registry.service import ImageService
from store.core.entropy import PooledRandom
from store.core.errors import NotFoundError
from store.objects.model import Policy as StorePolicy


class VolumeExports:
    """`gateway.volumes.exports.Exports`. On this machine it is the socket; for others the port, where there is one."""

    def __init__(self, volumes: VolumesOfAll, socket: str, host: str, port: int | None) -> None:
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
    node: Node,
    identity: IdentityService,
    images: ImageService,
    volumes: VolumesOfAll,
    disks: list[trio.SocketListener],
    policy: Policy,
    servers: Servers,
) -> VolumeService:
    """`disks`: where volumes are served to other machines."""
    host = disks[0].socket.getsockname()[0] if disks else ""
    exports = VolumeExports(volumes, node.folder.nbd, host, port_of(disks))
    policies = storage_policies(node.store.policies)
    source = VolumeImages(images, volumes)
    return VolumeService(
        node.registry,
        identity,
        volumes,
        exports,
        source,
        policies,
        node.clock,
        PooledRandom(),
        policy=policy,
        objects=node.store,
        servers=servers,
    )


async def meant(service: VolumeService, name: str) -> Meant:
    """What an export's name stands for: a volume of the store, or an attachment's. Raises NotFoundError where there is
    the attachment no more."""
    id_ = name.removeprefix(export_name(""))
    if id_ == name:
        return Meant(name)
    volume, attachment = await service.volumes.with_attachment(id_)
    return Meant(volume_name(volume.id), read_only=attachment.mode == "ro")


async def limits_of(service: VolumeService, name: str) -> Limits | None:
    """Of a volume by its name in the store, by the QoS specs of its type; None for none, and for what is no volume of
    the API."""
    id_ = name.removeprefix(volume_name(""))
    if id_ == name:
        return None
    try:
        volume = (await service.volumes.find(id_)).record
        qos_id = (await service.types.find(volume.type_id)).record.qos_id
        if qos_id is None:
            return None
        rates = qos_limits((await service.qos.find(qos_id)).record, volume.size)
    except NotFoundError:
        return None
    found = {key: Rate(*rate) for key, rate in rates.items()}
    if not found:
        return None
    return Limits(
        found.get("read_bytes_sec"),
        found.get("write_bytes_sec"),
        found.get("total_bytes_sec"),
        found.get("read_iops_sec"),
        found.get("write_iops_sec"),
        found.get("total_iops_sec"),
    )


def storage_policies(policies: tuple[StorePolicy, ...]) -> list[StoragePolicy]:
    """Those that volumes can be under: they are kept in copies. The default of containers is theirs, too, where it is
    one of these, and the first of these otherwise."""
    usable = [policy for policy in policies if not policy.erasure and not policy.deprecated]
    default = next((policy for policy in usable if policy.default), usable[0] if usable else None)
    return [StoragePolicy(policy.name, policy is default) for policy in usable]
