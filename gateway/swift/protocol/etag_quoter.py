"""Etags in quotes, as HTTP wants them, for containers and accounts that say so; Swift shows them bare from of old."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.swift.protocol.errors import Fields
from gateway.swift.protocol.flags import is_true


def header(kind: str) -> str:
    """The header of an account or container that says so."""
    return f"x-{kind}-rfc-compliant-etags"


def change(headers: Mapping[bytes, bytes], kind: str) -> dict[str, str | None]:
    """What the headers of a request say of it."""
    name = header(kind)
    if headers.get(f"x-remove-{name[2:]}".encode()):
        return {name: None}
    value = headers.get(name.encode())
    if value is None:
        return {}
    return {name: str(is_true(value)) if value else None}


def quoting(_status: int, fields: Fields) -> Fields:
    """A finisher: the etag in quotes."""
    return [
        (name, b'"%s"' % value) if name == b"etag" and not value.endswith(b'"') else (name, value)
        for name, value in fields
    ]
