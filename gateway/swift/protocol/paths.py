"""Headers that name an object: where a copy comes from or goes to, what a symlink names."""

from __future__ import annotations

from urllib.parse import unquote

from gateway.swift.protocol.errors import RefusedError
from gateway.swift.protocol.request import Request


def _text(request: Request, header: bytes) -> str:
    try:
        value = unquote(request.header(header) or "", errors="strict")
    except UnicodeDecodeError:
        value = "\0"
    if "\0" in value:
        raise RefusedError(412, "Invalid UTF8 or contains NULL")
    return value


def path_header(request: Request, header: bytes, shown: str) -> tuple[str, str]:
    """Container and object that a header names. Raises RefusedError (412)."""
    container, slash, name = _text(request, header).removeprefix("/").partition("/")
    if not (container and slash and name):
        raise RefusedError(412, f"{shown} header must be of the form <container name>/<object name>")
    return container, name


def account_header(request: Request, header: bytes) -> str:
    """The account that a header names, "" where it is not there. Raises RefusedError (412)."""
    if header not in request.headers:
        return ""
    account = _text(request, header)
    if not account:
        raise RefusedError(412, "Account name cannot be empty")
    if "/" in account:
        raise RefusedError(412, "Account name cannot contain slashes")
    return account
