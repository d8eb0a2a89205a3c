"""Takeover: whoever opens a volume decides what of its log counts, and shuts it to all who wrote it before.

From the root of the volume's head on, each log object is looked at. One that is open is fenced under the new epoch at
so many of its homes that no frame can come to count any more which these do not know; the longest row of frames without
a gap that any of them has is brought to enough devices, durably; and the object is sealed with it. The first number
that nobody has opened is opened here. What counts is what rows say: where another was faster, that is taken as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import structlog

from store.blocks.contents import Contents
from store.blocks.fencing import FenceAnswers, fence
from store.blocks.frame import Frame, decode_header, header_bytes
from store.blocks.log_object import LogObject, parse_row, row_name
from store.blocks.object_rows import ObjectRows, TakenError
from store.blocks.open_object import OpenObject
from store.blocks.place import BLOCK_BYTES
from store.core.deadline import within
from store.core.errors import BusyError, DamageError, DrystoneError, FullError, RetryableError
from store.core.wait_group import WaitGroup
from store.device.block import BlockKey, encode_meta
from store.device.port import DURABLE_SECONDS, DevicePort
from store.device.record import Buffer, Kind, Sealed, seal
from store.device.row import RowKey
from store.objects.placement import verdict

log = structlog.get_logger()


class Taken(NamedTuple):
    """What a takeover has come to: the sealed objects behind the root, in their order; the next object, which is open
    now, or why there is no room for it; its number, and the sequence number of its first frame."""

    objects: list[LogObject]
    opened: OpenObject | FullError
    number: int
    sequence: int


async def take_over(rows: ObjectRows, first: int, sequence: int) -> Taken:
    """Decide the log from the object `first` on. What counts before that ends with the frame `sequence`, or goes on in
    it; 0 says that there is none. Raises OwnerReplacedError where somebody with a higher epoch takes over;
    RetryableErrors and DamageError where it cannot be decided: nothing is lost, and it may be tried again."""
    objects: list[LogObject] = []
    number = first
    last = None if sequence else 0
    while True:
        row = await rows.table.load(row_name(number))
        if row is None:
            try:
                opened: OpenObject | FullError = await rows.open(number)
            except TakenError:
                continue  # by the one who wrote before, or by another who takes over: that is fenced, too
            except FullError as error:
                # What counts is decided. Who opens this one with a lower epoch learns from the head that it may not.
                await rows.check_owner()
                opened = error
            last = sequence if last is None else last
            if last < sequence:
                raise DamageError(f"the log ends before frame {sequence}, which the map has")
            return Taken(objects, opened, number, last + 1)
        found = parse_row(number, row)
        if found.contents is None:
            found = await _decide(rows, found, last)
        assert found.contents is not None
        if found.contents.frames:
            last = found.contents.frames[-1].sequence
        objects.append(found)
        number += 1


async def _decide(rows: ObjectRows, found: LogObject, last: int | None) -> LogObject:
    """Fence and seal an object that is open. `last` is the sequence number of the frame before it, None where that is
    not known: then its first frame says."""
    asked = await fence(rows.devices, found.homes, found.data_id, rows.epoch, len(found.homes) - rows.needed + 1)
    # A home that was made anew since the writer fenced it has lost what it had.
    homes = [home for home, fenced in asked.fenced.items() if fenced.first == found.epoch]
    lacking = len(found.homes) - rows.needed + 1
    if len(homes) < lacking:
        failures: dict[int, BaseException] = {home: _made_anew(home) for home in asked.fenced if home not in homes}
        raise verdict("taking a volume over", lacking, len(homes), {**failures, **asked.failures})
    having = {home: set(asked.fenced[home].blocks) for home in homes}
    history = _History(rows, found, having)
    frames = await history.frames(last)
    key = rows.table.key(row_name(found.number))
    contents = Contents()
    for frame, header in frames:
        contents.append(frame, header // BLOCK_BYTES)
    placed = _Placed(found.homes, ())
    if frames:
        placed = await _bring(rows, found, key, history, len(frames), asked)
    log.info("a log object was taken over", object=found.number, frames=len(frames), epoch=rows.epoch)
    sealed = await rows.seal(found.number, found.data_id, placed.homes, contents, placed.lacking)
    if sealed.contents is None:
        raise RetryableError(f"log object {found.number} changes while it is taken over")
    for home in {*found.homes, *placed.homes}:
        if home in rows.devices:
            rows.devices[home].forget_fence(found.data_id)
    return sealed


class _Placed(NamedTuple):
    """Where an object is. Homes that are `lacking` it are brought it by repair, if they come back."""

    homes: tuple[int, ...]
    lacking: tuple[int, ...]


class _History:
    """The frames of an object that is open, from wherever they are."""

    def __init__(self, rows: ObjectRows, found: LogObject, having: Mapping[int, set[int]]) -> None:
        self._devices = rows.devices
        self._found = found
        self._needed = rows.needed
        self.having = having

    async def frames(self, last: int | None) -> list[tuple[Frame, int]]:
        """The longest row of frames without a gap that also goes on from the one before, each with the bytes of its
        header. Raises DamageError where one that may have counted cannot be read."""
        frames: list[tuple[Frame, int]] = []
        while (payload := await self.read(len(frames))) is not None:
            header = header_bytes(payload)
            frame = decode_header(payload[:header])
            if frame.epoch != self._found.epoch or (last is not None and frame.sequence != last + 1):
                break
            if len(payload) != header + frame.pages * BLOCK_BYTES:
                raise DamageError(f"frame {len(frames)} of log object {self._found.number} has another length")
            frames.append((frame, header))
            last = frame.sequence
        return frames

    async def read(self, block: int) -> memoryview | None:
        """A frame; None where none of those that were asked has it."""
        failures: dict[int, DrystoneError] = {}
        those = [home for home, blocks in self.having.items() if block in blocks]
        for home in those:
            try:
                return await self._devices[home].read_block(BlockKey(self._found.data_id, block, 0))
            except DrystoneError as error:
                failures[home] = error
        unknown = len(self._found.homes) - len(self.having)
        if those and len(those) + unknown >= self._needed:
            raise DamageError(f"frame {block} of log object {self._found.number} cannot be read: {failures}")
        return None


async def _bring(
    rows: ObjectRows, found: LogObject, key: RowKey, history: _History, count: int, asked: FenceAnswers
) -> _Placed:
    """Have the first `count` frames at enough devices, durably. Where too few homes can be written, others stand in for
    them."""
    losses = {home: asked.losses[home] for home in asked.fenced}
    try:
        wanted = rows.choose(found.data_id)[0]
    except FullError:
        wanted = found.homes  # nobody has room to stand in for them, and perhaps nobody has to
    spare = [home for home in wanted if home not in losses and home not in found.homes]
    failures: dict[int, BaseException] = dict(asked.failures)
    good: list[int] = []
    for home in (*losses, *spare):
        if home in spare and len(good) >= rows.needed:
            break
        try:
            device = rows.devices[home]
            if home in spare:
                answer = await fence(rows.devices, [home], found.data_id, rows.epoch, 1)
                if home not in answer.fenced:
                    raise answer.failures[home]
                losses[home] = answer.losses[home]
            has = history.having.get(home, set())
            await _write(device, key, found, history, [n for n in range(count) if n not in has], rows.epoch)
            with within(DURABLE_SECONDS):
                await device.sync_data(losses[home])
            good.append(home)
        except DrystoneError as error:
            failures[home] = error
    if len(good) < rows.needed:
        raise verdict("taking a volume over", rows.needed, len(good), failures)
    rest = [home for home in dict.fromkeys((*found.homes, *wanted)) if home not in good]
    rest = rest[: max(0, len(wanted) - len(good))]  # it may have been opened with fewer than there should be
    return _Placed((*good, *rest), tuple(rest))


async def _write(
    device: DevicePort, key: RowKey, found: LogObject, history: _History, blocks: list[int], epoch: int
) -> None:
    for block in blocks:
        payload = await history.read(block)
        if payload is None:
            raise DamageError(f"frame {block} of log object {found.number} cannot be read any more")
        block_key = BlockKey(found.data_id, block, 0)
        waiting = WaitGroup()
        waiting.add()
        device.submit_block(block_key, _sealed(block_key, key, payload), waiting.done, epoch=epoch)
        with within(DURABLE_SECONDS):
            await waiting.wait()


def _sealed(block_key: BlockKey, key: RowKey, payload: Buffer) -> Sealed:
    return seal(Kind.BLOCK, encode_meta(block_key, key), payload)


def _made_anew(home: int) -> BusyError:
    return BusyError(f"device {home} was made anew since the volume was written")
