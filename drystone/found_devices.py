"""What the devices that are found here say of their cluster: the newest ring, and which folder is which device."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from drystone.cluster import Cluster, read_cluster
from drystone.device_copies import RingCopy, read_cluster_copy, read_ring_copy
from drystone.folder import CLUSTER_FILE, DataFolder
from store.core.errors import ConflictError, DamageError, DeviceError, NotFoundError
from store.engine.folder import Superblock, find_superblock


@dataclass
class Found:
    """What the devices say: their folders by number, and the newest copies."""

    cluster: Cluster
    copy: RingCopy
    folders: dict[int, str]
    superblocks: dict[int, Superblock]
    said: list[str] = field(default_factory=list)

    @property
    def missing(self) -> dict[int, str]:
        """Devices of the ring that were not found, and their labels."""
        known = self.copy.ring.devices
        return {number: device.label for number, device in known.items() if number not in self.folders}


def find(folder: DataFolder, paths: Iterable[str]) -> Found:
    """Look at the devices below the data folder, in other places that these name, and in `paths`. Changes nothing.

    Raises DrystoneError, saying what to do, where they do not make one cluster.
    """
    said: list[str] = []
    superblocks: dict[str, Superblock] = {}
    for path in paths:
        superblocks[os.path.abspath(path)] = find_superblock(os.path.abspath(path))  # asked for: must be one
    for path in _below(folder):
        _look(path, superblocks, said)
    while True:
        about_copies: list[str] = []
        cluster, copy = _newest(folder, superblocks, about_copies)
        elsewhere = {folder.device(label) for label in _labels(copy)} - superblocks.keys()
        before = len(superblocks)
        for path in sorted(elsewhere):
            _look(path, superblocks, [])
        if len(superblocks) == before:
            break
    said += about_copies
    folders = _choose(superblocks, copy, said)
    return Found(cluster, copy, folders, {number: superblocks[path] for number, path in folders.items()}, said)


def _below(folder: DataFolder) -> list[str]:
    parent = folder.at("devices")
    return sorted(os.path.join(parent, name) for name in os.listdir(parent)) if os.path.isdir(parent) else []


def _look(path: str, superblocks: dict[str, Superblock], said: list[str]) -> None:
    if path not in superblocks:
        try:
            superblocks[path] = find_superblock(path)
        except DeviceError as error:
            said.append(f"left out: {error}")


def _labels(copy: RingCopy) -> list[str]:
    known = copy.ring.devices
    return [copy.records[number].label if number in copy.records else known[number].label for number in known]


def _newest(folder: DataFolder, superblocks: Mapping[str, Superblock], said: list[str]) -> tuple[Cluster, RingCopy]:
    """The cluster that all agree on, and the newest ring that any has."""
    if not superblocks:
        raise NotFoundError(f"no device was found in {folder.at('devices')}: name others with --device PATH")
    if len({superblock.cluster for superblock in superblocks.values()}) > 1:
        places = "".join(f"\n  {path}: cluster {each.cluster.hex()}" for path, each in sorted(superblocks.items()))
        raise ConflictError(f"these devices are not of one cluster; move the others away:{places}")
    clusters: list[Cluster] = []
    if os.path.exists(folder.at(CLUSTER_FILE)):
        clusters.append(read_cluster(folder))
    copies: list[RingCopy] = []
    for path in superblocks:
        try:
            cluster = read_cluster_copy(path)
            if cluster is None:
                said.append(f"{path} keeps no copy of the ring: a version that made none wrote to it last")
                continue
            clusters.append(cluster)
            copy = read_ring_copy(path, cluster.key)
        except (DamageError, OSError) as error:
            said.append(f"{path} is not asked about the ring: {error}")
        else:
            copies += [copy] if copy is not None else []
    if len({(cluster.id, cluster.key) for cluster in clusters}) > 1:
        raise ConflictError(f"the devices and {folder.at(CLUSTER_FILE)} do not agree on the cluster's id and key")
    if not copies:
        raise DamageError("no device keeps a copy of the ring that can be read: there is nothing to recover from")
    return max(clusters, key=lambda cluster: len(cluster.policies)), max(copies, key=lambda copy: copy.order)


def _choose(superblocks: Mapping[str, Superblock], copy: RingCopy, said: list[str]) -> dict[int, str]:
    """One folder for each device of the ring: the incarnation that was known last, where there are several."""
    folders: dict[int, str] = {}
    for number in copy.ring.devices:
        paths = [path for path, superblock in superblocks.items() if superblock.device == number]
        record = copy.records.get(number)
        known = [path for path in paths if record and superblocks[path].incarnation == record.incarnation]
        if len(known or paths) > 1:
            raise ConflictError(f"these folders are all device {number}; move the wrong ones away: {', '.join(paths)}")
        for path in paths:
            if path in (known or paths):
                folders[number] = path
            else:
                said.append(f"left out: {path} is an older device {number}")
    said += [
        f"left out: {path} holds device {superblock.device}, which is not in the ring"
        for path, superblock in superblocks.items()
        if superblock.device not in copy.ring.devices
    ]
    return folders
