"""Writing objects: bodies, copies, links, older versions; changing what is said of them, and removing them."""

from gateway.swift.protocol.request import Request
from gateway.swift.protocol.symlinks import TARGET
from gateway.swift.service import Service
from gateway.swift.writing import change, put, symlink, version
from gateway.swift.writing.copy import PutManifest, copy, copy_from

__all__ = ["PutManifest", "copy", "copy_from", "delete_object", "post_object", "put_object"]


async def put_object(service: Service, request: Request) -> None:
    """PUT of an object: an older version, a symlink, or a body."""
    if request.version:
        await version.put(service, request)
    elif TARGET in request.headers:
        await symlink.put(service, request)
    else:
        await put.put(service, request)


async def delete_object(service: Service, request: Request) -> None:
    """DELETE of an object, or of one version of it."""
    if request.version:
        await version.delete(service, request)
    else:
        await change.delete(service, request)


async def post_object(service: Service, request: Request) -> None:
    """POST of an object; versions do not change."""
    if request.version:
        await version.post(service, request)
    else:
        await change.post(service, request)
