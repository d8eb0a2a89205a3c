"""Where the worker processes of a data folder are: `drystone up --processes N`.

The first process serves the data folder itself and has the control plane. Each other is a worker: a node of its own
(docs/cluster.md) on the same machine, in `processes/<number>` below the folder, with a name, a certificate and an
address of its own. So a worker is to the cluster what any node is, and needs no rules besides.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from drystone.folder import DataFolder
from drystone.node_identity import NodeIdentity
from drystone.node_records import check_name, split_address
from store.core.errors import InvalidError

PROCESSES_MAX: Final = 64
FOLDER: Final = "processes"
PORTS_BEHIND: Final = 1
"""A worker's port is that of the node, its number, and this: the ports next to the node's are those of its etcd."""


@dataclass(frozen=True)
class WorkerPlace:
    """`number` is 2 for the first worker: 1 is the process of the data folder itself."""

    number: int
    name: str
    address: str
    folder: DataFolder


def worker_name(node: str, number: int) -> str:
    """The node that a worker is."""
    return f"{node}-p{number}"


def worker_places(folder: DataFolder, identity: NodeIdentity, count: int) -> Sequence[WorkerPlace]:
    """Those of `count` processes. Raises InvalidError where one cannot have a name or a port."""
    host, port = split_address(identity.address)
    places = []
    for number in range(2, count + 1):
        name, address = worker_name(identity.name, number), f"{_shown(host)}:{port + number + PORTS_BEHIND}"
        check_name(name)
        split_address(address)
        places.append(WorkerPlace(number, name, address, DataFolder(folder.at(FOLDER, str(number)), folder.path)))
    return places


def folder_of_process(folder: DataFolder, number: int) -> DataFolder:
    """The data folder of the process of that number, which is started with it."""
    return DataFolder(folder.path, folder.at(os.pardir, os.pardir)) if number > 1 else folder


def known_count(folder: DataFolder) -> int:
    """How many processes the folder had last. Raises InvalidError for what is not of workers."""
    try:
        names = os.listdir(folder.at(FOLDER))
    except FileNotFoundError:
        return 1
    if not all(name.isascii() and name.isdigit() for name in names):
        raise InvalidError(f"{folder.at(FOLDER)} has more in it than the folders of processes")
    return max(map(int, names), default=1)


def forget_workers(folder: DataFolder, count: int) -> None:
    """Take away the folders of those above so many, which are no nodes any more and have no devices."""
    for number in range(count + 1, known_count(folder) + 1):
        shutil.rmtree(folder.at(FOLDER, str(number)), ignore_errors=True)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
