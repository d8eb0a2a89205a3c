"""What serves what, in order: the one place that knows which feature takes a request.

A request goes through: path, signature (which leaves of it what was signed), handler (here), token where no signature
came. A handler that has features before it looks at the header or parameter that calls for one, and for nothing else.
A feature to come takes its place in these functions and tables.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.objects.access.caller import User
from gateway.swift import bulk, containers, forms, large, reading, sites, writing
from gateway.swift.access import cors
from gateway.swift.protocol.errors import RefusedError
from gateway.swift.protocol.request import Request
from gateway.swift.service import Service

Handler = Callable[[Service, Request], Awaitable[None]]


def put_object(request: Request) -> Handler:
    """PUT of an object: a manifest, a copy, or whatever else is written."""
    if request.query.get("multipart-manifest") == "put":
        if request.headers.get(b"x-copy-from"):
            raise RefusedError(405, "Multipart Manifest PUTs cannot be COPY requests")
        return large.put_large
    if request.headers.get(b"x-copy-from"):
        return copy_from
    return writing.put_object(request)


async def copy_from(service: Service, request: Request) -> None:
    """PUT of an object that is a copy of another."""
    await writing.copy_from(service, request, large.put_manifest)


async def copy_object(service: Service, request: Request) -> None:
    """COPY of an object."""
    await writing.copy(service, request, large.put_manifest)


def delete_object(request: Request) -> Handler:
    """DELETE of an object, with its segments or alone."""
    if request.query.get("multipart-manifest") == "delete":
        return large.delete_large
    return writing.delete_object(request)


async def options(service: Service, request: Request) -> None:
    """OPTIONS: the methods there are, and whether a page of another site may use them."""
    await cors.options(service.layer, service.config, request, list(table(request)))


def get_container(request: Request) -> Handler:
    """GET of a container: a listing, or the front page of a web site."""
    return site_container if sites.serves(request) else containers.container.get


def head_container(request: Request) -> Handler:
    """HEAD of a container: what it holds, or the front page of a web site."""
    return site_container if sites.serves(request) else containers.container.head


async def site_container(service: Service, request: Request) -> None:
    """GET or HEAD of a container by a browser."""
    reading_it = request.method == "GET"
    plain = containers.container.get if reading_it else containers.container.head
    show = reading.get_object if reading_it else reading.head_object
    await sites.container(service, request, plain, show, reading.get_object)


def get_object(request: Request) -> Handler:
    """GET of an object, which may be a page of a web site."""
    return site_object if sites.serves(request) else reading.get_object


def head_object(request: Request) -> Handler:
    """HEAD of an object, which may be a page of a web site."""
    return site_object if sites.serves(request) else reading.head_object


async def site_object(service: Service, request: Request) -> None:
    """GET or HEAD of an object by a browser."""
    show = reading.get_object if request.method == "GET" else reading.head_object
    await sites.object(service, request, show, reading.get_object)


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


Choice = Callable[[Request], Handler]
"""Chooses by what the request says besides its method."""


def _always(handler: Handler) -> Choice:
    return lambda _request: handler


ACCOUNT: dict[str, Choice] = {
    "DELETE": _always(containers.account.delete),
    "GET": _always(containers.account.get),
    "HEAD": _always(containers.account.head),
    "OPTIONS": _always(options),
    "POST": _always(containers.account.post),
    "PUT": _always(containers.account.put),
}
CONTAINER: dict[str, Choice] = {
    "DELETE": _always(containers.container.delete),
    "GET": get_container,
    "HEAD": head_container,
    "OPTIONS": _always(options),
    "POST": _always(containers.container.post),
    "PUT": _always(containers.container.put),
}
OBJECT: dict[str, Choice] = {
    "COPY": _always(copy_object),
    "DELETE": delete_object,
    "GET": get_object,
    "HEAD": head_object,
    "OPTIONS": _always(options),
    "POST": writing.post_object,
    "PUT": put_object,
}
MANAGEMENT = frozenset({"PUT", "DELETE"})
"""Methods on an account that an operator may switch off."""
_OFTEN: dict[str, Handler] = {
    "DELETE": writing.delete_plain,
    "GET": reading.get_object,
    "HEAD": reading.head_object,
    "PUT": writing.put_plain,
}
"""What serves a user's request for an object that has no parameter and none of these headers."""
_CHOOSING = frozenset({b"x-copy-from", b"x-symlink-target", b"x-web-mode"})


def table(request: Request) -> dict[str, Choice]:
    """What serves which method of what the path names."""
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
    elif request.object and _CHOOSING.isdisjoint(request.headers) and isinstance(request.principal, User):
        often = _OFTEN.get(request.method)
        if often is not None:
            return often
    if request.method == "POST" and forms.is_form(request):
        return _take_form
    choice = table(request).get(request.method)
    if choice is None or (
        not request.container and request.method in MANAGEMENT and not service.config.allow_account_management
    ):
        raise RefusedError(405, headers=[(b"allow", allowed(request))])
    return choice(request)
