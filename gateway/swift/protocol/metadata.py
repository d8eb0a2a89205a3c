"""What a client may say about accounts, containers and objects, within the limits."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.swift.config import Limits
from gateway.swift.protocol.errors import bad_request
from gateway.swift.protocol.request import Request

OBJECT_HEADERS = (
    b"content-encoding",
    b"content-disposition",
    b"cache-control",
    b"content-language",
    b"expires",
    b"x-robots-tag",
)
"""What an object keeps besides its metadata; Content-Type and expiry have fields of their own."""

RAW = "raw:"
"""Before the name of object metadata that are no UTF-8, which Swift keeps as they came: name and value are then one
character a byte, since the store keeps text."""


def collect(request: Request, kind: str, limits: Limits) -> dict[str, str]:
    """The metadata (`x-<kind>-meta-*`) that a request sends. Raises RefusedError (400) over any limit."""
    prefix = f"x-{kind}-meta-".encode()
    start = len(prefix)
    found: dict[str, str] = {}
    size = 0
    for name, value in request.headers.items():
        if len(value) > limits.max_header_size:
            raise bad_request(f"Header value too long: {name[: limits.max_meta_name_length].decode('latin-1')}")
        if not name.startswith(prefix):
            continue
        length = len(name) - start
        shown = name.decode("latin-1")
        if not length:
            raise bad_request("Metadata name cannot be empty")
        if length > limits.max_meta_name_length:
            raise bad_request(f"Metadata name too long: {shown}")
        if len(value) > limits.max_meta_value_length:
            raise bad_request(f"Metadata value longer than {limits.max_meta_value_length}: {shown}")
        size += length + len(value)
        try:
            found[name.decode()] = value.decode()
        except UnicodeDecodeError:
            if kind != "object":
                raise bad_request("Metadata must be valid UTF-8") from None
            found[RAW + shown] = value.decode("latin-1")
        if len(found) > limits.max_meta_count:
            raise bad_request(f"Too many metadata items; max {limits.max_meta_count}")
        if size > limits.max_meta_overall_size:
            raise bad_request(f"Total metadata too large; max {limits.max_meta_overall_size}")
    return found


def changes(request: Request, kind: str, limits: Limits) -> dict[str, str | None]:
    """Metadata set and removed (`x-remove-<kind>-meta-*`) on an account or container. What is set wins."""
    result: dict[str, str | None] = {}
    prefix = f"x-remove-{kind}-meta-".encode()
    for name in request.headers:
        if name.startswith(prefix) and len(name) > len(prefix):
            result[f"x-{kind}-meta-{name[len(prefix) :].decode(errors='replace')}"] = None
    result.update(collect(request, kind, limits))
    return result


def check_total(present: Mapping[str, str], coming: Mapping[str, str | None], kind: str, limits: Limits) -> None:
    """Raise RefusedError (400) if an account or container would hold too much once the changes are made."""
    prefix = f"x-{kind}-meta-"
    merged = {name: value for name, value in {**present, **coming}.items() if value and name.startswith(prefix)}
    if len(merged) > limits.max_meta_count:
        raise bad_request(f"Too many metadata items; max {limits.max_meta_count}")
    size = sum(len(name.encode()) - len(prefix) + len(value.encode()) for name, value in merged.items() if value)
    if size > limits.max_meta_overall_size:
        raise bad_request(f"Total metadata too large; max {limits.max_meta_overall_size}")


def kept_headers(request: Request) -> dict[str, str]:
    """The headers an object keeps as they came."""
    headers = request.headers
    found: dict[str, str] = {}
    for name in OBJECT_HEADERS:
        if name in headers:
            value = request.header(name)
            if value:
                found[name.decode()] = value
    return found
