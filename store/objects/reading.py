"""Reading data: block by block, each verified; a copy or fragment that is bad or missing is passed over, rebuilt from
the others, and reported so that it is repaired. What cannot be had in full is an error, never shorter data."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import partial

from store.core.errors import DamageError, DeviceError, DrystoneError
from store.core.worker import Worker, run_in
from store.device.block import BlockKey
from store.device.port import DevicePort
from store.objects.erasure import codec_for
from store.objects.rowcodec import DataLocation

Buffer = bytes | bytearray | memoryview


class Pins:
    """Counts by data id who needs data that perhaps no row names: what is read, written or repaired is not dropped."""

    def __init__(self) -> None:
        self._counts: Counter[bytes] = Counter()

    def add(self, data_id: bytes) -> None:
        self._counts[data_id] += 1

    def remove(self, data_id: bytes) -> None:
        self._counts[data_id] -= 1
        if self._counts[data_id] <= 0:
            del self._counts[data_id]

    def __contains__(self, data_id: bytes) -> bool:
        return data_id in self._counts

    def shared(self, data_id: bytes) -> bool:
        """Whether anyone beside the one who asks has these data pinned."""
        return self._counts[data_id] > 1


def read_first(data_location: DataLocation, block: int, position: int) -> bool:
    """Whether reads ask this place for a block before any other: the copies of one object take turns; of a stripe, the
    fragments that are the data themselves."""
    return position < data_location.k if data_location.k else position == block % len(data_location.devices)


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
        whole = b"".join([bytes(piece) async for piece in self.read(start, stop)])
        data_location = self._data_location
        if not data_location.k:
            return [whole]
        return await run_in(
            self._worker, partial(codec_for(data_location.codec, data_location.k, data_location.m).encode, whole)
        )

    async def _read_copy(self, block: int, low: int, high: int) -> memoryview:
        places = self._data_location.devices
        failures: dict[int, BaseException] = {}
        for turn in range(len(places)):
            number = places[(block + turn) % len(places)]
            try:
                piece = await self._device(number).read_block(BlockKey(self._data_id, block, 0), low, high)
            except DrystoneError as error:
                failures[number] = error
                continue
            self._report(failures)
            return piece
        raise DamageError(f"no good copy of block {block} of {self._data_id.hex()}: {failures}")

    async def _read_stripe(self, block: int, length: int, low: int, high: int) -> list[Buffer]:
        data_location = self._data_location
        codec = codec_for(data_location.codec, data_location.k, data_location.m)
        part_bytes = -(-length // data_location.k)
        pieces: list[Buffer] = []
        fragments: dict[int, Buffer] = {}
        for number in range(low // part_bytes, -(-high // part_bytes)):
            try:
                fragment = await self._read_fragment(block, number)
            except DrystoneError as error:
                return [await self._rebuild(block, length, low, high, fragments, number, error)]
            fragments[number] = fragment
            first = number * part_bytes
            pieces.append(codec.part(fragment)[max(0, low - first) : min(part_bytes, high - first)])
        return pieces

    async def _rebuild(
        self,
        block: int,
        length: int,
        low: int,
        high: int,
        fragments: dict[int, Buffer],
        missing: int,
        why: BaseException,
    ) -> memoryview:
        """A part of a stripe from any k of its fragments."""
        data_location = self._data_location
        failures = {missing: why}
        for number in range(data_location.k + data_location.m):
            if len(fragments) == data_location.k:
                break
            if number in fragments or number == missing:
                continue
            try:
                fragments[number] = await self._read_fragment(block, number)
            except DrystoneError as error:
                failures[number] = error
        self._report(failures)
        if len(fragments) < data_location.k:
            raise DamageError(
                f"stripe {block} of {self._data_id.hex()}: {len(fragments)} good fragments of {data_location.k}: "
                f"{failures}"
            )
        decode = partial(codec_for(data_location.codec, data_location.k, data_location.m).decode, fragments, length)
        return memoryview(await run_in(self._worker, decode))[low:high]

    async def _read_fragment(self, block: int, number: int) -> memoryview:
        device = self._device(self._data_location.devices[number])
        return await device.read_block(BlockKey(self._data_id, block, number))

    def _report(self, failures: Mapping[int, BaseException]) -> None:
        """Have damage repaired. A device that is out is none: it has what it had, and what it misses is known."""
        if any(isinstance(error, DamageError) for error in failures.values()):
            self._on_damage()

    def _device(self, number: int) -> DevicePort:
        device = self._devices.get(number)
        if device is None:
            raise DeviceError(f"device {number} is not there")
        return device
