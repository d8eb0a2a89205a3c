"""Frames: how messages follow each other on a stream. Sans-I/O: bytes in, frames out, and back.

    offset  size  field (little-endian)
         0     4  length of the head
         4     4  length of the payload
         8     8  XXH3-64 of bytes 0 to 7 and the head
        16        head: msgpack, a list of the message's fields
                  payload: bytes as they are

The check tells a stream that is out of step, or damaged, from a message. Payloads are not covered: what is stored is
verified by its own checksums, and on the way TLS verifies all.
"""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple

import msgpack
from xxhash import xxh3_64_intdigest

from store.wire.errors import ProtocolError

Buffer = bytes | bytearray | memoryview

HEAD_BYTES_MAX: Final = 4 * 1024 * 1024
"""A page of 10,000 rows of a listing with long names is below it."""
PAYLOAD_BYTES_MAX: Final = 4 * 1024 * 1024
"""No record has more."""
HELLO_BYTES_MAX: Final = 4 * 1024
"""Of a peer that has not said who it is."""
_COLLECTED: Final = 64 * 1024
"""A payload above this is put in its place piece by piece, as it arrives."""
_SIZES: Final = struct.Struct("<II")
_CHECK: Final = struct.Struct("<Q")
PREFIX_BYTES: Final = _SIZES.size + _CHECK.size


class Frame(NamedTuple):
    """One message: its fields, the first of which is its kind, and its payload. `size` is what it took of the
    stream."""

    fields: list[Any]
    payload: bytes | bytearray
    size: int


def encode(fields: tuple[Any, ...], payload: Buffer = b"") -> bytes:
    """The front of a frame: what goes before the payload. Raises ProtocolError where the frame would be refused, and
    TypeError for fields that are no plain values."""
    head: bytes = msgpack.packb(fields)
    if len(head) > HEAD_BYTES_MAX or len(payload) > PAYLOAD_BYTES_MAX:
        raise ProtocolError(f"a message of {len(head)} and {len(payload)} bytes is too large")
    sizes = _SIZES.pack(len(head), len(payload))
    return sizes + _CHECK.pack(xxh3_64_intdigest(sizes + head)) + head


class FrameReader:
    """Takes the bytes of one stream and gives its frames. What it holds is one frame that has not wholly arrived, so
    never more than the limits."""

    __slots__ = ("_collected", "_fields", "_head_max", "_payload", "_payload_max", "_pending", "_size", "_wanted")

    def __init__(self, head_max: int = HEAD_BYTES_MAX, payload_max: int = PAYLOAD_BYTES_MAX) -> None:
        self._head_max = head_max
        self._payload_max = payload_max
        self._pending = bytearray()
        self._wanted = PREFIX_BYTES
        self._fields: list[Any] = []
        self._size = 0
        self._payload: bytearray | None = None
        self._collected = 0

    def allow(self, head_max: int, payload_max: int) -> None:
        """The limits of the frames to come."""
        self._head_max = head_max
        self._payload_max = payload_max

    @property
    def empty(self) -> bool:
        """Whether the stream may end here."""
        return not self._pending and self._payload is None

    def feed(self, data: bytes | bytearray) -> list[Frame]:
        """The frames that are complete now. Raises ProtocolError for what is none; nothing can be read after that."""
        frames: list[Frame] = []
        if self._payload is not None:
            taken = min(len(self._payload) - self._collected, len(data))
            self._payload[self._collected : self._collected + taken] = memoryview(data)[:taken]
            self._collected += taken
            if self._collected < len(self._payload):
                return frames
            frames.append(Frame(self._fields, self._payload, self._size))
            self._payload = None
            data = data[taken:]
        if self._pending:
            self._pending += data
            if len(self._pending) < self._wanted:
                return frames
            data = self._pending
        at = 0
        while len(data) - at >= self._wanted:
            stop = self._take(data, at, frames)
            if stop == at:  # more is needed, and now it is known how much
                continue
            at = stop
        self._pending = bytearray(memoryview(data)[at:])
        return frames

    def _take(self, data: bytes | bytearray, at: int, frames: list[Frame]) -> int:
        """Take one frame that begins at `at`; where the next begins, or `at` if it is not all there."""
        head_bytes, payload_bytes = _SIZES.unpack_from(data, at)
        head_at = at + PREFIX_BYTES
        head_end = head_at + head_bytes
        if self._wanted == PREFIX_BYTES:
            if head_bytes > self._head_max or payload_bytes > self._payload_max:
                raise ProtocolError(f"a frame of {head_bytes} and {payload_bytes} bytes is too large, or no frame")
            small = payload_bytes if payload_bytes <= _COLLECTED else 0
            self._wanted = PREFIX_BYTES + head_bytes + small
            if len(data) - at < self._wanted:
                return at
        self._wanted = PREFIX_BYTES
        head = data[head_at:head_end]
        if xxh3_64_intdigest(data[at : at + _SIZES.size] + head) != _CHECK.unpack_from(data, at + _SIZES.size)[0]:
            raise ProtocolError("a frame fails its checksum")
        fields = _fields_of(head)
        end: int = head_end + payload_bytes
        if end <= len(data):
            frames.append(Frame(fields, data[head_end:end] if payload_bytes else b"", end - at))
            return end
        self._fields = fields
        self._size = end - at
        self._payload = bytearray(payload_bytes)
        self._collected = len(data) - head_end
        self._payload[: self._collected] = memoryview(data)[head_end:]
        return len(data)


def _fields_of(head: bytes | bytearray) -> list[Any]:
    try:
        fields = msgpack.unpackb(head, strict_map_key=False)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise ProtocolError(f"the head of a frame is not msgpack: {error}") from error
    if not isinstance(fields, list) or not fields or not isinstance(fields[0], int):
        raise ProtocolError("the head of a frame is not a list that begins with a kind")
    return fields
