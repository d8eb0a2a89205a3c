"""Writing objects: bodies, copies, links, older versions; changing what is said of them, and removing them."""

from collections.abc import Awaitable, Callable

from gateway.swift.protocol.request import Request
from gateway.swift.protocol.symlinks import TARGET
from gateway.swift.service import Service
from gateway.swift.writing import change, put, symlink, version
from gateway.swift.writing.change import delete as delete_plain
from gateway.swift.writing.copy import PutManifest, copy, copy_from
from gateway.swift.writing.put import put as put_plain

__all__ = [
    "PutManifest",
    "copy",
    "copy_from",
    "delete_object",
    "delete_plain",
    "post_object",
    "put_object",
    "put_plain",
]

Handler = Callable[[Service, Request], Awaitable[None]]


def put_object(request: Request) -> Handler:
    """PUT of an object: an older version, a symlink, or a body."""
    if request.version:
        return version.put
    return symlink.put if TARGET in request.headers else put.put


def delete_object(request: Request) -> Handler:
    """DELETE of an object, or of one version of it."""
    return version.delete if request.version else change.delete


def post_object(request: Request) -> Handler:
    """POST of an object; versions do not change."""
    return version.post if request.version else change.post
