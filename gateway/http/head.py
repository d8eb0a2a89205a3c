"""Request heads: a block of bytes that ends in an empty line becomes a `RequestHead`, or a `Refusal`.

llhttp reads every head, and what it lets through is checked again here, because it is more tolerant than a server
among other servers may be: it takes requests without a version, several spaces in the request line, content lengths up
to 2**64, `gzip, chunked`, missing and repeated Host. How long a body is, is decided here alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import httptools

from gateway.http.asgi import Headers
from gateway.http.errors import Refusal
from gateway.http.limits import Limits

CRLF: Final = b"\r\n"
END_OF_HEAD: Final = b"\r\n\r\n"
CHUNKED: Final = -1
"""The `length` of a body that says itself where it ends."""

_MAX_LENGTH: Final = 2**63 - 1
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VERSION: Final = re.compile(rb"HTTP/[0-9](\.[0-9])?")
_AUTHORITY: Final = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_ABSOLUTE: Final = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?]*)(.*)")
_ENCODING: Final = re.compile(rb"\r\ntransfer-encoding:[ \t]*([ -~]*[!-~])[ \t]*(?=\r\n)", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\r\ncontent-length:", re.IGNORECASE)
_HIGH: Final = re.compile(rb"[\x80-\xff]")
_EXTENSION_NAME: Final = re.compile(rb"(?<=\r\n)[Xx]-[^\x00-\x20:\x7f]*+(?=:)")
_STAND_IN: Final = bytes(range(128)) + b"~" * 128
"""Has llhttp see each byte beyond ASCII in a name as one that is allowed there, and that no field it knows has."""
_LLHTTP_METHOD: Final = b"POST"
_SPECIAL: Final = frozenset((b"host", b"content-length", b"transfer-encoding", b"connection", b"expect"))


@dataclass(slots=True)
class RequestHead:
    """One request, without its body."""

    method: str
    raw_path: bytes
    query: bytes
    headers: Headers
    http10: bool
    keep_alive: bool
    keep_alive_said: bool
    """Whether the client asked for it by name, so that the answer names it, too."""
    length: int
    """Bytes of body, or `CHUNKED`."""
    expects_continue: bool
    upgrades: bool = False
    """Whether the client would go on in another protocol (`Upgrade` says which)."""


class _Collector:
    """The callbacks of llhttp."""

    __slots__ = ("complete", "headers", "special")

    def __init__(self) -> None:
        self.headers: Headers = []
        self.special: Headers = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if value and value[-1] <= 0x20:
            value = value.rstrip(b" \t")
        field = (name, value)
        self.headers.append(field)
        if name in _SPECIAL:
            self.special.append(field)

    def on_headers_complete(self) -> None:
        self.complete = True


def parse_head(block: bytes, limits: Limits) -> RequestHead:
    """Reads the head that `block` is, from its first byte to its empty line."""
    end_of_line = block.find(CRLF)
    if end_of_line > limits.request_line:
        raise Refusal(414, "request line too long")
    if len(block) > limits.head_bytes:
        raise Refusal(431, "request head too long")
    lines = block.count(CRLF)
    if block.count(b"\n") != lines or block.count(b"\r") != lines:
        raise Refusal(400, "a line must end in CR LF, and neither may stand alone")
    if lines - 2 > limits.fields:
        raise Refusal(431, "too many header fields")
    method, target, http10 = parse_request_line(block[:end_of_line])
    if not target.isascii():
        target = _HIGH.sub(_percent, target)
        version = block[:end_of_line].rpartition(b" ")[2]
        block = b"%b %b %b%b" % (method, target, version, block[end_of_line:])
    headers, special = _parse_fields(block)
    if len(block) > limits.field_bytes:
        for name, value in headers:
            if len(name) + len(value) > limits.field_bytes:
                raise Refusal(431, "header field too long")

    host: bytes | None = None
    encoding: bytes | None = None
    length: int | None = None
    closes = keeps = upgrades = False
    expects_continue = False
    for name, value in special:
        if name == b"host":
            if host is not None:
                raise Refusal(400, "more than one Host")
            if not _is_authority(value):
                raise Refusal(400, "invalid Host")
            host = value
        elif name == b"content-length":
            if length is not None:
                raise Refusal(400, "more than one Content-Length")
            length = _parse_length(value)
        elif name == b"transfer-encoding":
            if encoding is not None:
                raise Refusal(400, "more than one Transfer-Encoding")
            encoding = value.lower()
        elif name == b"connection":
            tokens = [token.strip() for token in value.lower().split(b",")]
            closes = closes or b"close" in tokens
            upgrades = upgrades or b"upgrade" in tokens
            keeps = keeps or b"keep-alive" in tokens
        elif value.lower() == b"100-continue":
            expects_continue = not http10
        else:
            raise Refusal(417, "the only expectation that can be met is 100-continue")

    if host is None and not http10:
        raise Refusal(400, "no Host")
    if encoding is not None:
        if length is not None:
            raise Refusal(400, "both Content-Length and Transfer-Encoding")
        if http10:
            raise Refusal(400, "HTTP/1.0 has no Transfer-Encoding")
        if encoding != b"chunked":
            raise Refusal(501, "the only transfer encoding is chunked")
        length = CHUNKED
    elif length is None:
        length = 0
    if limits.max_body is not None and length > limits.max_body:
        raise Refusal(413, "request body too long")

    keep_alive = not closes and (keeps or not http10)
    raw_path, query = _split_target(method, target, host)
    return RequestHead(
        method.decode("ascii"),
        raw_path,
        query,
        headers,
        http10,
        keep_alive,
        keeps,
        length,
        expects_continue,
        upgrades and not http10 and not length,
    )


def check_partial(buffer: bytes, limits: Limits) -> None:
    """Refuses a head that is not complete but can no longer become a good one: without this, a client that speaks
    something else would wait for the timeout, and an endless head would be kept."""
    if _TOKEN.match(buffer, 0, 1) is None:
        raise Refusal(400, "this is not HTTP")
    end_of_line = buffer.find(CRLF)
    if (end_of_line if end_of_line >= 0 else len(buffer) - 1) > limits.request_line:
        raise Refusal(414, "request line too long")
    if len(buffer) > limits.head_bytes:
        raise Refusal(431, "request head too long")
    lines = buffer.count(CRLF)
    if buffer.count(b"\n") != lines or buffer.count(b"\r") - buffer.endswith(b"\r") != lines:
        raise Refusal(400, "a line must end in CR LF, and neither may stand alone")
    if lines - 1 > limits.fields:
        raise Refusal(431, "too many header fields")
    if end_of_line >= 0:
        parse_request_line(buffer[:end_of_line])


def parse_request_line(line: bytes) -> tuple[bytes, bytes, bool]:
    """Method, target, and whether this is HTTP/1.0."""
    parts = line.split(b" ")
    if len(parts) != 3:
        raise Refusal(400, "malformed request line")
    method, target, version = parts
    if version == b"HTTP/1.1":
        return method, target, False
    if version == b"HTTP/1.0":
        return method, target, True
    if _VERSION.fullmatch(version):
        raise Refusal(505, "this server speaks HTTP/1.1")
    raise Refusal(400, "malformed request line")


def _percent(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]


def _parse_fields(block: bytes) -> tuple[Headers, Headers]:
    collector = _Collector()
    try:
        httptools.HttpRequestParser(collector).feed_data(block)
    except httptools.HttpParserUpgrade:
        pass  # the offer of another protocol is not taken up
    except httptools.HttpParserInvalidMethodError:
        method = block.partition(b" ")[0]
        if _TOKEN.fullmatch(method) is None or method == _LLHTTP_METHOD:
            raise Refusal(400, "malformed request line") from None
        # Any token is a method, and what it means is for the application to say; here it only must not matter to
        # where the message ends, so llhttp reads the rest as of a method that it knows.
        return _parse_fields(_LLHTTP_METHOD + block[len(method) :])
    except httptools.HttpParserError as error:
        in_ascii = _EXTENSION_NAME.sub(_stand_in, block)
        if in_ascii != block:
            return _with_names(block, *_parse_fields(in_ascii))
        encodings = _ENCODING.findall(block)
        if len(encodings) == 1 and encodings[0].lower() != b"chunked" and _LENGTH.search(block) is None:
            raise Refusal(501, "the only transfer encoding is chunked") from None
        raise Refusal(400, str(error)) from None
    if not collector.complete:
        raise Refusal(400, "malformed request head")
    return collector.headers, collector.special


def _stand_in(found: re.Match[bytes]) -> bytes:
    return found[0].translate(_STAND_IN)


def _with_names(block: bytes, headers: Headers, special: Headers) -> tuple[Headers, Headers]:
    """Fields as read, each with the name that its line in `block` has. Lines are never folded: one is one field."""
    lines = block.split(CRLF)[1:-2]
    named = [(line.partition(b":")[0].lower(), value) for line, (_, value) in zip(lines, headers, strict=True)]
    return named, special


@lru_cache(maxsize=256)
def _is_authority(value: bytes) -> bool:
    if not value.isascii():
        try:  # a name in UTF-8, as some clients send it; whatever else there is must be as it always is
            value = re.sub(r"[^\x00-\x7f]", "x", value.decode()).encode()
        except UnicodeDecodeError:
            return False
    return _AUTHORITY.fullmatch(value) is not None


def _parse_length(value: bytes) -> int:
    if not value.isdigit() or len(value) > 19 or (length := int(value)) > _MAX_LENGTH:
        raise Refusal(400, "invalid Content-Length")
    return length


def _split_target(method: bytes, target: bytes, host: bytes | None) -> tuple[bytes, bytes]:
    if method == b"CONNECT":
        raise Refusal(501, "this is not a proxy")
    if b"#" in target:
        raise Refusal(400, "a request target has no fragment")
    if not target.startswith(b"/"):
        if target == b"*" and method == b"OPTIONS":
            return target, b""
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            raise Refusal(400, "malformed request target")
        authority, target = absolute.groups()
        if not _is_authority(authority):
            raise Refusal(400, "malformed request target")
        if host is not None and host.lower() != authority.lower():
            raise Refusal(400, "Host and request target differ")
        if not target.startswith(b"/"):
            target = b"/" + target
    raw_path, _, query = target.partition(b"?")
    return raw_path, query
