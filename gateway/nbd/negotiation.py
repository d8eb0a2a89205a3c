"""The handshake (fixed newstyle) as a pure machine: bytes in, actions out.

    negotiation.greeting            is sent first
    negotiation.feed(data)          what has come
    negotiation.next_action()       what is to be done now, or None: more has to come

`OpenExport`, `LookAtExport` and `ListExports` ask whoever drives it, and are answered by `opened`, `not_opened` or
`listed`, which give what is to be sent. A client says one thing and waits, so there is never more than one question.

What a client may make us keep: one option of `Bounds.option_bytes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from gateway.nbd.protocol import (
    BASE_ALLOCATION,
    BASE_ALLOCATION_ID,
    CLIENT_FLAGS,
    EXPORT,
    EXPORT_ZEROES,
    GREETING,
    IHAVEOPT,
    INFO_BLOCK_SIZE,
    INFO_EXPORT,
    NBDMAGIC,
    OPTION,
    OPTION_REPLY,
    OPTION_REPLY_MAGIC,
    PAYLOAD_BYTES_MAX,
    PREFERRED_BYTES,
    STRING_BYTES_MAX,
    U16,
    U32,
    HandshakeFlag,
    Info,
    Option,
    OptionReply,
    ProtocolError,
    TransmissionFlag,
    text_bytes,
)

_HANDSHAKE_FLAGS: Final = HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES
_GREETING: Final = GREETING.pack(NBDMAGIC, IHAVEOPT, _HANDSHAKE_FLAGS)
_COMMON: Final = (
    TransmissionFlag.HAS_FLAGS
    | TransmissionFlag.SEND_FLUSH
    | TransmissionFlag.SEND_FUA
    | TransmissionFlag.CAN_MULTI_CONN
    | TransmissionFlag.SEND_CACHE
)
_WRITABLE: Final = TransmissionFlag.SEND_TRIM | TransmissionFlag.SEND_WRITE_ZEROES | TransmissionFlag.SEND_FAST_ZERO


class Tls(Enum):
    """What a connection has of TLS."""

    NONE = "none"
    REQUIRED = "required"
    """It is to begin: everything else is refused until then."""
    ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a client may ask before it is taken for an attacker."""

    option_bytes: int = 16 * 1024
    options: int = 64


class Reply(NamedTuple):
    """`data` is to be sent."""

    data: bytes


class StartTls(NamedTuple):
    """`data` is to be sent, and then TLS begins; this machine goes on with what comes through it."""

    data: bytes


class Abort(NamedTuple):
    """`data` is to be sent, and then the connection ends: the client wishes it."""

    data: bytes


class ListExports(NamedTuple):
    """To be answered by `listed`."""


class OpenExport(NamedTuple):
    """To be answered by `opened` or `not_opened`. If it opens, transmission begins."""

    name: str


class LookAtExport(NamedTuple):
    """The same, of a client that only wants to know about it: it is not to be opened."""

    name: str


Action = Reply | StartTls | Abort | ListExports | OpenExport | LookAtExport


class Agreement(NamedTuple):
    """What was negotiated."""

    structured: bool
    """Replies are structured."""
    allocation: bool
    """BLOCK_STATUS is answered for base:allocation."""
    rest: bytes
    """What has come behind the handshake."""


class _InvalidOptionError(Exception):
    """An option's data are malformed."""


class _Fields:
    """Fields of an option's data, one behind another. Raises _InvalidOptionError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, length: int) -> bytes:
        field = self._data[self._at : self._at + length]
        if len(field) != length:
            raise _InvalidOptionError("its data end too early")
        self._at += length
        return field

    def number16(self) -> int:
        value: int = U16.unpack(self.take(2))[0]
        return value

    def number32(self) -> int:
        value: int = U32.unpack(self.take(4))[0]
        return value

    def string(self) -> str:
        return _string(self.take(self.number32()))

    def end(self) -> None:
        if self._at != len(self._data):
            raise _InvalidOptionError("its data are too long")


def _string(data: bytes) -> str:
    if len(data) > STRING_BYTES_MAX:
        raise _InvalidOptionError(f"a string is longer than {STRING_BYTES_MAX} bytes")
    if b"\0" in data:
        raise _InvalidOptionError("a string has a NUL")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _InvalidOptionError("a string is not UTF-8") from None


class Negotiation:
    """One client's handshake. Raises ProtocolError where the connection has to end."""

    greeting: Final = _GREETING

    def __init__(self, tls: Tls = Tls.NONE, *, listing: bool = False, bounds: Bounds | None = None) -> None:
        """`listing`: LIST may tell the names of exports."""
        self._tls = tls
        self._listing = listing
        self._bounds = bounds or Bounds()
        self._data = bytearray()
        self._client: HandshakeFlag | None = None
        self._options = 0
        self._option = 0
        self._name = ""
        self._wants_name = False
        self._structured = False
        self._allocation_of: str | None = None

    def feed(self, data: bytes) -> None:
        self._data += data

    def next_action(self) -> Action | None:
        if self._client is None:
            if len(self._data) < CLIENT_FLAGS.size:
                return None
            self._take_flags()
        if len(self._data) < OPTION.size:
            return None
        magic, option, length = OPTION.unpack_from(self._data)
        if magic != IHAVEOPT:
            raise ProtocolError("no option begins here")
        if length > self._bounds.option_bytes:
            raise ProtocolError(f"an option of {length} bytes")
        end = OPTION.size + length
        if len(self._data) < end:
            return None
        data = bytes(self._data[OPTION.size : end])
        del self._data[:end]
        self._options += 1
        if self._options > self._bounds.options:
            raise ProtocolError(f"more than {self._bounds.options} options")
        self._option = option
        return self._take_option(data)

    def opened(self, size: int, *, read_only: bool) -> bytes:
        """What tells the client that its export is there."""
        flags = _COMMON | (TransmissionFlag.READ_ONLY if read_only else _WRITABLE)
        if self._structured:
            flags |= TransmissionFlag.SEND_DF
        if self._option == Option.EXPORT_NAME:
            answer = EXPORT.pack(size, flags)
            return answer if self._flagged(HandshakeFlag.NO_ZEROES) else answer + EXPORT_ZEROES
        parts = [self._reply(OptionReply.INFO, INFO_EXPORT.pack(Info.EXPORT, size, flags))]
        if self._wants_name:
            parts.append(self._reply(OptionReply.INFO, U16.pack(Info.NAME) + self._name.encode()))
        block_size = INFO_BLOCK_SIZE.pack(Info.BLOCK_SIZE, 1, PREFERRED_BYTES, PAYLOAD_BYTES_MAX)
        parts.append(self._reply(OptionReply.INFO, block_size))
        parts.append(self._reply(OptionReply.ACK))
        return b"".join(parts)

    def not_opened(self, error: OptionReply, message: str) -> bytes:
        """What tells the client that its export cannot be had. EXPORT_NAME has no such answer: ProtocolError."""
        if self._option == Option.EXPORT_NAME:
            raise ProtocolError(message)
        return self._error(error, message)

    def listed(self, names: Sequence[str]) -> bytes:
        parts = [
            self._reply(OptionReply.SERVER, U32.pack(len(encoded)) + encoded)
            for encoded in (name.encode() for name in names)
        ]
        parts.append(self._reply(OptionReply.ACK))
        return b"".join(parts)

    def agreement(self) -> Agreement:
        """Once the export is open. A context that was chosen for another export does not count."""
        return Agreement(self._structured, self._allocation_of == self._name, bytes(self._data))

    def _take_flags(self) -> None:
        (flags,) = CLIENT_FLAGS.unpack_from(self._data)
        del self._data[: CLIENT_FLAGS.size]
        if flags & ~int(_HANDSHAKE_FLAGS):  # the inverse of an IntFlag has only bits that have names
            raise ProtocolError(f"unknown client flags {flags:#x}")
        self._client = HandshakeFlag(flags)
        if self._tls is not Tls.NONE and not self._flagged(HandshakeFlag.FIXED_NEWSTYLE):
            raise ProtocolError("TLS is required, and the client does not speak fixed newstyle")

    def _flagged(self, flag: HandshakeFlag) -> bool:
        return self._client is not None and bool(self._client & flag)

    def _take_option(self, data: bytes) -> Action:
        if self._tls is Tls.REQUIRED and self._option not in (Option.STARTTLS, Option.ABORT):
            if self._option == Option.EXPORT_NAME:
                raise ProtocolError("TLS is required")
            return Reply(self._error(OptionReply.ERR_TLS_REQD, "this server requires TLS"))
        try:
            return self._act(_Fields(data), data)
        except _InvalidOptionError as error:
            if self._option == Option.EXPORT_NAME:
                raise ProtocolError(str(error)) from None
            return Reply(self._error(OptionReply.ERR_INVALID, str(error)))

    def _act(self, fields: _Fields, data: bytes) -> Action:
        match self._option:
            case Option.EXPORT_NAME:
                self._name = _string(data)
                return OpenExport(self._name)
            case Option.ABORT:  # whatever is in it
                return Abort(self._reply(OptionReply.ACK))
            case Option.LIST:
                fields.end()
                return ListExports() if self._listing else Reply(self._reply(OptionReply.ACK))
            case Option.STARTTLS:
                fields.end()
                return self._start_tls()
            case Option.INFO | Option.GO:
                self._name = fields.string()
                wanted = [fields.number16() for _ in range(fields.number16())]
                fields.end()
                self._wants_name = Info.NAME in wanted
                return OpenExport(self._name) if self._option == Option.GO else LookAtExport(self._name)
            case Option.STRUCTURED_REPLY:
                fields.end()
                self._structured = True
                return Reply(self._reply(OptionReply.ACK))
            case Option.LIST_META_CONTEXT | Option.SET_META_CONTEXT:
                return Reply(self._meta_context(fields))
            case _:
                return Reply(self._error(OptionReply.ERR_UNSUP, "unknown option"))

    def _start_tls(self) -> Action:
        if self._tls is Tls.ACTIVE:
            return Reply(self._error(OptionReply.ERR_INVALID, "TLS is there already"))
        if self._tls is Tls.NONE:
            return Reply(self._error(OptionReply.ERR_POLICY, "there is no TLS here"))
        if self._data:  # in the clear, by whoever is in between: it must not count as said under TLS
            raise ProtocolError("bytes behind STARTTLS")
        self._tls = Tls.ACTIVE
        return StartTls(self._reply(OptionReply.ACK))

    def _meta_context(self, fields: _Fields) -> bytes:
        setting = self._option == Option.SET_META_CONTEXT
        if setting:
            self._allocation_of = None
        if not self._structured:
            raise _InvalidOptionError("structured replies come first")
        name = fields.string()
        queries = [fields.string() for _ in range(fields.number32())]
        fields.end()
        chosen = BASE_ALLOCATION in queries
        if not setting:  # all of them, or those of a namespace, can be listed but not set
            chosen = chosen or not queries or "base:" in queries
        if not chosen:
            return self._reply(OptionReply.ACK)
        if setting:
            self._allocation_of = name
        context = U32.pack(BASE_ALLOCATION_ID if setting else 0) + BASE_ALLOCATION.encode()
        return self._reply(OptionReply.META_CONTEXT, context) + self._reply(OptionReply.ACK)

    def _reply(self, kind: OptionReply, data: bytes = b"") -> bytes:
        return OPTION_REPLY.pack(OPTION_REPLY_MAGIC, self._option, kind, len(data)) + data

    def _error(self, kind: OptionReply, message: str) -> bytes:
        return self._reply(kind, text_bytes(message))
