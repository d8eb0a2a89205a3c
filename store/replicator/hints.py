"""Hints: what a replica missed is noted by those that have it, and brought to it within seconds of its return.

A hint is an entry (device, index key) in the index of a device that took what the other did not
(store.engine.hint_table), so it is as durable as the row itself: what a crash takes of the last second before the index
was written is found by `in_doubt`. Its key names a row, whose newest version, or blocks of whose data, the other lacks;
or data that the other has yet to drop.

When the device takes writes again, rows come first, many at a time, since each is small and one more loss may be the
last; then data, those with the fewest copies to spare before the others. Nothing is read that it has already. A device
that has left the ring gets no hints any more. The scrub is the net below.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import structlog
import trio

from store.core.clock import Clock
from store.core.errors import DrystoneError
from store.device.port import SLOW_SECONDS, DevicePort
from store.device.row import PREFIX_BYTES, SYSTEM, IndexRow, RowKey, key_shard, parse_key
from store.objects.quorum_read import ReadRow
from store.objects.rowcodec import DataLocation
from store.objects.store import DeviceStore
from store.replicator.bringing import Bringing
from store.replicator.daemon import Daemon, Outcome, Schedule, Turns, many_at_once
from store.replicator.drop import Drop
from store.replicator.progress import ProgressTable
from store.replicator.restore import Restorer
from store.ring import ROWS

log = structlog.get_logger()

SCHEDULE = Schedule(every=2.0, retry=2.0, retry_max=60.0)
PAGE = 512
DATA_MAX = 10_000
"""Objects that are put in order of risk at a time."""
COUNT_MAX = 10_000
"""Of what waits for a device: beyond this it is many."""


class _Hint(NamedTuple):
    """A hint that `holder` keeps."""

    holder: DevicePort
    key: bytes
    noted_us: int


class _Data(NamedTuple):
    """An object some of whose data a device may lack. Copies `to_spare` are those beyond what a read needs."""

    to_spare: int
    hint: _Hint
    key: RowKey
    row: IndexRow
    data_location: DataLocation


def _takes(target: DevicePort) -> bool:
    """Whether it takes writes, as far as is known. One that hangs would keep the others waiting."""
    return target.failed is None and target.slow < SLOW_SECONDS and not target.full


class Hints:
    """Notes what devices miss, and brings it to those of this process."""

    def __init__(self, store: DeviceStore, restorer: Restorer, clock: Clock, progress: ProgressTable) -> None:
        self._store = store
        self._restorer = restorer
        self._clock = clock
        self._last_us = 0
        self._daemon = Daemon(progress.loop("replay hints"), SCHEDULE, self._round)
        store.rows.on_missed = self.note

    async def run(self) -> None:
        """Replay hints for every device that is there, until cancelled."""
        await self._daemon.run()

    def wake(self) -> None:
        """A device is back."""
        self._daemon.wake()

    def note(self, key: bytes, lacking: Iterable[int], having: Iterable[int]) -> None:
        """Some devices lack what this index key names. Those that have it keep that in mind, or else whoever can."""
        if key[PREFIX_BYTES : PREFIX_BYTES + 1] == SYSTEM and key[:1] == b"r":
            return  # an intent is the janitor's: one that a commit has removed elsewhere must not be brought back
        self._last_us = max(self._clock.wall_us(), self._last_us + 1)
        for number in having:
            holder = self._store.devices.get(number)
            if holder is not None and holder.failed is None:
                for other in lacking:
                    if other != number:
                        holder.note_hint(other, key, self._last_us)

    async def waiting(self) -> dict[int, int]:
        """By device, how many hints the devices of this process keep for it: of each no more than COUNT_MAX are
        counted. Whoever cannot wait for a disk limits the time."""
        found: dict[int, int] = {}
        for holder in self._holders():
            for number in await holder.hinted():
                found[number] = found.get(number, 0) + await _count(holder, number)
        return found

    async def replay(self) -> Outcome:
        """One round: everything that is pending for devices that can take it."""
        return await self._daemon.round()

    async def _round(self) -> Outcome:
        done = left = 0
        for number in await self._pending():
            target = self._store.devices.get(number)
            try:
                if number not in self._store.rows.ring.devices:
                    await self._forget_all(number)
                elif target is not None and _takes(target):
                    outcome = await self._replay_for(target)
                    done, left = done + outcome.done, left + outcome.left
            except DrystoneError as error:
                self._daemon.trouble(error)
                left += 1
        return Outcome(done, left)

    def _holders(self) -> list[DevicePort]:
        """Those whose hints can be gone by. One that is not in sync may have what was deleted for good: first it
        rejoins."""
        return [device for device in self._store.own.values() if device.failed is None and device.in_sync]

    async def _pending(self) -> list[int]:
        """The devices that hints are pending for."""
        pending: set[int] = set()
        for holder in self._holders():
            try:
                pending.update(await holder.hinted())
            except DrystoneError as error:
                self._daemon.trouble(error)
        return sorted(pending)

    async def _forget_all(self, number: int) -> None:
        turns = Turns()
        for holder in self._holders():
            while page := await holder.hints(number, b"", PAGE):
                for key, noted_us in page:
                    holder.forget_hint(number, key, noted_us)
                    await turns.take()

    async def _replay_for(self, target: DevicePort) -> Outcome:
        """Rows and drops of all holders, then data."""
        done = left = 0
        data: list[_Data] = []
        for holder in self._holders():
            try:
                outcome = await self._replay_of(holder, target, data)
                done, left = done + outcome.done, left + outcome.left
            except DrystoneError as error:
                self._daemon.trouble(error)
                left += 1
        for each in sorted(data, key=lambda entry: entry.to_spare):
            try:
                await self._bring_data(target, each)
                done += 1
            except DrystoneError as error:
                self._daemon.trouble(error)
                left += 1
        if done:
            log.info("device caught up", device=target.id, done=done, left=left)
        return Outcome(done, left + (len(data) >= DATA_MAX))

    async def _replay_of(self, holder: DevicePort, target: DevicePort, data: list[_Data]) -> Outcome:
        """Rows and drops of one holder; what has data besides goes to `data`."""
        done = left = 0
        after = b""
        while page := await holder.hints(target.id, after, PAGE):
            after = page[-1][0]
            self._daemon.progress.left = -1  # how many is not known: minutes of an outage leave hundreds of thousands
            hints = [_Hint(holder, *entry) for entry in page]
            outcome = await self._bring_page(target, hints, data)
            done, left = done + outcome.done, left + outcome.left
            if len(data) >= DATA_MAX:
                break
            await trio.lowlevel.checkpoint()
        return Outcome(done, left)

    async def _bring_page(self, target: DevicePort, hints: list[_Hint], data: list[_Data]) -> Outcome:
        """Bring rows, all durable when this returns; what has data besides goes to `data`."""
        bringing = Bringing(self._store.rows)
        sent: list[_Hint] = []
        drops: list[tuple[_Hint, Drop]] = []
        done = left = 0

        async def bring(hint: _Hint) -> None:
            nonlocal done, left
            try:
                if hint.key[:1] == b"d":
                    drops.append((hint, Drop(self._store, hint.key[1:], [target.id])))
                elif await self._has(target, hint):  # another holder brought it a moment ago
                    arrived = await self._arrived(target, hint, data)
                    done += arrived
                else:
                    await self._bring_row(target, hint, bringing)
                    sent.append(hint)
            except DrystoneError as error:
                self._daemon.trouble(error)
                left += 1

        async def look(hint: _Hint) -> None:
            nonlocal done, left
            try:
                arrived = await self._has(target, hint)
                if arrived:
                    arrived = await self._arrived(target, hint, data)
                    done += arrived
                else:
                    left += 1
            except DrystoneError as error:
                self._daemon.trouble(error)
                left += 1

        try:
            await many_at_once(hints, bring)
        finally:
            await bringing.wait()
        await many_at_once(sent, look)
        for hint, drop in drops:
            if await drop.wait():
                self._forget(target, hint)
                done += 1
            else:
                left += 1
        return Outcome(done, left)

    async def _held(self, hint: _Hint) -> IndexRow | None:
        """The row, as its holder has it. One that is no replica any more hears nothing of the row: what it has yet to
        forget may have been replaced, or deleted for good."""
        if hint.holder.id not in self._store.rows.ring.replicas_all(ROWS, key_shard(hint.key)[0]):
            return None
        return await hint.holder.find_row(hint.key)

    async def _bring_row(self, target: DevicePort, hint: _Hint, bringing: Bringing) -> None:
        epoch = self._store.rows.ring.epoch
        row = await self._held(hint)
        if row is not None:
            found = ReadRow(row, (hint.holder.id,), epoch)
            await self._restorer.bring(parse_key(hint.key, row.name), hint.key, found, [target], bringing)

    async def _has(self, target: DevicePort, hint: _Hint) -> bool:
        """Whether the target has the row as the holder has it now."""
        row = await self._held(hint)
        if row is None or target.id not in self._store.rows.ring.replicas_all(ROWS, key_shard(hint.key)[0]):
            return True  # it was deleted for good since, which all have confirmed; or its replicas are others now
        there = await target.find_stamp(hint.key)
        return there is not None and there >= row.stamp

    async def _arrived(self, target: DevicePort, hint: _Hint, data: list[_Data]) -> bool:
        """The target has the row. If it should have data too, these come later; whether there are none."""
        row = await self._held(hint)
        data_location = None if row is None else self._restorer.data_location(row)
        if row is None or data_location is None or target.id not in data_location.devices:
            self._forget(target, hint)
            return True
        there = [n for n in data_location.devices if (d := self._store.devices.get(n)) and d.failed is None]
        key = parse_key(hint.key, row.name)
        data.append(_Data(len(there) - 1 - max(data_location.k, 1), hint, key, row, data_location))
        return False

    async def _bring_data(self, target: DevicePort, data: _Data) -> None:
        with self._store.pins.holding(data.row.data_id):
            now = await self._held(data.hint)
            if now is None or now.data_id == data.row.data_id:
                row = data.row if now is None else now  # data that were open may have been sealed since
                data_location = self._restorer.data_location(row) or data.data_location
                written = await self._restorer.data(data.key, row, data_location, only={target.id}, verify=False)
                self._daemon.progress.bytes += written
                if await self._has(target, data.hint):
                    self._forget(target, data.hint)

    def _forget(self, target: DevicePort, hint: _Hint) -> None:
        hint.holder.forget_hint(target.id, hint.key, hint.noted_us)


async def _count(holder: DevicePort, number: int) -> int:
    count = 0
    after = b""
    while count < COUNT_MAX and (page := await holder.hints(number, after, PAGE)):
        count += len(page)
        after = page[-1][0]
        await trio.lowlevel.checkpoint()
    return count
