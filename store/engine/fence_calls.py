"""Calls of the port about fences of data.

A fence is answered when three things are so, in this order: its record is durable; the blocks that were submitted
before it are here, or are lost; and those that are lost cannot be found by the next start, which takes in whatever is
whole behind the place that the index names. So what it lists is all that there will be of lower epochs.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from store.core.errors import BusyError, DrystoneError, FullError
from store.device.block import data_prefix, parse_key
from store.device.data_fence import DataFence, seal_fence
from store.device.port import Fenced, FenceReply
from store.device.row import Location
from store.engine.parts import Parts

_ALL = 1 << 30


class _Asked(NamedTuple):
    """A fence that is to be answered, and how many blocks were submitted that it has to wait for: those of its data,
    and all before them."""

    fence: DataFence
    submitted: int
    reply: FenceReply


class FenceCalls(Parts):
    """What `DevicePort` says of fences."""

    def submit_fence(self, data_id: bytes, epoch: int, reply: FenceReply) -> None:
        """Take no block of these data below an epoch from now on; `reply` is called when that is durable, with the
        blocks that are here. Raises FencedError, DeviceError, BusyError. It asks for no room: it is tiny, and may be
        what is needed to give room back."""
        self.health.check()
        fence = self.data_fences.asked(data_id, epoch)
        waits = self._bulk.under_way(data_id) or self._flusher.may_bring_back_blocks()
        asked = _Asked(fence, self._bulk.submitted if waits else 0, reply)
        if self.data_fences.is_durable(fence):
            self._await_blocks(asked)
        else:
            self._committer.submit(seal_fence(fence), partial(self._fence_written, asked))
            self.data_fences.enforce(fence)

    def _fence_written(self, asked: _Asked, location: Location | None, error: DrystoneError | None) -> None:
        if location is None or self.health.failed is not None:
            self._answer_fence(asked, error or self.health.failed)
            return
        self.data_fences.became_durable(asked.fence, location)
        self.backlog.changed()
        self._await_blocks(asked)

    def _await_blocks(self, asked: _Asked, _error: DrystoneError | None = None) -> None:
        """Wait for the blocks that were submitted before. A sync that failed is no answer: it says nothing of those
        that are not written yet."""
        try:
            self.health.check()
            if not self._bulk.completed(asked.submitted):
                self._bulk.sync(self._bulk.losses, partial(self._await_blocks, asked))
                return
        except DrystoneError as failure:
            self._answer_fence(asked, failure)
            return
        if self._flusher.may_bring_back_blocks():
            self._flusher.when_written(asked.submitted, partial(self._answer_fence, asked))
            self.backlog.changed()
        else:
            self._answer_fence(asked, None)

    def _answer_fence(self, asked: _Asked, error: DrystoneError | None) -> None:
        if isinstance(error, FullError):
            error = BusyError(f"not now: {error}")
        if error is not None:
            asked.reply(self.id, None, error)
            return
        prefix = data_prefix(asked.fence.data_id)
        look = partial(self._fenced, asked.fence)
        self._fetched(
            lambda fetched: self._lookups.submit_range(prefix, prefix + b"\xff" * 6, _ALL, fetched),
            partial(self._reply, look, asked.reply),
        )

    def _fenced(self, fence: DataFence) -> Fenced:
        here = {parse_key(key).block for key, _ in self.blocks.of(fence.data_id)}
        return Fenced(fence.first, sorted(here))

    def forget_fence(self, data_id: bytes) -> None:
        """These data get no more blocks, from nobody."""
        if self.data_fences.forget(data_id):
            self.backlog.changed()
