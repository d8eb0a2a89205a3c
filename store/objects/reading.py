"""Reading data: block by block, each verified; a copy or fragment that is bad or missing is passed over, rebuilt from
the others, and reported so that it is repaired. What cannot be had in full is an error, never shorter data."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Container, Mapping, Sequence
from functools import partial

import trio

from store.core.errors import DamageError, DeviceError, DrystoneError
from store.core.waits import waited_for_workers
from store.core.worker import Worker, run_in
from store.device.block import BlockKey
from store.device.port import DevicePort, ReadReply
from store.objects.block_lengths import BlockLengths
from store.objects.erasure import codec_for
from store.objects.hedge import Hedged
from store.objects.rowcodec import DataLocation

Buffer = bytes | bytearray | memoryview


def read_first(data_location: DataLocation, block: int, position: int) -> bool:
    """Whether reads ask this place for a block before any other: the copies of one object take turns; of a stripe, the
    fragments that are the data themselves."""
    return position < data_location.k if data_location.k else position == block % len(data_location.devices)


class _StripeRead(Hedged[memoryview]):
    """The fragments that are wanted, or, where one of them fails or is late, any k."""

    def __init__(self, wanted: range, data_location: DataLocation, submit: Callable[[int, ReadReply], None]) -> None:
        others = (number for number in range(data_location.k + data_location.m) if number not in wanted)
        super().__init__((*wanted, *others), len(wanted), submit)
        self._wanted = wanted
        self._devices = data_location.devices
        self._k = data_location.k

    @property
    def enough(self) -> bool:
        return len(self.answers) >= self._k or all(number in self.answers for number in self._wanted)

    def _device(self, source: int) -> int:
        return self._devices[source]

    def _late(self) -> None:
        self.needed = self._k
        super()._late()

    def _failed(self, source: int, error: DrystoneError) -> None:
        self.needed = self._k
        super()._failed(source, error)


class DataReader:
    """Reads the data of one object."""

    def __init__(
        self,
        devices: Mapping[int, DevicePort],
        worker: Worker,
        data_id: bytes,
        size: int,
        data_location: DataLocation,
        on_damage: Callable[[], None],
    ) -> None:
        """Raises DamageError where the size is not that of all blocks."""
        self._devices = devices
        self._worker = worker
        self._data_id = data_id
        self._lengths = BlockLengths(data_location, size)
        self._data_location = data_location
        self._on_damage = on_damage

    async def read(self, start: int, stop: int) -> AsyncGenerator[Buffer, None]:
        """The bytes [start, stop), in pieces of up to a block. Raises DamageError."""
        while start < stop:
            block, low = self._lengths.find(start)
            length = self._lengths.length(block)
            high = min(length, low + stop - start)
            if self._data_location.k:
                for piece in await self._read_stripe(block, length, low, high):
                    yield piece
            else:
                yield await self.read_copy(block, low, high)
            start += high - low

    async def fragments(self, block: int, bad: Container[int] = ()) -> Sequence[Buffer]:
        """What the devices of a block should hold, by fragment: the block itself, or its stripe coded anew. A copy at a
        device that is known to have a `bad` one is not read."""
        data_location, length = self._data_location, self._lengths.length(block)
        if not data_location.k:
            return [await self.read_copy(block, 0, length, bad)]
        whole = b"".join(await self._read_stripe(block, length, 0, length))
        return await run_in(
            self._worker, partial(codec_for(data_location.codec, data_location.k, data_location.m).encode, whole)
        )

    async def read_copy(self, block: int, low: int, high: int, bad: Container[int] = ()) -> memoryview:
        """Bytes [low, high) of one block of replicated data, from a home that is not known to be `bad`. Raises
        DamageError."""
        places = self._data_location.devices
        first = block % len(places)
        if not bad and (at_hand := self.read_now(block, low, high)) is not None:
            return at_hand

        def submit(number: int, reply: ReadReply) -> None:
            def answered(device: int, piece: memoryview | None, error: DrystoneError | None) -> None:
                if piece is not None and len(piece) != high - low:
                    piece, error = None, DamageError(f"block {block} of {self._data_id.hex()} is too short")
                reply(device, piece, error)

            self._device(number).submit_read(BlockKey(self._data_id, block, 0), low, high, answered)

        in_turn = [place for place in (*places[first:], *places[:first]) if place not in bad]
        asked = Hedged[memoryview](in_turn, 1, submit)
        if not asked.ask():
            await asked.wait()
        for piece in asked.answers.values():
            self._report(asked.failures)
            return piece
        raise DamageError(
            f"no good copy of block {block} of {self._data_id.hex()}: {asked.failures or 'all are known to be bad'}"
        )

    def read_now(self, block: int, low: int, high: int) -> memoryview | None:
        """The same, where the home that is asked first has them at hand; else None."""
        places = self._data_location.devices
        device = self._devices.get(places[block % len(places)])
        piece = None if device is None else device.read_now(BlockKey(self._data_id, block, 0), low, high)
        return piece if piece is not None and len(piece) == high - low else None

    async def _read_stripe(self, block: int, length: int, low: int, high: int) -> list[Buffer]:
        data_location = self._data_location
        codec = codec_for(data_location.codec, data_location.k, data_location.m)
        part_bytes = -(-length // data_location.k)
        wanted = range(low // part_bytes, -(-high // part_bytes))

        def submit(number: int, reply: ReadReply) -> None:
            device = self._device(data_location.devices[number])

            def answered(_device: int, fragment: memoryview | None, error: DrystoneError | None) -> None:
                reply(number, fragment, error)

            device.submit_read(BlockKey(self._data_id, block, number), 0, None, answered)

        asked = _StripeRead(wanted, data_location, submit)
        if not asked.ask():
            await asked.wait()
        self._report(asked.failures)
        fragments = asked.answers
        if all(number in fragments for number in wanted):
            pieces: list[Buffer] = []
            for number in wanted:
                first = number * part_bytes
                pieces.append(codec.part(fragments[number])[max(0, low - first) : min(part_bytes, high - first)])
            return pieces
        if len(fragments) < data_location.k:
            raise DamageError(
                f"stripe {block} of {self._data_id.hex()}: {len(fragments)} good fragments of {data_location.k}: "
                f"{asked.failures}"
            )
        return [(await self._rebuild(fragments, length))[low:high]]

    async def _rebuild(self, fragments: Mapping[int, Buffer], length: int) -> memoryview:
        """A stripe from any k of its fragments, of which more may come while it is decoded."""
        data_location = self._data_location
        codec = codec_for(data_location.codec, data_location.k, data_location.m)
        since = trio.current_time()
        decoded = await run_in(self._worker, partial(codec.decode, dict(fragments), length))
        waited_for_workers(since)
        return memoryview(decoded)

    def _report(self, failures: Mapping[int, BaseException]) -> None:
        """Have damage repaired. A device that is out is none: it has what it had, and what it misses is known."""
        if any(isinstance(error, DamageError) for error in failures.values()):
            self._on_damage()

    def _device(self, number: int) -> DevicePort:
        device = self._devices.get(number)
        if device is None:
            raise DeviceError(f"device {number} is not there")
        return device
