"""What every device keeps of its cluster, so that no single folder is the cluster's only memory.

Two files in the device's folder, each a versioned value (see store.core.codec) and its XXH3-64 behind it: `cluster`
holds the identity, placement key and policies; `ring` the live layouts, the progress of a change, and what the registry
says of each device. They are rewritten when any of that changes, the ring's before anybody uses it: whoever finds a
device, finds a ring that is not older than any by which it was written to. Only `drystone registry recover` reads them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final

import structlog
import trio

from drystone.cluster import Cluster
from drystone.device_records import RECORD_CODEC, DeviceRecord
from drystone.folder import sync_folder
from store.core.checked import checked, verified
from store.core.codec import Codec
from store.core.errors import DamageError
from store.objects.model import Policy
from store.ring import LAYOUT_CODEC, PROGRESS_CODEC, Ring

log = structlog.get_logger()

CLUSTER_NAME: Final = "cluster"
RING_NAME: Final = "ring"
WRITE_SECONDS: Final = 10.0
"""A device that takes longer hangs; the others' copies do."""


@dataclass(frozen=True)
class RingCopy:
    """The ring as it was at one moment; of two copies the one with the higher (epoch, generation) is newer."""

    generation: int
    ring: Ring
    records: Mapping[int, DeviceRecord]

    @property
    def order(self) -> tuple[int, int]:
        return self.ring.epoch, self.generation


def encode_cluster(cluster: Cluster) -> bytes:
    return checked(_CLUSTER.encode(cluster))


def encode_ring(copy: RingCopy) -> bytes:
    return checked(_RING.encode(_fields_of(copy)))


def decode_ring(data: bytes, cluster_key: bytes) -> RingCopy:
    generation, layouts, progress, records = _RING.decode(verified(data, _named(RING_NAME)))
    ring = Ring(cluster_key, tuple(map(LAYOUT_CODEC.decode, layouts)), PROGRESS_CODEC.decode(progress))
    return RingCopy(generation, ring, {number: RECORD_CODEC.decode(packed) for number, packed in records})


def decode_cluster(data: bytes) -> Cluster:
    return _CLUSTER.decode(verified(data, _named(CLUSTER_NAME)))


def read_cluster_copy(path: str) -> Cluster | None:
    """None where the device has none: it was never opened by a version that keeps one. Raises DamageError, OSError."""
    data = _read(os.path.join(path, CLUSTER_NAME))
    return None if data is None else decode_cluster(data)


def read_ring_copy(path: str, cluster_key: bytes) -> RingCopy | None:
    """The same of the ring."""
    data = _read(os.path.join(path, RING_NAME))
    return None if data is None else decode_ring(data, cluster_key)


class DeviceCopies:
    """Keeps the copies on the devices of this process up to date."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = encode_cluster(cluster)
        self._key = cluster.key
        self._generation = 0
        self._written: dict[str, bytes] = {}
        self._hanging: set[str] = set()
        """Folders in which a write that nobody waits for any more may still come to its end."""

    def found(self, path: str) -> Ring | None:
        """A device is about to be opened: new copies must be taken for newer than what it has. The ring that it knows,
        if it knows one. Blocks.

        Raises DamageError where the device has another placement key: nothing would be found by ours.
        """
        try:
            cluster, ring = read_cluster_copy(path), read_ring_copy(path, self._key)
        except (DamageError, OSError) as error:
            log.warning("a device's copy of the ring cannot be read: it is written anew", path=path, error=str(error))
            return None
        if cluster is not None and cluster.key != self._key:
            raise DamageError(f"the device in {path} has another placement key than cluster.json")
        self._generation = max(self._generation, ring.generation if ring else 0)
        return ring.ring if ring else None

    async def write(self, paths: Iterable[str], ring: Ring, records: Mapping[int, DeviceRecord]) -> None:
        """Have these on all devices in these folders. One that cannot take them is left out, and said. One call at a
        time."""
        content = _RING.encode(_fields_of(RingCopy(0, ring, records)))
        stale = [path for path in paths if self._written.get(path) != content]
        if not stale:
            return
        self._generation += 1
        packed = encode_ring(RingCopy(self._generation, ring, records))
        async with trio.open_nursery() as nursery:
            for path in stale:
                nursery.start_soon(self._write, path, packed, content)

    async def _write(self, path: str, packed: bytes, content: bytes) -> None:
        error = f"no answer in {WRITE_SECONDS:.0f} s"
        if path not in self._hanging:
            with trio.move_on_after(WRITE_SECONDS):
                try:
                    await trio.to_thread.run_sync(self._write_blocking, path, packed, abandon_on_cancel=True)
                except OSError as failure:
                    error = str(failure)
                else:
                    self._written[path] = content
                    return
        log.warning("a device takes no copy of the ring", path=path, error=error)

    def _write_blocking(self, path: str, packed: bytes) -> None:
        self._hanging.add(path)
        try:
            write_copies(path, self._cluster, packed)
        finally:
            self._hanging.discard(path)

    def forget(self, path: str) -> None:
        """Another device may lie there now: write it all again."""
        self._written.pop(path, None)


def write_copies(path: str, cluster: bytes, ring: bytes) -> None:
    """Replace both files in a device's folder, durably. Blocks."""
    replace_durably(path, CLUSTER_NAME, cluster)
    replace_durably(path, RING_NAME, ring)
    sync_folder(path)


def replace_durably(folder: str, name: str, data: bytes) -> None:
    """Replace a file whole; durable when the folder is synced. Blocks."""
    path = os.path.join(folder, name)
    if _read(path) == data:
        return
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


def _named(name: str) -> str:
    return f"a device's file '{name}'"


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


_CLUSTER: Final = Codec[Cluster](
    "cluster copy",
    1,
    lambda cluster: (cluster.id, cluster.key, [list(astuple(policy)) for policy in cluster.policies]),
    {1: lambda fields: Cluster(fields[0], fields[1], tuple(Policy(*policy) for policy in fields[2]))},
)

_RingFields = tuple[int, list[bytes], bytes, list[tuple[int, bytes]]]


def _fields_of(copy: RingCopy) -> _RingFields:
    return (
        copy.generation,
        [LAYOUT_CODEC.encode(layout) for layout in copy.ring.live],
        PROGRESS_CODEC.encode(copy.ring.progress),
        [(number, RECORD_CODEC.encode(record)) for number, record in sorted(copy.records.items())],
    )


def _read_ring_1(fields: Sequence[Any]) -> _RingFields:
    generation, layouts, progress, records = fields
    return generation, list(layouts), progress, [(number, packed) for number, packed in records]


_RING: Final = Codec[_RingFields]("ring copy", 1, lambda fields: fields, {1: _read_ring_1})
