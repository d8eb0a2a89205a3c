"""A quorum look: what the replicas of a row have, with what is retired and promised, asked before it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from store.core.errors import BusyError, DrystoneError, QuorumError
from store.device.port import DevicePort, Seen, SeenReply
from store.objects.hedge import Hedged
from store.objects.quorum_read import ReadRow, believed, newest
from store.ring import quorum


class QuorumLook(Hedged[Seen]):
    """Its `answers` are those of a quorum of the replicas that are to be believed (docs/consistency.md, "Look"): a
    stamp above their floors is above all that was acknowledged before they were asked."""

    __slots__ = ("_devices", "_epoch", "_packed")

    def __init__(self, replicas: Sequence[int], devices: Mapping[int, DevicePort], packed: bytes, epoch: int) -> None:
        """`replicas` in the order in which they are asked, chosen by the ring of this epoch."""
        super().__init__(believed(replicas, devices), quorum(len(replicas)), self._look)
        self._devices = devices
        self._packed = packed
        self._epoch = epoch

    def _look(self, replica: int, reply: SeenReply) -> None:
        self._devices[replica].submit_look(self._packed, self._epoch, reply)

    def _answered(self, source: int, answer: Seen | None, error: DrystoneError | None) -> None:
        if answer is not None and not answer.believed:
            answer, error = None, BusyError("it is not in sync")
        super()._answered(source, answer, error)

    async def wait(self) -> bool:
        """Wait for a quorum. Raises QuorumError."""
        if not await super().wait():
            raise QuorumError("looking at a row", self.needed, len(self.answers), self.failures)
        return True

    @property
    def floor(self) -> bytes:
        """Nothing below this stamp, packed, is taken by all of them."""
        return max(seen.floor for seen in self.answers.values())

    def newest(self) -> ReadRow | None:
        """The newest version that any has."""
        return newest_seen(self._packed, self.answers, self._epoch, waited=self.waited)


def newest_seen(packed: bytes, answers: Mapping[int, Seen], epoch: int, *, waited: bool) -> ReadRow | None:
    """The newest version among these; a tombstone that is retired only where there is nothing else."""
    for retired in (False, True):
        values = {replica: seen.value for replica, seen in answers.items() if seen.retired == retired}
        found = newest(packed, values, epoch, waited=waited, retired=retired)
        if found is not None:
            return found
    return None
