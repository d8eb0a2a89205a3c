"""Fences in the crash exploration of one device: writers that replace each other, and write blocks of the same data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random

import trio

from store.core.errors import DrystoneError, FencedError
from store.device.block import BlockKey, encode_meta
from store.device.port import Fenced
from store.device.record import Kind, seal
from store.device.row import RowKey
from store.engine.device import Device
from tests.simulation.engine_checks import WrongError
from tests.simulation.engine_model import DataHistory, FenceHistory, Model

OWNER = RowKey(7, b"T" * 16, 0, b"volume")
DATA_AT_ONCE = 3


class FenceClient:
    """What one client does with fenced data. Several do so with the same."""

    def __init__(
        self,
        device: Device,
        model: Model,
        random: Random,
        new_data_id: Callable[[], bytes],
        look_alive: Callable[[], None],
    ) -> None:
        """`look_alive` raises where the power is gone: what is seen afterwards is nobody's answer."""
        self._device = device
        self._model = model
        self._random = random
        self._new_data_id = new_data_id
        self._look_alive = look_alive

    def _some_data(self) -> bytes:
        used = [data_id for data_id, history in self._model.fences.items() if not history.over]
        if len(used) < DATA_AT_ONCE and (not used or self._random.random() < 0.2):
            data_id = self._new_data_id()
            self._model.data[data_id], self._model.fences[data_id] = DataHistory(), FenceHistory()
            return data_id
        return self._random.choice(used)

    async def fence(self) -> None:
        """A writer takes data over, or asks again, or comes too late."""
        data_id = self._some_data()
        history = self._model.fences[data_id]
        # What was forgotten may be back after a crash, and would be above a lower one that was taken meanwhile.
        above = self._random.choice([1, 1, 1, 0, -1] if not history.forgotten else [1])
        epoch = max(1, max(history.tried, default=0) + above)
        higher, forgotten = history.epoch > epoch, history.forgotten
        history.tried.add(epoch)
        answers: list[tuple[Fenced | None, DrystoneError | None, set[BlockKey]]] = []
        answered = trio.Event()

        def reply(_device: int, fenced: Fenced | None, error: DrystoneError | None) -> None:
            answers.append((fenced, error, set(self._model.data[data_id].certain)))
            answered.set()

        try:
            self._device.submit_fence(data_id, epoch, reply)
        except FencedError:
            if epoch >= max(history.tried):
                raise WrongError(f"a fence of {data_id.hex()} was refused though none is higher") from None
            raise
        await answered.wait()
        self._look_alive()
        ((fenced, error, certain),) = answers
        if fenced is None:
            raise error or WrongError("neither an answer nor a reason")
        if history.over or history.forgotten != forgotten:
            return
        if higher:
            raise WrongError(f"a fence of {data_id.hex()} was taken below the one that is there")
        self._judge(data_id, history, epoch, fenced, certain)

    def _judge(self, data_id: bytes, history: FenceHistory, epoch: int, fenced: Fenced, certain: set[BlockKey]) -> None:
        """`certain` are the blocks that were acknowledged when the fence was answered."""
        data, listed = self._model.data[data_id], set(fenced.blocks)
        history.answered(epoch, fenced.first)
        if missing := {key for key in certain if key.block not in listed}:
            raise WrongError(f"blocks {missing} were acknowledged, and a fence has not listed them")
        if unknown := listed - {key.block for key in data.written}:
            raise WrongError(f"a fence lists blocks {unknown}, which nobody wrote or which were gone before")
        for key in [key for key in data.written if key.block not in listed and history.blocks[key] < epoch]:
            del data.written[key]

    async def write(self) -> None:
        """A writer, replaced or not, writes some blocks and perhaps waits for them to be durable."""
        data_id = self._some_data()
        history, data, device = self._model.fences[data_id], self._model.data[data_id], self._device
        epoch = self._random.choice(sorted(history.tried)[-2:] or [1])
        losses, taken = device.data_losses, []
        for _ in range(self._random.randint(1, 3)):
            key = BlockKey(data_id, len(history.blocks), 0)
            history.blocks[key], payload = epoch, self._random.randbytes(self._random.choice([1, 4096, 70_000]))
            sealed = seal(Kind.BLOCK, encode_meta(key, OWNER), payload)
            written = trio.Event()
            try:
                device.submit_block(key, sealed, lambda _error, written=written: written.set(), epoch=epoch)  # type: ignore[misc]
            except FencedError:
                if history.first and epoch >= max(history.tried):
                    raise WrongError(f"a block of {data_id.hex()} was refused though no fence is higher") from None
                raise
            if epoch < history.epoch:
                raise WrongError(f"a block of epoch {epoch} was taken above which {data_id.hex()} is fenced")
            data.written[key] = payload
            taken.append(key)
            if self._random.random() < 0.5:
                await written.wait()
                self._look_alive()
                if history.over:
                    return
        if self._random.random() < 0.5:
            await device.sync_data(losses)
            self._look_alive()
            if not history.over:
                data.certain.update(key for key in taken if key in data.written)
                if lost := [key for key in taken if key not in data.written]:
                    raise WrongError(f"blocks {lost} are durable, and a fence has not listed them")

    def forget(self) -> None:
        """The writer has sealed the data."""
        data_id = self._some_data()
        self._model.fences[data_id].forget()
        self._device.forget_fence(data_id)

    async def drop(self, drop_data: Callable[[bytes], Awaitable[None]], pinned: Callable[[bytes], int]) -> None:
        """Nobody needs the data any more."""
        data_id = self._some_data()
        if pinned(data_id):
            return
        self._model.fences[data_id].over = True
        await drop_data(data_id)
