"""A quorum read: what the replicas of a row say, asked at once, and the wait for as many answers as a quorum needs.

Where a replica fails, or does not answer within HEDGE_SECONDS, the next one is asked as well (a hedged request: Dean
and Barroso, The Tail at Scale, 2013). So a device that hangs delays nobody who can do without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import trio

from store.core.errors import BusyError, DrystoneError, QuorumError
from store.device.port import DevicePort
from store.ring import quorum

HEDGE_SECONDS = 0.05
"""Far above what a disk that does its work takes, and little to whoever waits."""
READ_SECONDS = 10.0
"""After this a quorum that is not there will not be."""


class QuorumRead:
    """Used once: `ask`, and where that did not do, `wait`. Then `answers` has the index value of the row at a quorum of
    its replicas, or None where there is none; `waited` says whether they are of different moments."""

    __slots__ = (
        "_asked",
        "_devices",
        "_epoch",
        "_failures",
        "_left",
        "_needed",
        "_news",
        "_packed",
        "answers",
        "waited",
    )

    def __init__(self, replicas: Sequence[int], devices: Mapping[int, DevicePort], packed: bytes, epoch: int) -> None:
        """`replicas` in the order in which they are asked, chosen by the ring of this epoch."""
        self._left = iter(replicas)
        self._needed = quorum(len(replicas))
        self._devices = devices
        self._packed = packed
        self._epoch = epoch
        self._asked: list[int] = []
        self._failures: dict[int, BaseException] = {}
        self._news: trio.Event | None = None
        self.answers: dict[int, bytes | None] = {}
        self.waited = False

    def ask(self) -> bool:
        """Ask as many as are needed, and more for those that have failed; whether a quorum has answered."""
        self._ask(self._needed - len(self._asked) + len(self._failures))
        return len(self.answers) >= self._needed

    async def wait(self) -> None:
        """Wait for a quorum. Raises QuorumError."""
        self.waited = True
        with trio.move_on_after(READ_SECONDS):
            patience = HEDGE_SECONDS
            while len(self.answers) < self._needed and self._open:
                self._news = trio.Event()
                with trio.move_on_after(patience) as hedge:
                    await self._news.wait()
                self.ask()
                if hedge.cancelled_caught and not self._ask(1):
                    patience = READ_SECONDS  # there is nobody else
        if len(self.answers) < self._needed:
            silent = {replica: BusyError("it has not answered") for replica in self._open}
            raise QuorumError("reading a row", self._needed, len(self.answers), {**self._failures, **silent})

    @property
    def _open(self) -> list[int]:
        return [replica for replica in self._asked if replica not in self.answers and replica not in self._failures]

    def _ask(self, count: int) -> bool:
        """Ask so many more of the replicas that are in sync; whether there were as many."""
        if count <= 0:
            return True
        for replica in self._left:
            device = self._devices.get(replica)
            if device is None or not device.in_sync:
                continue
            self._asked.append(replica)
            try:
                device.submit_find(self._packed, self._epoch, self._answered)
            except DrystoneError as error:
                self._failures[replica] = error
            if replica not in self._failures:
                count -= 1
                if not count:
                    return True
        return False

    def _answered(self, replica: int, value: bytes | None, error: DrystoneError | None) -> None:
        if error is None:
            self.answers[replica] = value
        else:
            self._failures[replica] = error
        if self._news is not None:
            self._news.set()
