"""Reading data: block by block, each verified; a copy or fragment that is bad or missing is passed over, rebuilt from
the others, and reported so that it is repaired. What cannot be had in full is an error, never shorter data."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import partial

import trio

from store.core.errors import DamageError, DeviceError, DrystoneError
from store.core.waits import waited_for_workers
from store.core.worker import Worker, run_in
from store.device.block import BlockKey
from store.device.port import DevicePort, ReadReply
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
        self._devices = devices
        self._worker = worker
        self._data_id = data_id
        self._size = size
        self._data_location = data_location
        self._on_damage = on_damage

    async def read(self, start: int, stop: int) -> AsyncGenerator[Buffer, None]:
        """The bytes [start, stop), in pieces of up to a block. Raises DamageError."""
        block_bytes = self._data_location.block_bytes
        while start < stop:
            block, low = divmod(start, block_bytes)
            length = min(block_bytes, self._size - block * block_bytes)
            high = min(length, stop - block * block_bytes)
            if self._data_location.k:
                for piece in await self._read_stripe(block, length, low, high):
                    yield piece
            else:
                yield await self._read_copy(block, low, high)
            start = block * block_bytes + high

    async def fragments(self, block: int) -> Sequence[Buffer]:
        """What the devices of a block should hold, by fragment: the block itself, or its stripe coded anew."""
        start = block * self._data_location.block_bytes
        stop = min(self._size, start + self._data_location.block_bytes)
        pieces = [piece async for piece in self.read(start, stop)]
        whole = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        data_location = self._data_location
        if not data_location.k:
            return [whole]
        return await run_in(
            self._worker, partial(codec_for(data_location.codec, data_location.k, data_location.m).encode, whole)
        )

    async def _read_copy(self, block: int, low: int, high: int) -> memoryview:
        places = self._data_location.devices
        first = block % len(places)

        def submit(number: int, reply: ReadReply) -> None:
            self._device(number).submit_read(BlockKey(self._data_id, block, 0), low, high, reply)

        asked = Hedged[memoryview]((*places[first:], *places[:first]), 1, submit)
        if not asked.ask():
            await asked.wait()
        for piece in asked.answers.values():
            self._report(asked.failures)
            return piece
        raise DamageError(f"no good copy of block {block} of {self._data_id.hex()}: {asked.failures}")

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
