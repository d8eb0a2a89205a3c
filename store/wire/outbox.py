"""What is to be sent on a link: the foreground first, in order within each. Sans-I/O."""

from __future__ import annotations

from collections import deque
from typing import Final

from store.wire.frame import Buffer

_PASSED_MAX: Final = 8
"""So often the foreground goes first before a frame of the background does."""


class Outbox:
    """Frames that wait for the stream. A frame is never parted: one that has begun is finished first."""

    __slots__ = ("_background", "_foreground", "_passed", "waiting_bytes")

    def __init__(self) -> None:
        self._foreground: deque[tuple[bytes, Buffer]] = deque()
        self._background: deque[tuple[bytes, Buffer]] = deque()
        self._passed = 0
        self.waiting_bytes = 0
        """Of both, and of what was taken and has not left."""

    def __bool__(self) -> bool:
        return bool(self._foreground or self._background)

    def put(self, front: bytes, payload: Buffer, *, background: bool = False) -> None:
        """Add a frame: its front and its payload."""
        (self._background if background else self._foreground).append((front, payload))
        self.waiting_bytes += len(front) + len(payload)

    def take(self, bytes_max: int) -> list[Buffer]:
        """Buffers to send next: whole frames of about so many bytes, at least one. Whatever is in the foreground goes
        first, but the background is not passed over for ever."""
        buffers: list[Buffer] = []
        taken = 0
        while self and (not buffers or taken < bytes_max):
            queue = self._next()
            front, payload = queue.popleft()
            taken += len(front) + len(payload)
            buffers.append(front)
            if payload:
                buffers.append(payload)
        return buffers

    def left(self, count: int) -> None:
        """So many bytes of what was taken have left."""
        self.waiting_bytes -= count

    def _next(self) -> deque[tuple[bytes, Buffer]]:
        if not self._background:
            return self._foreground
        if self._foreground and self._passed < _PASSED_MAX:
            self._passed += 1
            return self._foreground
        self._passed = 0
        return self._background

    def clear(self) -> None:
        """Nothing is to be sent any more."""
        self._foreground.clear()
        self._background.clear()
        self.waiting_bytes = 0
