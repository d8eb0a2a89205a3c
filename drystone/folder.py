"""The data folder: all that one process keeps, in one place.

cluster.json     what the cluster is: id, placement key, policies (see `drystone.cluster`)
registry/        the embedded registry, unless another node has it
node/            who this node is, where it is a member of a cluster (see `drystone.node_identity`)
devices/<n>/     one folder a device, unless it was made in another place
processes/<n>/   the data folders of worker processes (see `drystone.worker_places`)
first-start      while the first start makes all this
control.sock     where the running process answers the other commands
nbd.sock         where it serves volumes, by NBD
admin-openrc, clouds.yaml, rclone.conf    for clients
"""

from __future__ import annotations

import os

from store.core.errors import DamageError, NotFoundError

CLUSTER_FILE = "cluster.json"
NBD_SOCKET = "nbd.sock"


class DataFolder:
    """Paths of a data folder, and files in it that are replaced whole."""

    def __init__(self, path: str, devices: str | None = None) -> None:
        """`devices` is the folder below which its devices are, if that is another one: that of a worker process has
        those of the folder that it works for."""
        self.path = os.path.abspath(path)
        self._devices = self.path if devices is None else os.path.abspath(devices)

    def at(self, *parts: str) -> str:
        return os.path.join(self.path, *parts)

    @property
    def registry(self) -> str:
        return self.at("registry")

    @property
    def has_registry(self) -> bool:
        return os.path.exists(os.path.join(self.registry, "data.mdb"))

    @property
    def control(self) -> str:
        return self.at("control.sock")

    @property
    def nbd(self) -> str:
        """The socket at which volumes are served: one for all processes that work for the folder."""
        return os.path.join(self._devices, NBD_SOCKET)

    def device(self, label: str) -> str:
        """Where a device lies: its label is a path, relative to this folder or absolute."""
        return os.path.join(self._devices, label)

    def label(self, path: str) -> str:
        """The label of a device in this place."""
        path = os.path.abspath(path)
        inside = os.path.relpath(path, self._devices)
        return path if inside.split(os.sep)[0] == os.pardir else inside

    def need_cluster(self) -> None:
        """Raises NotFoundError in a folder without a cluster, DamageError where the file that says so is lost."""
        if not os.path.exists(self.at(CLUSTER_FILE)):
            if self.has_registry:
                raise DamageError(self.lost(CLUSTER_FILE))
            raise NotFoundError(f"there is no Drystone in {self.path}: start one with 'drystone up --data {self.path}'")

    def lost(self, what: str) -> str:
        """What to say where a part of the folder is missing."""
        return (
            f"{self.path} was in use, but its {what} is missing. Nothing was changed. 'drystone --data {self.path} "
            "registry recover' makes it anew from what every device keeps; see docs/operations.md"
        )

    def write(self, name: str, text: str) -> None:
        """Write a file that only its owner may read, durably and whole."""
        path = self.at(name)
        descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)
        self.sync()

    def sync(self) -> None:
        """Make what was created, renamed and removed in the folder durable."""
        sync_folder(self.path)


def sync_folder(path: str) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
