"""What serves what, in order: the one place that knows which feature takes a request.

A request goes through: path, signature (which leaves of it what was signed), handler (here), token where no signature
came. A handler that has features before it looks at the header or parameter that calls for one, and for nothing else.
A feature to come takes its place in these functions and tables.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.swift import bulk, containers, forms, large, reading, sites, writing
from gateway.swift.access import cors
from gateway.swift.protocol.errors import RefusedError
from gateway.swift.protocol.request import Request
from gateway.swift.service import Service

Handler = Callable[[Service, Request], Awaitable[None]]


async def put_object(service: Service, request: Request) -> None:
    """PUT of an object: a manifest, a copy, or whatever else is written."""
    if request.query.get("multipart-manifest") == "put":
        if request.headers.get(b"x-copy-from"):
            raise RefusedError(405, "Multipart Manifest PUTs cannot be COPY requests")
        await large.put_large(service, request)
    elif request.headers.get(b"x-copy-from"):
        await writing.copy_from(service, request, large.put_manifest)
    else:
        await writing.put_object(service, request)


async def copy_object(service: Service, request: Request) -> None:
    """COPY of an object."""
    await writing.copy(service, request, large.put_manifest)


async def delete_object(service: Service, request: Request) -> None:
    """DELETE of an object, with its segments or alone."""
    if request.query.get("multipart-manifest") == "delete":
        await large.delete_large(service, request)
    else:
        await writing.delete_object(service, request)


async def options(service: Service, request: Request) -> None:
    """OPTIONS: the methods there are, and whether a page of another site may use them."""
    await cors.options(service.layer, service.config, request, list(table(request)))


async def get_container(service: Service, request: Request) -> None:
    """GET of a container: a listing, or the front page of a web site."""
    if sites.serves(request):
        await sites.container(service, request, containers.container.get, reading.get_object, reading.get_object)
    else:
        await containers.container.get(service, request)


async def head_container(service: Service, request: Request) -> None:
    """HEAD of a container: what it holds, or the front page of a web site."""
    if sites.serves(request):
        await sites.container(service, request, containers.container.head, reading.head_object, reading.get_object)
    else:
        await containers.container.head(service, request)


async def get_object(service: Service, request: Request) -> None:
    """GET of an object, which may be a page of a web site."""
    if sites.serves(request):
        await sites.object(service, request, reading.get_object, reading.get_object)
    else:
        await reading.get_object(service, request)


async def head_object(service: Service, request: Request) -> None:
    """HEAD of an object, which may be a page of a web site."""
    if sites.serves(request):
        await sites.object(service, request, reading.head_object, reading.get_object)
    else:
        await reading.head_object(service, request)


async def _extract(service: Service, request: Request) -> None:
    await bulk.extract_archive(service, request, handler)


async def _delete_many(service: Service, request: Request) -> None:
    await bulk.delete_many(service, request, handler)


async def _take_form(service: Service, request: Request) -> None:
    await forms.post(service, request, handler)


def _by_param(request: Request) -> Handler | None:
    """What takes a request for a parameter, whatever its path names."""
    if request.method == "PUT":
        return _extract if "extract-archive" in request.query else None
    if request.method in ("POST", "DELETE"):
        return _delete_many if "bulk-delete" in request.query else None
    return None


ACCOUNT: dict[str, Handler] = {
    "DELETE": containers.account.delete,
    "GET": containers.account.get,
    "HEAD": containers.account.head,
    "OPTIONS": options,
    "POST": containers.account.post,
    "PUT": containers.account.put,
}
CONTAINER: dict[str, Handler] = {
    "DELETE": containers.container.delete,
    "GET": get_container,
    "HEAD": head_container,
    "OPTIONS": options,
    "POST": containers.container.post,
    "PUT": containers.container.put,
}
OBJECT: dict[str, Handler] = {
    "COPY": copy_object,
    "DELETE": delete_object,
    "GET": get_object,
    "HEAD": head_object,
    "OPTIONS": options,
    "POST": writing.post_object,
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
    if request.method == "POST" and forms.is_form(request):
        return _take_form
    found = table(request).get(request.method)
    if found is None or (
        not request.container and request.method in MANAGEMENT and not service.config.allow_account_management
    ):
        raise RefusedError(405, headers=[(b"allow", allowed(request))])
    return found
