"""Answers read as strictly as they should have been written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\x20-\x7e]*")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ ]?([^\x00-\x08\x0a-\x1f\x7f]*)")
_CHUNK = re.compile(rb"([0-9a-f]+)\r\n")


@dataclass(frozen=True)
class Answer:
    """One whole answer."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes


@dataclass
class Heard:
    """Everything that came on one connection. `whole` is False where the last answer ends too early."""

    answers: list[Answer]
    whole: bool = True


class _TooShortError(Exception):
    """Bytes are missing."""


def read(raw: bytes, methods: Sequence[str], *, ended: bool) -> Heard:
    """The answers to requests of these methods, and perhaps to one more that the server could not read. `ended`:
    nothing more comes. Raises AssertionError for what is no HTTP."""
    heard = Heard([])
    position = 0
    while position < len(raw):
        number = len(heard.answers)
        method = methods[number] if number < len(methods) else ""
        try:
            answer, position = _answer(raw, position, method, ended=ended)
        except _TooShortError:
            heard.whole = False
            break
        if answer.status != 100:
            heard.answers.append(answer)
    assert len(heard.answers) <= len(methods) + 1, "answers that nobody asked for"
    return heard


def _answer(raw: bytes, position: int, method: str, *, ended: bool) -> tuple[Answer, int]:
    end = raw.find(b"\r\n\r\n", position)
    if end < 0:
        raise _TooShortError
    first, *lines = raw[position:end].split(b"\r\n")
    position = end + 4
    match = _STATUS.fullmatch(first)
    assert match, f"no status line: {first!r}"
    status = int(match[1])
    fields: dict[bytes, bytes] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        assert field, f"no header: {line!r}"
        name = field[1].lower()
        assert name not in fields or name in (b"vary", b"set-cookie"), f"{name!r} twice"
        fields[name] = field[2]
    if status < 200 or status in (204, 304) or method == "HEAD":
        return Answer(status, fields, b""), position
    if fields.get(b"transfer-encoding") == b"chunked":
        assert b"content-length" not in fields
        body, position = _chunks(raw, position)
    elif b"content-length" in fields:
        length = int(fields[b"content-length"])
        body = raw[position : position + length]
        position += length
        if len(body) < length:
            raise _TooShortError
    else:
        assert fields.get(b"connection") == b"close", "a body without an end"
        if not ended:
            raise _TooShortError
        body, position = raw[position:], len(raw)
    return Answer(status, fields, body), position


def _chunks(raw: bytes, position: int) -> tuple[bytes, int]:
    body = bytearray()
    while True:
        match = _CHUNK.match(raw, position)
        if match is None:
            assert len(raw) - position < 20, f"no chunk: {raw[position : position + 20]!r}"
            raise _TooShortError
        size, position = int(match[1], 16), match.end()
        if len(raw) < position + size + 2:
            raise _TooShortError
        body += raw[position : position + size]
        assert raw[position + size : position + size + 2] == b"\r\n"
        position += size + 2
        if size == 0:
            return bytes(body), position
