"""Pins: what data are needed for that perhaps no row names any more, or yet. Each process counts its own, in memory,
and is asked by the others (docs/consistency.md, "Pins").

Two orders make it sound, whatever messages and processes do meanwhile. Who needs data pins them **first**, and looks
then whether their row names them still. Who drops data sees **first** that no look will find them any more, and asks
then. So whoever found them had pinned them before he was asked.

Orphans have no row that says so: a move may put them there at any moment. Who drops those pins them, too, and who moves
asks and looks once more before the copies go that were moved (`store.replicator.rebalance`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Protocol

from store.objects.hedge import ask_at_once


class Need(IntEnum):
    """What data are pinned for."""

    USE = 0
    """They are read, written, copied, repaired or moved."""
    END = 1
    """The upload that wrote them is to be ended here: they are nobody else's to drop."""
    DROP = 2
    """They are looked at as orphans, and dropped if they are."""


USE = (Need.USE,)


class PinHolder(Protocol):
    """Another process of the cluster, which may have data pinned."""

    async def pinned(self, data_ids: Sequence[bytes], needs: Sequence[Need]) -> Collection[bytes]:
        """Which of these it has pinned for any of these needs. Raises DrystoneError where it does not say."""
        ...


class Pins:
    """What is pinned here, and whom to ask what is pinned elsewhere."""

    def __init__(self) -> None:
        self._counts: dict[Need, Counter[bytes]] = {need: Counter() for need in Need}
        self.others: Callable[[], Awaitable[Collection[PinHolder]]] = _nobody
        """Every other process that is a member of the cluster now: a process is one before it serves, and until it is
        known to serve no more. What is awaited must have begun after the call. Raises DrystoneError where that cannot
        be known."""

    def __len__(self) -> int:
        return sum(map(len, self._counts.values()))

    def add(self, data_id: bytes, need: Need = Need.USE) -> None:
        self._counts[need][data_id] += 1

    def remove(self, data_id: bytes, need: Need = Need.USE) -> None:
        counts = self._counts[need]
        counts[data_id] -= 1
        if counts[data_id] <= 0:
            del counts[data_id]

    @contextmanager
    def holding(self, data_id: bytes, need: Need = Need.USE) -> Iterator[None]:
        """Have data pinned meanwhile."""
        self.add(data_id, need)
        try:
            yield
        finally:
            self.remove(data_id, need)

    def held(self, data_ids: Iterable[bytes], needs: Iterable[int] = USE) -> list[bytes]:
        """Which of these are pinned here. Raises ValueError for a need that is none."""
        counts = [self._counts[Need(need)] for need in needs]
        return [data_id for data_id in data_ids if any(data_id in some for some in counts)]

    async def unpinned(self, data_ids: Iterable[bytes], needs: Sequence[Need] = USE) -> set[bytes]:
        """Which of these nobody has pinned for any of these needs, here or elsewhere: to be asked after the look, and
        last. Waits for nothing where there are no other processes. Raises DrystoneError where one does not answer that
        is a member: none is to be dropped then."""
        wanted = set(data_ids)
        wanted.difference_update(self.held(wanted, needs))
        others = list(await self.others()) if wanted else []
        if others:
            asked = list(wanted)
            answers, failures = await ask_at_once(
                range(len(others)), len(others), lambda number: others[number].pinned(asked, needs)
            )
            for error in failures.values():
                raise error
            wanted.difference_update(*answers.values())
        return wanted


async def _nobody() -> Collection[PinHolder]:
    """There is no other process."""
    return ()
