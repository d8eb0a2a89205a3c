"""Containers: listing objects, metadata, access lists, policies, making and removing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import trio

from gateway.objects import slices
from gateway.objects.notes import READ_ACCESS, WRITE_ACCESS
from gateway.swift.containers import account, acl, formats, quotas, version_listing
from gateway.swift.protocol import etag_quoter, listing, metadata, version_headers
from gateway.swift.protocol.dates import http_date, modified_seconds, timestamp
from gateway.swift.protocol.errors import HTML, Fields, RefusedError, bad_request
from gateway.swift.protocol.media_types import JSON, PLAIN
from gateway.swift.protocol.request import Request
from gateway.swift.service import Service
from store.core.errors import NotFoundError
from store.objects.model import Container, ListingQuery, ObjectEntry, Subdir, Usage

ACCESS = {READ_ACCESS: "x-container-read", WRITE_ACCESS: "x-container-write"}

WRITTEN = ".put"
"""A note of the second in which a PUT that says nothing was last here, since it moves Last-Modified as in Swift."""

SYNC_KEY = "x-container-sync-key"
"""Kept and shown, as everywhere. There is no synchronisation here, so a place to synchronise to is refused."""

SECRET = frozenset({SYNC_KEY, "x-container-meta-temp-url-key", "x-container-meta-temp-url-key-2"})
"""What only the account's owner is shown."""


def fields(service: Service, request: Request, container: Container, usage: Usage) -> Fields:
    """The headers that describe a container."""
    policy = service.policies.get(container.policy)
    found: Fields = [
        (b"x-container-object-count", b"%d" % usage.objects),
        (b"x-container-bytes-used", b"%d" % usage.bytes),
        (b"x-timestamp", timestamp(container.created)),
        (b"last-modified", http_date(modified_seconds(container.changed))),
        (b"accept-ranges", b"bytes"),
        (b"x-storage-policy", policy.name.encode() if policy else b""),
    ]
    owner = request.principal.owns(container.account)
    for header, value in container.headers.items():
        if (owner or header not in SECRET) and header[0] != ".":
            found.append((header.encode(), value.encode()))
        elif owner and header in ACCESS:
            found.append((ACCESS[header].encode(), value.encode()))
    found += quotas.container_fields(container.headers)
    return found


async def head(service: Service, request: Request) -> None:
    """HEAD: what the container holds."""
    kind = listing.content_type(request)
    container = await service.container(request, reading=True, listing=True)
    answer = fields(service, request, container, await service.store.container_usage(container))
    answer.append((b"content-type", f"{kind}; charset=utf-8".encode()))
    await request.respond(204, answer)


async def get(service: Service, request: Request) -> None:
    """GET: a page of objects."""
    query = listing.parse(request, service.limits.container_listing_limit)
    kind = JSON if version_listing.PARAM in request.query else listing.content_type(request)
    container = await service.container(request, reading=True, listing=True)
    if version_listing.PARAM in request.query:
        version_listing.check(request)
        body = await version_listing.page(service, request, container, query)
        answer = fields(service, request, container, await service.store.container_usage(container))
        answer.append((b"content-type", b"application/json; charset=utf-8"))
        await request.respond(200, answer, body)
        return
    if kind == PLAIN and "path" not in request.query:
        body = await slices.join(formats.names(await service.store.list_names(container, query)))
        await _answer(service, request, container, kind, body)
        return
    if "path" in request.query:
        entries = await _below(service, container, query, request.param("path"))
    else:
        entries = await service.store.list_objects(container, query)
    body = await slices.join(formats.objects(entries, request.account, request.container, kind))
    await _answer(service, request, container, kind, body)


async def _answer(service: Service, request: Request, container: Container, kind: str, body: bytes) -> None:
    answer = fields(service, request, container, await service.store.container_usage(container))
    answer.append((b"content-type", f"{kind}; charset=utf-8".encode()))
    if "format" not in request.query:
        answer.append((b"vary", b"Accept"))
    await request.respond(200 if body else 204, answer, body)


async def _below(service: Service, container: Container, query: ListingQuery, path: str) -> list[ObjectEntry | Subdir]:
    """The objects one level below `path` (the older way to walk pseudo-directories), without any Subdir.

    An object may be named as a pseudo-directory itself; the store folds it into the Subdir, so it is looked up.
    """
    prefix = path.rstrip("/") + "/" if path else ""
    found: list[ObjectEntry | Subdir] = []
    page = replace(query, prefix=prefix, delimiter="/")
    while len(found) < query.limit:
        entries = await service.store.list_objects(container, page)
        for entry in entries:
            shown = await _directory(service, container, entry.name) if isinstance(entry, Subdir) else entry
            await trio.lowlevel.checkpoint()  # the store may have all of them at hand
            if shown is not None and shown.name != prefix:
                found.append(shown)
                if len(found) == query.limit:
                    break
        if len(entries) < page.limit:
            break
        page = replace(page, marker=entries[-1].name)
    return found


async def _directory(service: Service, container: Container, name: str) -> ObjectEntry | None:
    try:
        info = await service.store.head(container, name)
    except NotFoundError:
        return None
    return ObjectEntry(name, info.size, info.etag, info.head.content_type, info.head.listing, info.changed)


def _changes(service: Service, request: Request) -> dict[str, str | None]:
    changes = metadata.changes(request, "container", service.limits)
    quotas.container_changes(changes)
    changes |= etag_quoter.change(request.headers, "container")
    if not request.principal.owns(request.account):  # somebody whom the account's list lets write here
        return {name: value for name, value in changes.items() if name not in SECRET}
    if request.headers.get(b"x-container-sync-to"):
        raise RefusedError(400, "Containers are not synchronised here: X-Container-Sync-To is of no use.")
    sync_key = request.header(SYNC_KEY.encode())
    if sync_key is not None:
        changes[SYNC_KEY] = sync_key or None
    for note, name in ACCESS.items():
        if f"x-remove-{name[2:]}".encode() in request.headers:
            changes[note] = None
        value = request.header(name.encode())
        if value is not None:
            try:
                changes[note] = acl.clean(value, writing=note == WRITE_ACCESS) or None
            except acl.AclError as error:
                raise RefusedError(400, str(error)) from error
    return changes


def _policy(service: Service, request: Request) -> int | None:
    name = request.header(b"x-storage-policy")
    if not name:
        return None
    for policy in service.policies.values():
        if policy.name.lower() == name.lower():
            if policy.deprecated:
                raise bad_request(f'Storage Policy "{policy.name}" is deprecated')
            return policy.index
    raise bad_request(f'Invalid X-Storage-Policy "{name}"')


async def put(service: Service, request: Request) -> None:
    """PUT: make the container, or change it."""
    await _require_writer(service, request)
    changes = _changes(service, request)
    if version_headers.asked(request):
        changes |= version_headers.changes(request, await _present(service, request))
    policy = _policy(service, request)
    length = len(request.container.encode())
    if length > service.limits.max_container_name_length:
        raise RefusedError(
            400, f"Container name length of {length} longer than {service.limits.max_container_name_length}"
        )
    try:
        made = await _store(service, request, changes, policy)
    except NotFoundError:
        await account.ensure(service, request)
        made = await _store(service, request, changes, policy)
    await request.respond(201 if made else 202, [(b"content-type", HTML)])


async def _require_writer(service: Service, request: Request) -> None:
    """Containers themselves are changed by owners, and by those whom the account's list lets write."""
    await service.layer.hear(request.principal, request.account)
    request.principal.require(request.account, request.container, "", reading=False)


async def _store(service: Service, request: Request, changes: dict[str, str | None], policy: int | None) -> bool:
    if changes:
        await _check_total(service, request, changes)
    else:
        changes = {WRITTEN: str(int(service.now()))}
    _container, made = await service.store.put_container(request.account, request.container, changes, policy)
    return made


async def _check_total(service: Service, request: Request, changes: dict[str, str | None]) -> None:
    metadata.check_total(await _present(service, request), changes, "container", service.limits)


async def _present(service: Service, request: Request) -> Mapping[str, str]:
    try:
        return (await service.store.container(request.account, request.container)).headers
    except NotFoundError:
        return {}


async def post(service: Service, request: Request) -> None:
    """POST: change the container's metadata and access lists."""
    await _require_writer(service, request)
    changes = _changes(service, request)
    present = await service.store.container(request.account, request.container)
    if version_headers.asked(request):
        changes |= version_headers.changes(request, present.headers)
    metadata.check_total(present.headers, changes, "container", service.limits)
    await service.store.put_container(request.account, request.container, changes)
    await request.respond(204, [(b"content-type", HTML)])


async def delete(service: Service, request: Request) -> None:
    """DELETE: remove an empty container."""
    await _require_writer(service, request)
    await service.store.delete_container(request.account, request.container)
    await request.respond(204, [(b"content-type", HTML)])
