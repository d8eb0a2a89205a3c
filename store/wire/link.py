"""A link: frames both ways over one stream, from the handshake until it breaks. The trio shell around the codec.

Sending is a plain call: frames are put into the outbox, and one task writes what has come together since it wrote last,
so that many messages of one turn of the event loop leave with one system call.

Whoever says nothing for `DEAD_SECONDS` is taken for dead: each side says something at least every `PING_SECONDS`.
Whoever does not read finds that it is not read from either: what waits for it is bounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import trio

from store.wire.errors import ProtocolError, UnreachableError
from store.wire.frame import HELLO_BYTES_MAX, Buffer, Frame, FrameReader, encode
from store.wire.message import GOODBYE, PING, PONG, Hello, agree, check_shape
from store.wire.outbox import Outbox

PING_SECONDS: Final = 1.0
DEAD_SECONDS: Final = 5.0
HELLO_SECONDS: Final = 5.0
"""For a handshake, that of TLS included."""
WAITING_BYTES_MAX: Final = 32 * 1024 * 1024
"""While so much waits to be sent, nothing more is read: the answers are for who does not take them."""
STREAM_BYTES_MAX: Final = 8 * 1024 * 1024
"""While so much waits to be sent, items of streams wait, too: whatever their credit, they do not stop the reading."""
_READ_BYTES: Final = 128 * 1024
_WRITE_BYTES: Final = 256 * 1024
_JOINED_MAX: Final = 64 * 1024
"""Buffers that come to so much are copied into one."""

OnFrame = Callable[[int, Frame], None]
"""Called with the kind of each message and the message. Raises ProtocolError for one that must not be."""


class Link:
    """One stream that has been opened, to be used by `begin`, then `run`."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._reader = FrameReader(HELLO_BYTES_MAX, 0)
        self._outbox = Outbox()
        self._writer: trio.lowlevel.Task | None = None
        self._drained = trio.Event()
        self._heard = trio.current_time()
        self._said = -math.inf
        self._half_sent = False
        """Whether a batch has begun to leave: nothing else may be said in the middle of a frame."""
        self._ended = False
        self._early: list[Frame] = []
        """What came in one read with the handshake."""

    @property
    def waiting_bytes(self) -> int:
        """What was sent and has not left."""
        return self._outbox.waiting_bytes

    # -- the handshake -------------------------------------------------------------------------------------------

    async def begin(self, mine: Hello, *, asked: bool) -> tuple[Hello, int]:
        """Say who this is and hear who the other is; whoever was `asked` speaks second. The other's hello, and the
        version that both speak. Raises ProtocolError, UnreachableError."""
        try:
            with trio.fail_after(HELLO_SECONDS):
                if not asked:
                    await self._stream.send_all(encode(mine.fields()))
                theirs = Hello.of((await self._first()).fields)
                try:
                    version = agree(mine, theirs)
                except ProtocolError as error:
                    await self._stream.send_all(encode((GOODBYE, str(error))))
                    raise
                if asked:
                    await self._stream.send_all(encode(mine.fields()))
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError, OSError) as error:
            raise UnreachableError(f"no handshake: {error or type(error).__name__}") from error
        return theirs, version

    async def _first(self) -> Frame:
        while not self._early:
            data = await self._stream.receive_some(_READ_BYTES)
            if not data:
                raise UnreachableError("the other side closed the link before it said who it is")
            self._early = self._reader.feed(data)
        return self._early.pop(0)

    # -- afterwards ----------------------------------------------------------------------------------------------

    def send(self, fields: tuple[Any, ...], payload: Buffer = b"", *, background: bool = False) -> None:
        """Send a message. Returns at once; where the link has ended, nothing is sent. Raises ProtocolError for what is
        too large. The payload must not change until it has left."""
        if self._ended:
            return
        self._outbox.put(encode(fields, payload), payload, background=background)
        if self._writer is not None:
            task, self._writer = self._writer, None
            trio.lowlevel.reschedule(task)

    async def room(self) -> None:
        """Wait until little enough waits to be sent that an item of a stream may be put behind it."""
        while self._outbox.waiting_bytes > STREAM_BYTES_MAX:
            await self._drained.wait()

    async def run(self, on_frame: OnFrame, head_max: int, payload_max: int) -> None:
        """Serve the link until it ends: never returns, but raises UnreachableError, or ProtocolError for what the other
        side must not send, with the reason. Frames above the limits are refused."""
        self._reader.allow(head_max, payload_max)
        reason: UnreachableError | ProtocolError = UnreachableError("the link has ended")
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write)
                nursery.start_soon(self._watch)
                await self._read(on_frame)
        except* (trio.BrokenResourceError, trio.ClosedResourceError, OSError) as group:
            reason = UnreachableError(f"the link broke: {_first_of(group)}")
        except* UnreachableError as group:
            reason = UnreachableError(str(_first_of(group)))
        except* ProtocolError as group:
            reason = ProtocolError(str(_first_of(group)))
        finally:
            self._ended = True
            self._outbox.clear()
            if not isinstance(reason, ProtocolError):
                await trio.aclose_forcefully(self._stream)
        if isinstance(reason, ProtocolError):
            await self.refuse(str(reason))
        raise reason

    async def refuse(self, why: str) -> None:
        """End the link, and say why."""
        self._ended = True
        if not self._half_sent:
            with trio.move_on_after(PING_SECONDS, shield=True):
                await self._say_goodbye(why)
        await trio.aclose_forcefully(self._stream)

    async def _say_goodbye(self, why: str) -> None:
        try:
            await self._stream.send_all(encode((GOODBYE, why[: HELLO_BYTES_MAX // 2])))
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError, OSError):
            return  # it is gone: it will see that the link ends

    async def _read(self, on_frame: OnFrame) -> None:
        frames, self._early = self._early, []
        while True:
            for frame in frames:
                kind = check_shape(frame.fields)
                if kind == PING:
                    self.send((PONG,))
                elif kind == GOODBYE:
                    raise UnreachableError(f"the other side ends the link: {frame.fields[1]}")
                elif kind != PONG:
                    on_frame(kind, frame)
            while self._outbox.waiting_bytes > WAITING_BYTES_MAX:
                await self._drained.wait()
            data = await self._stream.receive_some(_READ_BYTES)
            if not data:
                raise UnreachableError("the other side closed the link")
            self._heard = trio.current_time()
            frames = self._reader.feed(data)

    async def _write(self) -> None:
        while True:
            if not self._outbox:
                self._writer = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._not_writing)
            buffers = self._outbox.take(_WRITE_BYTES)
            self._said = trio.current_time()
            size = sum(map(len, buffers))
            if len(buffers) > 1 and size <= _JOINED_MAX:
                buffers = [b"".join(buffers)]
            self._half_sent = True
            for buffer in buffers:
                for at in range(0, len(buffer), _WRITE_BYTES):
                    await self._stream.send_all(memoryview(buffer)[at : at + _WRITE_BYTES])
                    self._said = trio.current_time()
            self._half_sent = False
            self._outbox.left(size)
            if self._outbox.waiting_bytes <= WAITING_BYTES_MAX and not self._drained.is_set():
                self._drained.set()
                self._drained = trio.Event()

    def _not_writing(self, _raise_cancel: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        self._writer = None
        return trio.lowlevel.Abort.SUCCEEDED

    async def _watch(self) -> None:
        """Counts its own turns, and not time: what came while this process stood still is not read yet."""
        heard, said = self._heard, self._said
        unheard = untaken = 0
        while True:
            await trio.sleep(PING_SECONDS)
            now, waiting = trio.current_time(), self._outbox.waiting_bytes
            unheard = unheard + 1 if self._heard == heard and waiting <= WAITING_BYTES_MAX else 0
            untaken = untaken + 1 if self._said == said and waiting else 0
            heard, said = self._heard, self._said
            if unheard * PING_SECONDS >= DEAD_SECONDS:
                raise UnreachableError(f"nothing was heard for {now - heard:.0f} s")
            if untaken * PING_SECONDS >= DEAD_SECONDS:
                raise UnreachableError(f"nothing was taken for {now - said:.0f} s")
            if now - said >= PING_SECONDS:
                self.send((PING,))


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
