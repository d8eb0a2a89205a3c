"""The NBD protocol's numbers and layouts, under the names that its specification gives them.

https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md. Everything is big-endian.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import Final

NBDMAGIC: Final = 0x4E42444D41474943
IHAVEOPT: Final = 0x49484156454F5054
OPTION_REPLY_MAGIC: Final = 0x3E889045565A9
REQUEST_MAGIC: Final = 0x25609513
SIMPLE_REPLY_MAGIC: Final = 0x67446698
STRUCTURED_REPLY_MAGIC: Final = 0x668E33EF

GREETING: Final = struct.Struct(">QQH")
"""NBDMAGIC, IHAVEOPT, handshake flags."""
CLIENT_FLAGS: Final = struct.Struct(">I")
OPTION: Final = struct.Struct(">QII")
"""IHAVEOPT, option, length of its data."""
OPTION_REPLY: Final = struct.Struct(">QIII")
"""Magic, option, reply type, length of its data."""
EXPORT: Final = struct.Struct(">QH")
"""Size, transmission flags: the answer to EXPORT_NAME."""
EXPORT_ZEROES: Final = bytes(124)
INFO_EXPORT: Final = struct.Struct(">HQH")
INFO_BLOCK_SIZE: Final = struct.Struct(">HIII")
"""Kind of info, minimum, preferred and maximum payload."""
U16: Final = struct.Struct(">H")
U32: Final = struct.Struct(">I")

REQUEST: Final = struct.Struct(">IHHQQI")
"""Magic, flags, command, cookie, offset, length."""
SIMPLE_REPLY: Final = struct.Struct(">IIQ")
"""Magic, error, cookie."""
CHUNK: Final = struct.Struct(">IHHQI")
"""Magic, flags, type, cookie, length of its payload."""
DATA_CHUNK: Final = struct.Struct(">IHHQIQ")
"""A chunk's head, and the offset that begins the payload of OFFSET_DATA."""
ERROR_CHUNK: Final = struct.Struct(">IHHQIIH")
"""A chunk's head, and the error and the length of the message that begin the payload of ERROR."""
STATUS_CHUNK: Final = struct.Struct(">IHHQII")
"""A chunk's head, and the context's id that begins the payload of BLOCK_STATUS."""

STRING_BYTES_MAX: Final = 4096
"""Of any string, names of exports included."""
PAYLOAD_BYTES_MAX: Final = 32 * 1024 * 1024
"""Of a read or a write. What every client may send that has not asked."""
PREFERRED_BYTES: Final = 4096

BASE_ALLOCATION: Final = "base:allocation"
BASE_ALLOCATION_ID: Final = 1


class HandshakeFlag(IntFlag):
    """The client's flags have the same bits."""

    FIXED_NEWSTYLE = 1
    NO_ZEROES = 2


class TransmissionFlag(IntFlag):
    HAS_FLAGS = 1 << 0
    READ_ONLY = 1 << 1
    SEND_FLUSH = 1 << 2
    SEND_FUA = 1 << 3
    SEND_TRIM = 1 << 5
    SEND_WRITE_ZEROES = 1 << 6
    SEND_DF = 1 << 7
    CAN_MULTI_CONN = 1 << 8
    SEND_CACHE = 1 << 10
    SEND_FAST_ZERO = 1 << 11


class Option(IntEnum):
    EXPORT_NAME = 1
    ABORT = 2
    LIST = 3
    STARTTLS = 5
    INFO = 6
    GO = 7
    STRUCTURED_REPLY = 8
    LIST_META_CONTEXT = 9
    SET_META_CONTEXT = 10


class OptionReply(IntEnum):
    ACK = 1
    SERVER = 2
    INFO = 3
    META_CONTEXT = 4
    ERR_UNSUP = 2**31 + 1
    ERR_POLICY = 2**31 + 2
    ERR_INVALID = 2**31 + 3
    ERR_TLS_REQD = 2**31 + 5
    ERR_UNKNOWN = 2**31 + 6


class Info(IntEnum):
    EXPORT = 0
    NAME = 1
    BLOCK_SIZE = 3


class Command(IntEnum):
    READ = 0
    WRITE = 1
    DISC = 2
    FLUSH = 3
    TRIM = 4
    CACHE = 5
    WRITE_ZEROES = 6
    BLOCK_STATUS = 7


class CommandFlag(IntFlag):
    FUA = 1 << 0
    NO_HOLE = 1 << 1
    DF = 1 << 2
    REQ_ONE = 1 << 3
    FAST_ZERO = 1 << 4


class ChunkFlag(IntFlag):
    DONE = 1


class ChunkType(IntEnum):
    NONE = 0
    OFFSET_DATA = 1
    BLOCK_STATUS = 5
    ERROR = 2**15 + 1


class State(IntFlag):
    """What base:allocation says of a range."""

    HOLE = 1
    ZERO = 2


class Error(IntEnum):
    """The only values that a reply may have, whatever `errno` is here."""

    NONE = 0
    EPERM = 1
    EIO = 5
    EINVAL = 22
    ENOSPC = 28
    EOVERFLOW = 75
    ESHUTDOWN = 108


class ProtocolError(Exception):
    """The client broke a rule after which the two sides cannot understand one another: the connection ends."""


def text_bytes(message: str) -> bytes:
    """A message for people, as long as a string may be."""
    return message.encode()[:STRING_BYTES_MAX].decode(errors="ignore").encode()
