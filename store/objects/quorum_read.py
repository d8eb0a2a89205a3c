"""A quorum read: what the replicas of a row say, asked at once, and the wait for as many answers as a quorum needs.

Where a replica fails, or does not answer within HEDGE_SECONDS, the next one is asked as well (a hedged request: Dean
and Barroso, The Tail at Scale, 2013). So a device that hangs delays nobody who can do without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import trio

from store.core.errors import BusyError, DrystoneError, QuorumError
from store.device.port import DevicePort
from store.ring import quorum

HEDGE_SECONDS = 0.05
"""Far above what a disk that does its work takes, and little to whoever waits."""
READ_SECONDS = 10.0
"""After this a quorum that is not there will not be."""


class QuorumRead:
    """Used once. Afterwards `answers` has the index value of the row at a quorum of its replicas, or None where there
    is none; `waited` says whether they are of different moments."""

    def __init__(self, replicas: Sequence[int], devices: Mapping[int, DevicePort], packed: bytes, epoch: int) -> None:
        """`replicas` in the order in which they are asked, chosen by the ring of this epoch."""
        self._left = iter(replicas)
        self._needed = quorum(len(replicas))
        self._devices = devices
        self._packed = packed
        self._epoch = epoch
        self._open: set[int] = set()
        self._failures: dict[int, BaseException] = {}
        self._news: trio.Event | None = None
        self.answers: dict[int, bytes | None] = {}
        self.waited = False

    async def run(self) -> None:
        """Wait for a quorum. Raises QuorumError."""
        self._ask_enough()
        if len(self.answers) < self._needed:
            self.waited = True
            with trio.move_on_after(READ_SECONDS):
                await self._wait()
        if len(self.answers) < self._needed:
            silent = {replica: BusyError("it has not answered") for replica in self._open}
            raise QuorumError("reading a row", self._needed, len(self.answers), {**self._failures, **silent})

    async def _wait(self) -> None:
        patience = HEDGE_SECONDS
        while len(self.answers) < self._needed and self._open:
            self._news = trio.Event()
            with trio.move_on_after(patience) as hedge:
                await self._news.wait()
            self._ask_enough()
            if hedge.cancelled_caught and not self._ask():
                patience = READ_SECONDS  # there is nobody else

    def _ask_enough(self) -> None:
        while len(self.answers) + len(self._open) < self._needed and self._ask():
            pass

    def _ask(self) -> bool:
        """Ask the next replica that is in sync, if there is one."""
        for replica in self._left:
            device = self._devices.get(replica)
            if device is None or not device.in_sync:
                continue
            self._open.add(replica)
            try:
                device.submit_find(self._packed, self._epoch, partial(self._answered, replica))
            except DrystoneError as error:
                self._answered(replica, None, error)
            return True
        return False

    def _answered(self, replica: int, value: bytes | None, error: DrystoneError | None) -> None:
        self._open.remove(replica)
        if error is None:
            self.answers[replica] = value
        else:
            self._failures[replica] = error
        if self._news is not None:
            self._news.set()
