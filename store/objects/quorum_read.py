"""A quorum read: what the replicas of a row say, asked at once, and the wait for as many answers as a quorum needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from store.core.errors import QuorumError
from store.device.port import DevicePort, FindReply
from store.device.row import STAMP_BYTES, IndexRow, decode_value
from store.objects.hedge import Hedged
from store.ring import quorum


class ReadRow(NamedTuple):
    """The newest version of a row, and the replicas that are known to have it. `epoch` is that of the ring that was
    known before it was looked for: under this it may be brought to others, which refuse it where it may have been
    deleted for good since. Where `waited`, other things have run since it was found: its data may have been dropped,
    unless they were pinned before and it is still the newest (`Rows.pinned`).

    Of a tombstone that is `retired` nothing but the stamp is left, and that may go at each replica at another time. All
    have had it, so it need not be brought to any, and what any has that is not retired came after it, whatever its
    stamp says."""

    row: IndexRow
    replicas: tuple[int, ...]
    epoch: int
    waited: bool = False
    retired: bool = False


class QuorumRead(Hedged[bytes | None]):
    """Its `answers` have the index value of the row at a quorum of its replicas, or None where there is none."""

    __slots__ = ("_devices", "_epoch", "_packed")

    def __init__(self, replicas: Sequence[int], devices: Mapping[int, DevicePort], packed: bytes, epoch: int) -> None:
        """`replicas` in the order in which they are asked, chosen by the ring of this epoch."""
        super().__init__(believed(replicas, devices), quorum(len(replicas)), self._find)
        self._devices = devices
        self._packed = packed
        self._epoch = epoch

    def _find(self, replica: int, reply: FindReply) -> None:
        self._devices[replica].submit_find(self._packed, self._epoch, reply)

    def newest(self) -> ReadRow | None:
        """The newest version that any has."""
        return newest(self._packed, self.answers, self._epoch, waited=self.waited)

    async def wait(self) -> bool:
        """Wait for a quorum. Raises QuorumError."""
        if not await super().wait():
            raise QuorumError("reading a row", self.needed, len(self.answers), self.failures)
        return True


def believed(replicas: Sequence[int], devices: Mapping[int, DevicePort]) -> Iterator[int]:
    """Those that are here and in sync: that one of them has no row counts."""
    for replica in replicas:
        device = devices.get(replica)
        if device is None or not device.in_sync:
            continue
        yield replica


def newest(
    packed: bytes, values: Mapping[int, bytes | None], epoch: int, *, waited: bool, retired: bool = False
) -> ReadRow | None:
    """The newest version that any replica answered with, and all of them that have it; asked under `epoch`. The values
    are those of tombstones that are `retired`, or of none that are."""
    first, stamp, having = b"", b"", []
    for replica, value in values.items():
        if value is None:
            continue
        its = value[:STAMP_BYTES]
        if its > stamp:
            first, stamp, having = value, its, [replica]
        elif its == stamp:
            having.append(replica)
    return ReadRow(decode_value(packed, first), tuple(having), epoch, waited, retired) if having else None
