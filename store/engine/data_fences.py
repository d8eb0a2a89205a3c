"""The fences of data: which data of a device are shut to writers of lower epochs (`DevicePort.submit_fence`).

z...   a fence                               (store.device.data_fence)

All of them are in memory: they are few, since each is of data that are being written, or whose writer is gone, and a
block that is submitted must not wait for a look at the index.

A fence is in force from the moment it is asked for, and for good only when it is durable. So it may be in force and not
in the index: then its record is on its way, or could not be written, which was said to whoever asked for it. (Not to be
mixed up with `fences`, which is about promises of rows.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from store.core.errors import DamageError, FencedError
from store.device import data_fence as codec
from store.device.data_fence import DataFence, IndexFence
from store.device.row import Location
from store.engine.merged_index import MergedIndex
from store.engine.segment_usage import SegmentUsage

_ALL = 1 << 30


class _InForce(NamedTuple):
    epoch: int
    first: int


class DataFences:
    """All fences of the data on one device."""

    def __init__(
        self, index: MergedIndex, segment_usage: SegmentUsage, on_damage: Callable[[bytes, str], None]
    ) -> None:
        self._index = index
        self._segment_usage = segment_usage
        self._on_damage = on_damage
        self._in_force: dict[bytes, _InForce] = {}
        self.durable: dict[bytes, IndexFence] = {}
        """By data id."""

    def load(self) -> None:
        """Read what the index says. A fence that cannot be read is reported and gone: these data take no blocks of
        their writers then, and the next fence is their first, by which it is told that something is missing."""
        for key, value in self._index.range(b"z", b"{", _ALL):
            try:
                fence = codec.decode_value(key, value)
            except DamageError as error:
                self._on_damage(b"", str(error))
                self._index.put(key, None)
            else:
                self.durable[key[1:]] = fence
                self._in_force[key[1:]] = _InForce(fence.epoch, fence.first)

    def check(self, data_id: bytes, epoch: int) -> None:
        """Whether a writer of this epoch may write a block of these data. Raises FencedError where a higher epoch has
        fenced them, and where nobody has: this is not the device then that the writer fenced, but was made anew."""
        fence = self._in_force.get(data_id)
        if fence is None:
            raise FencedError(f"the data {data_id.hex()} have no fence here: they take no blocks of epoch {epoch}")
        _check_epoch(data_id, epoch, fence)

    def asked(self, data_id: bytes, epoch: int) -> DataFence:
        """The fence to be written for whoever asks for this epoch. Raises FencedError where a higher one is in
        force."""
        fence = self._in_force.get(data_id)
        if fence is None:
            return DataFence(data_id, epoch, first=epoch)
        _check_epoch(data_id, epoch, fence)
        return DataFence(data_id, epoch, fence.first)

    def enforce(self, fence: DataFence) -> None:
        """It was asked for, and its record is on its way."""
        self._in_force[fence.data_id] = _InForce(fence.epoch, fence.first)

    def is_durable(self, fence: DataFence) -> bool:
        """Whether there is nothing to be written."""
        known = self.durable.get(fence.data_id)
        return known is not None and known.epoch == fence.epoch

    def became_durable(self, fence: DataFence, location: Location) -> None:
        """The record of a fence is durable. It is dead where the fence was forgotten on its way."""
        if fence.data_id in self._in_force:
            self._put(fence, location)

    def replay(self, fence: DataFence, location: Location) -> None:
        """A start finds the record of a fence. It may be a copy of one that was in force before a higher one came."""
        before = self._in_force.get(fence.data_id)
        if before is None or before.epoch <= fence.epoch:
            self.enforce(fence)
            self._put(fence, location)

    def forget(self, data_id: bytes) -> bool:
        """Have no fence of these data; whether there was one."""
        known = self.durable.pop(data_id, None)
        if known is not None:
            self._segment_usage.add(known.location, -known.location.length)
            self._index.put(codec.index_key(data_id), None)
        return self._in_force.pop(data_id, None) is not None

    def forget_all(self) -> None:
        """Have none: part of the log is lost, and with it perhaps a higher fence of any data. So nobody is let in whom
        that kept out."""
        for data_id in list(self._in_force):
            self.forget(data_id)

    def is_at(self, data_id: bytes, location: Location) -> bool:
        """Whether this very record is needed."""
        fence = self.durable.get(data_id)
        return fence is not None and fence.location == location

    def move(self, fence: DataFence, old: Location, new: Location) -> None:
        """Need the copy that compaction made, if the old record is still needed."""
        if self.is_at(fence.data_id, old):
            self._put(fence, new)

    def _put(self, fence: DataFence, location: Location) -> None:
        before = self.durable.get(fence.data_id)
        if before is not None:
            self._segment_usage.add(before.location, -before.location.length)
        entry = self.durable[fence.data_id] = IndexFence(fence.epoch, fence.first, location)
        key = codec.index_key(fence.data_id)
        self._index.put(key, codec.encode_value(key, entry))
        self._segment_usage.add(location, location.length)


def _check_epoch(data_id: bytes, epoch: int, fence: _InForce) -> None:
    if epoch < fence.epoch:
        raise FencedError(f"the data {data_id.hex()} are fenced at epoch {fence.epoch}, above {epoch}")
