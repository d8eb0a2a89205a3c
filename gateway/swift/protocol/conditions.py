"""Conditional requests: what their headers state. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.objects.conditions import Outcome, ReadCondition
from gateway.swift.protocol.dates import parse_http_date
from gateway.swift.protocol.errors import RefusedError
from store.objects.model import ALWAYS, Condition

_READING = (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since")


def tags(value: bytes) -> frozenset[str]:
    """The etags of a header, without their quotes."""
    found = (part.strip() for part in value.decode("latin-1").split(","))
    return frozenset(unquoted(tag) for tag in found if tag)


def unquoted(tag: str) -> str:
    """An etag without its quotes."""
    return tag[1:-1] if len(tag) > 1 and tag[0] == tag[-1] == '"' else tag


def present(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a read has any condition at all; most have none."""
    return any(name in headers for name in _READING)


def for_reading(headers: Mapping[bytes, bytes]) -> ReadCondition:
    """What a read states. A date that cannot be read states nothing."""

    def etags(name: bytes) -> frozenset[str] | None:
        value = headers.get(name)
        return tags(value) if value else None

    def date(name: bytes) -> int | None:
        value = headers.get(name)
        return parse_http_date(value.decode("latin-1")) if value else None

    return ReadCondition(
        etags(b"if-match"), etags(b"if-none-match"), date(b"if-modified-since"), date(b"if-unmodified-since")
    )


STATUS = {Outcome.NOT_MODIFIED: 304, Outcome.FAILED: 412}
"""The status that says why a read ended."""


def range_stands(headers: Mapping[bytes, bytes], etag: str, modified_s: int) -> bool:
    """Whether `Range` may be followed, as far as `If-Range` says."""
    value = headers.get(b"if-range")
    if value is None:
        return True
    tag = value.decode("latin-1").strip()
    if tag.startswith('"'):
        return unquoted(tag) == etag
    return tag == etag or parse_http_date(tag) == modified_s


def for_writing(headers: Mapping[bytes, bytes]) -> Condition:
    """What must hold of the present object for a write. Raises RefusedError (400) for what Swift refuses."""
    none_match = headers.get(b"if-none-match")
    match = headers.get(b"if-match")
    if not none_match and not match:
        return ALWAYS
    if none_match and "*" not in tags(none_match):
        raise RefusedError(400, "If-None-Match only supports *")
    return Condition(
        match=tags(match) if match else None,
        none_match=frozenset({"*"}) if none_match else None,
    )
