"""Requests and replies, pure: `Requests` takes bytes apart, the functions put replies together.

A reply is a list of buffers, to be sent one behind another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.nbd.protocol import (
    BASE_ALLOCATION_ID,
    CHUNK,
    DATA_CHUNK,
    ERROR_CHUNK,
    PAYLOAD_BYTES_MAX,
    REQUEST,
    REQUEST_MAGIC,
    SIMPLE_REPLY,
    SIMPLE_REPLY_MAGIC,
    STATUS_CHUNK,
    STRUCTURED_REPLY_MAGIC,
    ChunkFlag,
    ChunkType,
    Command,
    CommandFlag,
    Error,
    ProtocolError,
    State,
    text_bytes,
)
from store.blocks.disk import Extent, ExtentKind

Buffer = bytes | bytearray | memoryview

# Enumerations cost more to look up than everything else here: what each request passes is in plain numbers.
_READ: Final = int(Command.READ)
_WRITE: Final = int(Command.WRITE)
_MAGIC: Final = REQUEST_MAGIC
_HEAD: Final = REQUEST.size
_DONE: Final = int(ChunkFlag.DONE)
_OFFSET_DATA: Final = int(ChunkType.OFFSET_DATA)

_FLAGS: Final = {
    int(Command.READ): int(CommandFlag.FUA | CommandFlag.DF),
    int(Command.WRITE): int(CommandFlag.FUA),
    int(Command.FLUSH): int(CommandFlag.FUA),
    int(Command.TRIM): int(CommandFlag.FUA),
    int(Command.CACHE): int(CommandFlag.FUA),
    int(Command.WRITE_ZEROES): int(CommandFlag.FUA | CommandFlag.NO_HOLE | CommandFlag.FAST_ZERO),
    int(Command.BLOCK_STATUS): int(CommandFlag.FUA | CommandFlag.REQ_ONE),
}
"""Which flags are allowed where. FUA is everywhere: clients are known to set it on what writes nothing."""
_WRITES: Final = frozenset((int(Command.WRITE), int(Command.TRIM), int(Command.WRITE_ZEROES)))

STATUS_EXTENTS_MAX: Final = 1024
"""In one reply to BLOCK_STATUS: 8 KiB. The client asks again behind the last."""

_STATES: Final = {
    ExtentKind.DATA: 0,
    ExtentKind.ZERO: int(State.ZERO),
    ExtentKind.HOLE: int(State.HOLE | State.ZERO),
}


class Request(NamedTuple):
    """As it came; nothing is checked but the magic."""

    command: int
    flags: int
    cookie: int
    offset: int
    length: int

    @property
    def durable(self) -> bool:
        return bool(self.flags & CommandFlag.FUA)


class Requests:
    """Takes what comes apart. What was fed is not copied: a payload that came whole is a view of it.

    `next_head`, and for a WRITE `payload`, in turn. None: more has to come, by `feed`. What is missing of a payload can
    also be put straight into the `gap`; `filled` says how much of it was.
    """

    __slots__ = ("_at", "_data", "_filled", "_payload", "_size", "_view")

    def __init__(self) -> None:
        self._data: bytes = b""
        self._size = 0
        self._at = 0
        self._view = memoryview(b"")
        self._payload: bytearray | None = None
        self._filled = 0

    @property
    def partial(self) -> bool:
        """A request has begun to come, and is not whole."""
        return self._at < self._size or self._payload is not None

    def feed(self, data: bytes) -> None:
        gap = self.gap()
        if gap is not None:
            taken = min(len(gap), len(data))
            gap[:taken] = memoryview(data)[:taken]
            self._filled += taken
            data = data[taken:]
        if self._at < self._size:
            data = self._data[self._at :] + data
        self._data = data
        self._view = memoryview(data)
        self._size = len(data)
        self._at = 0

    def next_head(self) -> Request | None:
        """Raises ProtocolError where no request begins, or one has more data than any may have."""
        at = self._at
        if self._size - at < _HEAD:
            return None
        magic, flags, command, cookie, offset, length = REQUEST.unpack_from(self._data, at)
        if magic != _MAGIC:
            raise ProtocolError("no request begins here")
        if command == _WRITE and length > PAYLOAD_BYTES_MAX:
            raise ProtocolError(f"a write of {length} bytes")
        self._at = at + _HEAD
        return Request(command, flags, cookie, offset, length)

    def payload(self, length: int) -> Buffer | None:
        """The data of the WRITE whose head was taken."""
        at = self._at
        if self._payload is None:
            if self._size - at >= length:
                self._at = at + length
                return self._view[at : at + length]
            self._payload = bytearray(length)
            self._filled = self._size - at
            self._payload[: self._filled] = self._view[at:]
            self._at = self._size
        if self._filled < length:
            return None
        payload, self._payload = self._payload, None
        return payload

    def gap(self) -> memoryview | None:
        """Where the rest of a payload is to go that has begun to come."""
        return None if self._payload is None else memoryview(self._payload)[self._filled :]

    def filled(self, length: int) -> None:
        self._filled += length


def refusal(request: Request, size: int, *, read_only: bool, structured: bool, allocation: bool) -> Error | None:
    """Why a request cannot be, before the disk is asked. `size` is the disk's."""
    command, flags, _, offset, length = request
    if flags:
        allowed = _FLAGS.get(command, 0)
        if flags & ~allowed or (flags & CommandFlag.DF and not structured):
            return Error.EINVAL
    if command == _READ:
        return Error.EINVAL if offset + length > size or length > PAYLOAD_BYTES_MAX else None
    if command in _WRITES:
        if read_only:
            return Error.EPERM
        return Error.ENOSPC if offset + length > size else None
    if command == Command.FLUSH:
        return Error.EINVAL if offset or length else None
    if command == Command.CACHE:
        return Error.EINVAL if offset + length > size else None
    if command == Command.BLOCK_STATUS:
        return None if allocation and 0 < length <= size - offset else Error.EINVAL
    return Error.EINVAL


def done_reply(request: Request) -> list[Buffer]:
    """It was done, and there is nothing to tell. READ has `read_reply`."""
    return [SIMPLE_REPLY.pack(SIMPLE_REPLY_MAGIC, 0, request.cookie)]


def read_reply(request: Request, pieces: Sequence[Buffer], *, structured: bool) -> list[Buffer]:
    """All that was asked for, in one chunk: so nobody needs to ask for it (DF)."""
    if not structured:
        return [SIMPLE_REPLY.pack(SIMPLE_REPLY_MAGIC, 0, request.cookie), *pieces]
    length = request.length
    if not length:  # a chunk of data may not be empty
        return [CHUNK.pack(STRUCTURED_REPLY_MAGIC, _DONE, ChunkType.NONE, request.cookie, 0)]
    head = DATA_CHUNK.pack(STRUCTURED_REPLY_MAGIC, _DONE, _OFFSET_DATA, request.cookie, length + 8, request.offset)
    return [head, *pieces]


def status_reply(request: Request, extents: Sequence[Extent]) -> list[Buffer]:
    """What is where; neighbours of one state are one."""
    descriptors: list[tuple[int, int]] = []
    for extent in extents:
        state = _STATES[extent.kind]
        if descriptors and descriptors[-1][1] == state:
            descriptors[-1] = (descriptors[-1][0] + extent.length, state)
        else:
            descriptors.append((extent.length, state))
    body = b"".join(length.to_bytes(4, "big") + state.to_bytes(4, "big") for length, state in descriptors)
    head = STATUS_CHUNK.pack(
        STRUCTURED_REPLY_MAGIC,
        _DONE,
        ChunkType.BLOCK_STATUS,
        request.cookie,
        4 + len(body),
        BASE_ALLOCATION_ID,
    )
    return [head, body]


def error_reply(request: Request, error: Error, message: str, *, structured: bool) -> list[Buffer]:
    """`message` is for people, and told only where replies are structured."""
    if not structured:
        return [SIMPLE_REPLY.pack(SIMPLE_REPLY_MAGIC, error, request.cookie)]
    text = text_bytes(message)
    head = ERROR_CHUNK.pack(
        STRUCTURED_REPLY_MAGIC, _DONE, ChunkType.ERROR, request.cookie, 6 + len(text), error, len(text)
    )
    return [head, text]
