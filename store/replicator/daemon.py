"""The shape of a loop that works in the background: what every daemon of the replicator has in common.

A `Daemon` runs rounds. A round does what there is to do and says how much is left; what failed is tried again after a
wait that doubles while nothing can be done about it. Nothing that a device or a row does ends a loop.

A round mostly is a `walk` over pages of something on every device: rows, tombstones, notes. One item that fails does
not keep those behind it waiting, nor one device the others. Between a few items requests have their turn (no piece of
work holds the loop for more than milliseconds), and a `Pace` bounds what is read from disks.

A daemon itself then only says what it walks over and what is done about one item.
"""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import TracebackType
from typing import Generic, NamedTuple, Self, TypeVar

import structlog
import trio

from store.core.clock import Clock
from store.core.errors import DrystoneError
from store.device.port import DevicePort
from store.device.row import key_shard
from store.replicator.progress import Progress
from store.ring import RING_HASH_BITS

log = structlog.get_logger()

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

AT_ONCE = 64
"""What waits for disks, and shares their syncs."""
TURN_ITEMS = 16
"""Looked at between two turns of the loop: each takes some ten to a hundred microseconds."""


class Outcome(NamedTuple):
    """What a round did, and how much of what it tried is left for the next; when that is due (seconds from now), where
    the work itself knows."""

    done: int = 0
    left: int = 0
    due_in: float | None = None


class Schedule(NamedTuple):
    """When the next round begins, in seconds after the last: `every` if nothing is left, else `retry`, and twice as
    long each time up to `retry_max` while nothing is done. Whoever wakes the daemon has it begin sooner, but not within
    `rest` of a round that left something; and since something has changed by then, the waits begin anew."""

    every: float = float("inf")
    retry: float = 5.0
    retry_max: float = 300.0
    rest: float = 0.5


class Daemon:
    """Rounds of work. `progress` is filled in here."""

    def __init__(self, progress: Progress, schedule: Schedule, work: Callable[[], Awaitable[Outcome]]) -> None:
        self.progress = progress
        self._schedule = schedule
        self._work = work
        self._wake = trio.Event()

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    async def run(self) -> None:
        """A round now, and whenever one is due or somebody wakes us, until cancelled."""
        schedule = self._schedule
        retry = schedule.retry
        while True:
            self._wake = trio.Event()
            outcome = await self.round()
            wait = schedule.every
            if outcome.due_in is not None:
                wait = outcome.due_in
            elif outcome.left:
                retry = schedule.retry if outcome.done else retry
                wait = min(retry, schedule.every)
                retry = min(2 * retry, schedule.retry_max)
                await trio.sleep(schedule.rest)
            else:
                retry = schedule.retry
            with trio.move_on_after(wait) as waiting:
                await self._wake.wait()
            if not waiting.cancelled_caught:
                retry = schedule.retry

    async def round(self) -> Outcome:
        """One round. What keeps a whole round from its work is noted as trouble, and left for the next."""
        before = self.progress.done
        try:
            outcome = await self._work()
        except DrystoneError as error:
            self.trouble(error)
            outcome = Outcome(0, 1)
        # What was counted as it was done is part of that.
        self.progress.done = max(self.progress.done, before + outcome.done)
        self.progress.left = outcome.left
        self.progress.rounds += 1
        return outcome

    def trouble(self, error: DrystoneError) -> None:
        """Something could not be done now."""
        self.progress.failed += 1
        self.progress.trouble = str(error)


class Retries(Generic[K]):
    """Keys that something is to be done about: at once when they are added, and after longer and longer waits (seconds)
    while that fails, whoever adds them again meanwhile. Beyond `count_max` none is taken."""

    def __init__(self, retry: float, retry_max: float, count_max: float = float("inf")) -> None:
        self._retry = retry
        self._retry_max = retry_max
        self._count_max = count_max
        self._waits: dict[K, float] = {}
        """How long each has waited last; 0: it was not tried yet."""
        self._due: list[tuple[float, int, K]] = []
        self._taken: dict[K, bool] = {}
        """Of those that are being tried, whether they were added again meanwhile."""
        self._count = 0

    def __len__(self) -> int:
        return len(self._waits)

    def __contains__(self, key: K) -> bool:
        return key in self._waits

    def __iter__(self) -> Iterator[K]:
        return iter(self._waits)

    def add(self, key: K) -> bool:
        """Whether the key is new here, and taken."""
        if key in self._taken:
            self._taken[key] = True
        if key in self._waits or len(self._waits) >= self._count_max:
            return False
        self._waits[key] = 0.0
        self._push(0.0, key)
        return True

    def take(self, now: float) -> K | None:
        """One that is due, the longest due first. It stays here until it is `done`, or has `failed`."""
        if self._due and self._due[0][0] <= now:
            key = heapq.heappop(self._due)[2]
            self._taken[key] = False
            return key
        return None

    def done(self, key: K) -> None:
        if self._taken.pop(key):
            self._waits[key] = 0.0  # what was found since may be something else
            self._push(0.0, key)
        else:
            del self._waits[key]

    def failed(self, key: K, now: float) -> None:
        del self._taken[key]
        wait = min(2 * self._waits[key] or self._retry, self._retry_max)
        self._waits[key] = wait
        self._push(now + wait, key)

    def all_due(self) -> None:
        """Try everything again now."""
        self._due = [(0.0, number, key) for number, key in enumerate(self._waits) if key not in self._taken]
        self._count = len(self._due)

    def due_in(self, now: float) -> float:
        """Seconds until the next is due; infinite if there is none."""
        return max(0.0, self._due[0][0] - now) if self._due else float("inf")

    def _push(self, due: float, key: K) -> None:
        self._count += 1
        heapq.heappush(self._due, (due, self._count, key))


class Turns:
    """Lets requests have their turn every few items."""

    def __init__(self) -> None:
        self._items = 0

    async def take(self) -> None:
        self._items += 1
        if self._items % TURN_ITEMS == 0:
            await trio.lowlevel.checkpoint()


async def many_at_once(items: Iterable[T], work: Callable[[T], Awaitable[object]]) -> None:
    """Do the work for each, for AT_ONCE of them at a time: most of it is waiting."""
    left = iter(items)

    async def some(item: T) -> None:
        await work(item)
        await trio.lowlevel.checkpoint()
        for following in left:
            await work(following)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for item in islice(left, AT_ONCE):
            nursery.start_soon(some, item)


class Slots:
    """Does some things at a time, each under its key, while others are found: `async with` waits for the last."""

    def __init__(self, count: int) -> None:
        self._free = trio.Semaphore(count, max_value=count)
        self._under_way: set[bytes] = set()
        self._nursery_manager = trio.open_nursery()
        self._nursery: trio.Nursery

    def __contains__(self, key: bytes) -> bool:
        """Whether it is under way."""
        return key in self._under_way

    async def begin(self, key: bytes, work: Callable[[], Awaitable[object]]) -> None:
        """Begin it as soon as there is a slot."""
        await self._free.acquire()
        self._under_way.add(key)
        self._nursery.start_soon(self._run, key, work)

    async def _run(self, key: bytes, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        finally:
            self._under_way.discard(key)
            self._free.release()

    async def __aenter__(self) -> Self:
        self._nursery = await self._nursery_manager.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._nursery_manager.__aexit__(kind, error, trace)


class Pace:
    """Holds a reader back to so many bytes a second; None: not at all."""

    def __init__(self, rate_bytes: float | None, clock: Clock) -> None:
        self._rate = rate_bytes
        self._clock = clock
        self._free_at = clock.monotonic()

    async def spend(self, count: int) -> None:
        """So many bytes were read: wait until that was due."""
        if self._rate is None:
            return
        now = self._clock.monotonic()
        self._free_at = max(self._free_at, now) + count / self._rate
        if self._free_at > now:
            await trio.sleep(self._free_at - now)


Page = Callable[[DevicePort, bytes], Awaitable[tuple[Sequence[T], bytes]]]
"""Of one device, what lies behind a key, and the key to go on behind (empty at the end)."""


async def walk(
    devices: Mapping[int, DevicePort] | Iterable[DevicePort],
    page: Page[T],
    visit: Callable[[DevicePort, T], Awaitable[bool | None]],
    daemon: Daemon,
    place: Callable[[bytes], float] | None = None,
) -> Outcome:
    """Visit everything on all devices. A visit says whether something was done, or (None) that there was nothing to do.
    What was to be done and was not, or failed, is left; so is a device that fails. `place` says how much of a device is
    before a key, 0 to 1, where that can be told: then the daemon's progress says how far the walk has come."""
    done = left = 0
    turns = Turns()
    walked = list(devices.values() if isinstance(devices, Mapping) else devices)
    for number, device in enumerate(walked):
        after = b""
        try:
            while True:
                items, after = await page(device, after)
                for item in items:
                    try:
                        did = await visit(device, item)
                        done += did is True
                        daemon.progress.done += did is True
                        left += did is False
                    except DrystoneError as error:
                        daemon.trouble(error)
                        left += 1
                    await turns.take()
                if not after:
                    break
                if place is not None:
                    daemon.progress.share = (number + place(after)) / len(walked)
                await trio.lowlevel.checkpoint()
        except DrystoneError as error:
            daemon.trouble(error)
            left += 1
    daemon.progress.share = None
    return Outcome(done, left)


def row_place(packed_key: bytes) -> float:
    """How much of a device's rows is before an index key: names are spread over all places alike."""
    return key_shard(packed_key)[0] / (1 << RING_HASH_BITS)
