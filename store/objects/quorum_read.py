"""A quorum read: what the replicas of a row say, asked at once, and the wait for as many answers as a quorum needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from store.core.errors import QuorumError
from store.device.port import DevicePort, FindReply
from store.objects.hedge import Hedged
from store.ring import quorum


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
