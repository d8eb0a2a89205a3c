"""What serves what, in order: the one place that knows which feature takes a request.

A request goes through: path, signature (which leaves of it what was signed), handler (here), token where no signature
came. A handler that has features before it looks at the header or parameter that calls for one, and for nothing else.
A feature to come takes its place in these functions and tables.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.swift import (
    account,
    bulk_delete,
    bulk_extract,
    container,
    copy,
    cors,
    formpost,
    object_change,
    object_get,
    object_put,
    slo,
    slo_delete,
    staticweb,
    symlink_put,
    version_object,
)
from gateway.swift.errors import RefusedError
from gateway.swift.request import Request
from gateway.swift.service import Service

Handler = Callable[[Service, Request], Awaitable[None]]


async def put_object(service: Service, request: Request) -> None:
    """PUT of an object: a manifest, a copy, an older version, a symlink, or a body."""
    if request.query.get("multipart-manifest") == "put":
        if request.headers.get(b"x-copy-from"):
            raise RefusedError(405, "Multipart Manifest PUTs cannot be COPY requests")
        await slo.put(service, request)
    elif request.headers.get(b"x-copy-from"):
        await copy.copy_from(service, request)
    elif version_object.named(request):
        await version_object.put(service, request)
    elif symlink_put.TARGET in request.headers:
        await symlink_put.put(service, request)
    else:
        await object_put.put(service, request)


async def delete_object(service: Service, request: Request) -> None:
    """DELETE of an object: with its segments, one version of it, or alone."""
    if request.query.get("multipart-manifest") == "delete":
        await slo_delete.delete(service, request)
    elif version_object.named(request):
        await version_object.delete(service, request)
    else:
        await object_change.delete(service, request)


async def post_object(service: Service, request: Request) -> None:
    """POST of an object; versions do not change."""
    if version_object.named(request):
        await version_object.post(service, request)
    else:
        await object_change.post(service, request)


async def options(service: Service, request: Request) -> None:
    """OPTIONS: the methods there are, and whether a page of another site may use them."""
    await cors.options(service, request, list(table(request)))


async def get_container(service: Service, request: Request) -> None:
    """GET of a container: a listing, or the front page of a web site."""
    if staticweb.serves(request):
        await staticweb.container(service, request, container.get, object_get.get)
    else:
        await container.get(service, request)


async def head_container(service: Service, request: Request) -> None:
    """HEAD of a container: what it holds, or the front page of a web site."""
    if staticweb.serves(request):
        await staticweb.container(service, request, container.head, object_get.head)
    else:
        await container.head(service, request)


async def get_object(service: Service, request: Request) -> None:
    """GET of an object, which may be a page of a web site."""
    if staticweb.serves(request):
        await staticweb.object(service, request, object_get.get)
    else:
        await object_get.get(service, request)


async def head_object(service: Service, request: Request) -> None:
    """HEAD of an object, which may be a page of a web site."""
    if staticweb.serves(request):
        await staticweb.object(service, request, object_get.head)
    else:
        await object_get.head(service, request)


async def _extract(service: Service, request: Request) -> None:
    await bulk_extract.put(service, request, handler)


async def _delete_many(service: Service, request: Request) -> None:
    await bulk_delete.delete(service, request, handler)


async def _take_form(service: Service, request: Request) -> None:
    await formpost.post(service, request, handler)


def _by_param(request: Request) -> Handler | None:
    """What takes a request for a parameter, whatever its path names."""
    if request.method == "PUT":
        return _extract if "extract-archive" in request.query else None
    if request.method in ("POST", "DELETE"):
        return _delete_many if "bulk-delete" in request.query else None
    return None


ACCOUNT: dict[str, Handler] = {
    "DELETE": account.delete,
    "GET": account.get,
    "HEAD": account.head,
    "OPTIONS": options,
    "POST": account.post,
    "PUT": account.put,
}
CONTAINER: dict[str, Handler] = {
    "DELETE": container.delete,
    "GET": get_container,
    "HEAD": head_container,
    "OPTIONS": options,
    "POST": container.post,
    "PUT": container.put,
}
OBJECT: dict[str, Handler] = {
    "COPY": copy.copy,
    "DELETE": delete_object,
    "GET": get_object,
    "HEAD": head_object,
    "OPTIONS": options,
    "POST": post_object,
    "PUT": put_object,
}
MANAGEMENT = frozenset({"PUT", "DELETE"})
"""Methods on an account that an operator may switch off."""


def table(request: Request) -> dict[str, Handler]:
    """The handlers of what the path names."""
    return OBJECT if request.object else CONTAINER if request.container else ACCOUNT


def allowed(request: Request) -> bytes:
    """`Allow`: the methods of what the path names."""
    return ", ".join(table(request)).encode()


def handler(service: Service, request: Request) -> Handler:
    """Whatever serves the request. Raises RefusedError (405)."""
    if request.queried:
        found = _by_param(request)
        if found is not None:
            return found
    if request.method == "POST" and formpost.is_form(request):
        return _take_form
    found = table(request).get(request.method)
    if found is None or (
        not request.container and request.method in MANAGEMENT and not service.config.allow_account_management
    ):
        raise RefusedError(405, headers=[(b"allow", allowed(request))])
    return found
